"""The compiled kernels as TensorFlow's operations, loaded once for a process."""

import functools
import types

import tensorflow as tf

from tf_darts.native import build
from tf_darts.native.build import BuildError


@functools.cache
def _loaded() -> types.ModuleType | str:
    """Return the operations, or why there are none."""
    try:
        return tf.load_op_library(str(build.built(build.level())))
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
