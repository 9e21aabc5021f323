"""The compiled kernels as TensorFlow's operations, loaded once for a process."""

import contextlib
import ctypes
import functools
import pathlib
import types

import tensorflow as tf

from tf_darts.native import build
from tf_darts.native.build import BuildError
from tf_darts.runtime import strategy

FAILURES = (tf.errors.OpError, OSError, RuntimeError)  # of loading


@functools.cache
def _loaded() -> tuple[types.ModuleType, ctypes.CDLL] | str:
    """Return the operations and the library that they are in, or why there are none."""
    try:
        level = build.level()
        if carried := build.carried(level):
            with contextlib.suppress(*FAILURES):  # it is of a newer system than this
                return _load(carried)
        return _load(build.built(level))
    except BuildError as error:
        return str(error)
    except FAILURES as error:
        return f"TensorFlow cannot load them: {str(error).splitlines()[0]}"


def _load(path: pathlib.Path) -> tuple[types.ModuleType, ctypes.CDLL]:
    """Return the same of a file, and say how many threads may share an operation out."""
    made, library = tf.load_op_library(str(path)), ctypes.CDLL(str(path))
    library.tf_darts_set_threads(strategy.operation_threads())
    return made, library


def operations() -> types.ModuleType:
    """Return the operations, as functions; they are compiled first where the package carries none.

    Raises:
      BuildError: they cannot be had here.
    """
    found = _loaded()
    if isinstance(found, str):
        raise BuildError(found)
    return found[0]
