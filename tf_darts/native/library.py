"""The compiled kernels as TensorFlow's operations, loaded once for a process."""

import ctypes
import functools
import types

import tensorflow as tf

from tf_darts.native import build
from tf_darts.native.build import BuildError
from tf_darts.runtime import strategy


@functools.cache
def _loaded() -> types.ModuleType | str:
    """Return the operations, or why there are none."""
    try:
        made = tf.load_op_library(str(build.built(build.level())))
        set_threads(strategy.operation_threads())
        return made
    except BuildError as error:
        return str(error)
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        return f"TensorFlow cannot load them: {str(error).splitlines()[0]}"


def operations() -> types.ModuleType:
    """Return the operations, as functions; they are compiled first where they were not.

    Raises:
      BuildError: they cannot be had here.
    """
    found = _loaded()
    if isinstance(found, str):
        raise BuildError(found)
    return found


def set_threads(count: int) -> None:
    """Have at most so many threads at work at a time, those on which TensorFlow runs operations included.

    An operation shares its images out to those that are free. Results are the same whatever the number.
    """
    ctypes.CDLL(str(build.built(build.level()))).tf_darts_set_threads(count)
