"""What holds in every test process: two CPU devices, determinism, and where the shared material lies."""

import gc
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import tf_darts  # noqa: F401 - before TensorFlow: it says how that computes
from tests.forking import Programs

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]


LOCAL = ("localhost", "127.0.0.1", "::1", "", None)


def this_machine_only(event: str, arguments: tuple) -> None:
    """An audit hook: a test that reaches for another machine fails, wherever it is run."""
    host = None
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    if host not in LOCAL:
        raise RuntimeError(f"{host}: tests use no network")


def pytest_configure(config: pytest.Config) -> None:
    """Sets TensorFlow up before any test module is imported: later, its devices are fixed."""
    sys.addaudithook(this_machine_only)
    if config.getoption("dist", "no") != "no":
        return  # pytest-xdist's controller, which runs no test
    import tensorflow as tf

    from tf_darts.runtime import strategy

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
    tf.config.experimental.enable_op_determinism()
    # Threads decide the last bits: set here, not by whichever test starts a strategy first, and the same on
    # machines of any number of cores.
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    strategy.prepare()


def pytest_collection_finish() -> None:
    """Takes what is imported out of the garbage collector's walks, a tenth of the time otherwise."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """Runs programs as a shell would, many times, at the cost of importing TensorFlow once."""
    server = Programs()
    yield server
    server.close()


@pytest.fixture(scope="module")
def no_pictures() -> Iterator[None]:
    """Trainings and analyses leave pictures of a pixel: to draw them is a third of a tiny one's time."""
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "PNG")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("training.mistakes", "analysis.analysis_run"):
            patch.setattr(f"tf_darts.{module}.png_of", lambda what, draw: pixel.getvalue())
        yield


@pytest.fixture
def registries() -> Iterator[None]:
    """What a test registers, or a config of it adds in `extensions`, is gone after it."""
    from tf_darts.config import EXTENSIBLE

    before = {name: (dict(entries), dict(entries.asked_by)) for name, entries in EXTENSIBLE.items()}
    yield
    for name, entries in EXTENSIBLE.items():
        for there, then in zip((entries, entries.asked_by), before[name], strict=True):
            there.clear()
            there.update(then)


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    """What a test trusts, or a config of it does, is strange to the next."""
    from tf_darts import trust

    before = dict(trust._named)
    yield
    trust._named.clear()
    trust._named.update(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material, with `data/` and `reference/`; skips the test if there is none."""
    named = os.environ.get("TF_DARTS_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(
            "shared material not found: set TF_DARTS_SHARED to the folder that holds data/ and reference/"
        )
    return folder
