"""Steps that XLA compiles to one program each (`runtime.xla`), and where compiled programs are kept.

Left to itself, TensorFlow starts every operation of a step by itself: some thousands, which on a GPU take
longer to start than to compute. On a TPU all is compiled by XLA whatever is chosen here.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import pathlib
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import ml_collections

from tf_darts.errors import UserError
from tf_darts.runtime import host

AUTO, ON, OFF = "auto", "on", "off"
FOLDER = "xla"  # of the work directory, for compiled programs

_CACHE = "--tf_xla_persistent_cache_directory"
_LEFT_OUT = "--xla_disable_hlo_passes"
# On a GPU this pass takes every batch norm for a softmax, and XLA then tries many tilings wherever it might
# fuse something: minutes for a step of the DARTS space, which gets no fewer launches (docs/performance.md).
_SOFTMAXES = "triton-softmax-rewriter"
_MARK = "_tf_darts_compiles_steps"  # on strategies: what is built and traced later finds it there
# What TensorFlow says as it reads a program that it has kept. The first is of a try at another format, the
# second of two names that are XLA's, not the processor's.
_NOISE = (b"XlaSerializedCacheEntry", b"cpu_aot_loader.cc")

# What TensorFlow says in the line that has the reason, if that is not the first one.
_REASONS = ("unsupported operations", "INVALID_ARGUMENT: ", "UNIMPLEMENTED: ")


def settle(strategy: Any, runtime: ml_collections.ConfigDict, kind: str) -> None:
    """Decide whether the steps of a new strategy are compiled.

    Args:
      strategy: the `tf.distribute.Strategy`.
      runtime: the config's `runtime`, valid.
      kind: of its devices: "CPU", "GPU" or "TPU".

    Raises:
      UserError: they are to be compiled, and cannot.
    """
    several_cpus = kind == "CPU" and strategy.num_replicas_in_sync > 1
    if runtime.xla == ON and several_cpus:
        raise UserError(
            f"config: runtime.xla is {ON!r} with runtime.strategy {runtime.strategy!r} on CPUs; allowed"
            f" there: {AUTO}, {OFF}"
        )
    wanted = runtime.xla == ON or (runtime.xla == AUTO and kind == "GPU")
    if wanted and may_compile(runtime):
        if kind == "GPU":
            leave_out_slow_pass()
        compile_steps(strategy)


def may_compile(runtime: ml_collections.ConfigDict) -> bool:
    """Return whether the steps of a config are compiled if its devices suit it."""
    # A TPU compiles everything itself; over several processes collectives are not compiled.
    return runtime.xla != OFF and runtime.strategy in ("one_device", "mirrored")


def compile_steps(strategy: Any) -> None:
    """Have XLA compile the steps that run under this strategy."""
    setattr(strategy, _MARK, True)


def leave_out_slow_pass() -> None:
    """Have XLA compile faster for a GPU, unless XLA_FLAGS choose passes; it reads them once."""
    given = os.environ.get("XLA_FLAGS", "")
    if _LEFT_OUT not in given:
        os.environ["XLA_FLAGS"] = f"{given} {_LEFT_OUT}={_SOFTMAXES}".strip()


def compiles(strategy: Any = None) -> bool:
    """Return whether XLA compiles the steps of a strategy; None: of the one that is in use."""
    if strategy is None:
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
    return getattr(strategy, _MARK, False)


def ran(strategy: Any) -> str | None:
    """Return what records say of a strategy's steps, ON or OFF; None: of a TPU, which knows nothing else."""
    if type(strategy).__name__.startswith("TPUStrategy"):
        return None
    return ON if compiles(strategy) else OFF


# What is compiled is kept in the work directory: a run that goes on need not wait for it again.


def keep_programs(workdir: str | os.PathLike[str], runtime: ml_collections.ConfigDict) -> None:
    """Have TensorFlow keep what it compiles in the work directory, and take it from there.

    TensorFlow reads where as it is imported; afterwards this does nothing. Programs are machine code, and a
    work directory may come from anywhere: the folder is named after a secret of the user's, so that nobody
    else's programs are run. It is another one for another TensorFlow, processor, GPU or driver.
    """
    if "tensorflow" in sys.modules or not may_compile(runtime):
        return
    if host.graphics():
        leave_out_slow_pass()
    given = os.environ.get("TF_XLA_FLAGS", "")
    if _CACHE in given:
        return
    with contextlib.suppress(OSError):  # nowhere to keep the secret: then each start compiles
        folder = pathlib.Path(os.path.abspath(workdir), FOLDER, _identity())
        if " " not in str(folder):  # at which the flags are divided
            os.environ["TF_XLA_FLAGS"] = f"{given} {_CACHE}={folder}".strip()


def _identity() -> str:
    """Return a digest of the user's secret, and of all that a compiled program depends on but itself."""
    told = [_secret(), _tensorflow(), host.about()["processor"], host.graphics()]
    told += [os.environ.get("XLA_FLAGS", ""), str(host.cores())]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]


def _tensorflow() -> str:
    try:
        return importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:  # another distribution, as tensorflow-cpu
        name = importlib.metadata.packages_distributions()["tensorflow"][0]
        return f"{name} {importlib.metadata.version(name)}"


def _secret() -> str:
    path = host.cache_folder() / "xla-secret"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = path.with_name(f".{path.name}-{os.getpid()}")
        own.touch(mode=0o600)
        own.write_text(secrets.token_hex(16), encoding="ascii")
        with contextlib.suppress(FileExistsError):  # of two processes at once the first one's stays
            os.link(own, path)
        own.unlink()
    return path.read_text(encoding="ascii")


@contextlib.contextmanager
def first_call() -> Iterator[None]:
    """Turn what fails at the first call of a compiled step, where XLA compiles it, into one line.

    Raises:
      UserError: XLA cannot.
    """
    import tensorflow as tf

    from tf_darts.runtime.quiet import without_lines

    kept = _CACHE in os.environ.get("TF_XLA_FLAGS", "")
    try:
        with without_lines(_NOISE) if kept else contextlib.nullcontext():
            yield
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        if "tf2xla" not in error.message and "XLA" not in error.message:
            raise
        lines = [line.strip() for line in error.message.splitlines() if line.strip()]
        telling = [line for line in lines if any(word in line for word in _REASONS)]
        raise UserError(
            f"config: XLA cannot compile a step (runtime.xla): {(telling or lines)[0]}; allowed here: {OFF},"
            f" as by --config.runtime.xla={OFF}"
        ) from error
    except (tf.errors.OutOfRangeError, tf.errors.DataLossError) as error:
        if not kept:
            raise
        folder = os.environ["TF_XLA_FLAGS"].rpartition(f"{_CACHE}=")[2].split()[0]
        raise UserError(
            f"{folder}: a compiled program there is damaged; remove the folder, and all is compiled again"
        ) from error
