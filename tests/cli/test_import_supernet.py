"""bin/import_supernet: a work directory that selection goes on from, and what is wrong in one line."""

import json

import numpy as np
import pytest

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import Supernet
from tf_darts.search import supernet_file
from tf_darts.search.bilevel import Bilevel

CONFIG = """
from configs import quickstart

def get_config():
    config = quickstart.get_config()
    config.data.limit_train, config.data.limit_test = 32, 16
    config.search.channels, config.search.batch_size = 2, 8
    config.selection.interval = 0
    return config
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a config, a supernet's file for it, and files that are no use."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "config.py").write_text(CONFIG)
    space = spaces.get("nas_bench_201")
    supernet, architecture = Supernet(space, 2, 1, 10, channels_in=1), Architecture(space, 1.0)
    bilevel = Bilevel.create(supernet, architecture, config_lib.default().search)
    arrays = supernet_file.arrays_of(bilevel)
    np.savez(folder / "supernet.npz", **arrays)
    np.savez(folder / "less.npz", **{n: v for n, v in arrays.items() if n != "lastact.0.bias"})
    (folder / "checkpoint.pth.tar").write_bytes(b"\x80\x02}q\x00.")
    return folder


def test_selection_goes_on(call, folder):
    ended = call("import_supernet", "--config=config.py", "--workdir=run", "--file=supernet.npz", cwd=folder)
    assert ended.status == 0, ended.err
    result = json.loads((folder / "run" / "search" / "result.json").read_text())
    accuracies = [100 * result["last_epoch"][f"evaluation/{name}_accuracy"] for name in ("valid", "test")]
    assert f"Accuracy on the validation half: {accuracies[0]:.2f} %" in ended.out
    assert f"Accuracy on the test set: {accuracies[1]:.2f} %" in ended.out
    assert ended.out.endswith("Next: bin/select --workdir=run\n")
    ended = call("select", "--workdir=run", "--method=magnitude", cwd=folder)
    assert ended.status == 0 and ended.out.startswith("magnitude selects |"), ended.err
    # A second time it would be overwritten.
    ended = call("import_supernet", "--config=config.py", "--workdir=run", "--file=supernet.npz", cwd=folder)
    assert ended.status == 2 and "run/search exists; allowed: a --workdir without a search" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=config.py"], "--file: missing; give the .npz file of a supernet"),
        (["--config=config.py", "--file=nowhere.npz"], "--file: 'nowhere.npz': no such file"),
        (["--config=config.py", "--file=checkpoint.pth.tar"], "cannot be read as .npz: "),
        (["--config=config.py", "--file=less.npz"], "weights: lastact.0.bias is missing"),
        (
            ["--config=config.py", "--file=supernet.npz", "--config.search.channels=4"],
            "config: search.channels is 4; allowed: 2, as in the file",
        ),
        (["--file=supernet.npz"], "--config: missing; give a config file"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(call, folder, arguments, message):
    ended = call("import_supernet", "--workdir=other", *arguments, cwd=folder)
    assert ended.status == 2 and ended.out == ""
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1 and message in ended.err, ended.err
    assert not (folder / "other").exists()
