"""What a process has set in TensorFlow and Keras: set for a run of ours, and put back after it.

A program owns its process, and sets everything once (`runtime.strategy.start`). The API is a guest: what it
needs holds while a call of it runs (`borrowed`), and the process is then as it was. The API sets no numbers
of threads, because TensorFlow cannot take them back: on a machine of few cores a search then takes longer,
and the last bits of its results are not those of a program.
"""

import contextlib
import functools
import json
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from tf_darts.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")

BACKEND = "tensorflow"
_ONE = threading.RLock()  # what is set is the process's: two calls at once take turns
_BORROWED: list[bool] = []  # one for each call that runs, within the others


def check_backend() -> None:
    """Check that Keras runs, or will run, on TensorFlow; Keras is not imported.

    Raises:
      UserError: the process or the user's settings have chosen another backend.
    """
    folder = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras")
    place, backend = "KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if not backend:
        place = str(folder / "keras.json")
        with contextlib.suppress(OSError, ValueError, AttributeError):  # none, or not Keras's
            backend = json.loads((folder / "keras.json").read_text(encoding="utf-8")).get("backend")
    if backend not in (None, "", BACKEND):
        raise UserError(f"{place}: the backend of Keras is {backend!r}; allowed: {BACKEND!r}")


def set_keras() -> None:
    """Set what the user's keras.json may have otherwise: types are float32, and channels come last.

    Raises:
      UserError: Keras runs on another backend, or TensorFlow without eager execution.
    """
    import keras
    import tensorflow as tf

    if keras.backend.backend() != BACKEND:
        raise UserError(
            f"KERAS_BACKEND: the backend of Keras is {keras.backend.backend()!r}; allowed: {BACKEND!r}"
        )
    if not tf.executing_eagerly():
        raise UserError(
            "TensorFlow's eager execution is off (tf.compat.v1.disable_eager_execution); allowed: a process"
            " where it is on"
        )
    keras.config.set_image_data_format("channels_last")
    set_floats("float32")


def set_floats(dtype: str) -> None:
    """Set the type of all that is computed from now on but activations: floatx and policy of Keras.

    Variables, alpha, mixing weights, schedules, draws, losses and metrics ask `keras.config.floatx()`.

    Args:
      dtype: "float32" or "float64".
    """
    import keras

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


@contextlib.contextmanager
def floats(dtype: str) -> Iterator[None]:
    """Set the type as `set_floats` for this block."""
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy()
    set_floats(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


@contextlib.contextmanager
def borrowed() -> Iterator[None]:
    """Set what a run needs, and put back what the process had, however the block ends.

    Put back are: Keras's floatx, data format and dtype policy; TensorFlow's determinism, its options of the
    graph optimiser, whether functions run eagerly, and whether all numbers are checked. A call from another
    thread waits until the block ends.

    Raises:
      UserError: as `set_keras`.
    """
    import keras
    import tensorflow as tf
    from tensorflow.python.debug.lib import check_numerics_callback  # knows whether numbers are checked
    from tensorflow.python.framework import config as framework_config  # has what switches determinism off

    with _ONE, contextlib.ExitStack() as back:
        _BORROWED.append(True)
        back.callback(_BORROWED.pop)
        back.callback(keras.config.set_floatx, keras.config.floatx())
        back.callback(keras.config.set_image_data_format, keras.config.image_data_format())
        back.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
        options = tf.config.optimizer.get_experimental_options()
        options.setdefault("disable_meta_optimizer", False)
        back.callback(tf.config.optimizer.set_experimental_options, options)
        if not framework_config.is_op_determinism_enabled():
            back.callback(framework_config.disable_op_determinism)
        if tf.config.functions_run_eagerly():
            back.callback(tf.config.run_functions_eagerly, True)
            tf.config.run_functions_eagerly(False)
        if (checks := getattr(check_numerics_callback._state, "check_numerics_callback", None)) is not None:
            # TensorFlow's own loss has NaN inside where it is deterministic, which it does not use.
            limits = checks._stack_height_limit, checks._path_length_limit
            back.callback(tf.debugging.enable_check_numerics, *limits)
            tf.debugging.disable_check_numerics()
        set_keras()
        yield


def is_borrowed() -> bool:
    """Return whether the process is somebody else's, whose standard error is not ours to redirect."""
    return bool(_BORROWED)


def guest(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function as one that leaves the process as it found it (`borrowed`)."""

    @functools.wraps(function)
    def wrapped(*arguments: P.args, **keywords: P.kwargs) -> R:
        with borrowed():
            return function(*arguments, **keywords)

    return wrapped
