"""Which kernels compute mixed edges: those of this package or TensorFlow's (`runtime.kernels`)."""

import contextlib
import contextvars
import functools
import sys

from tf_darts.errors import UserError
from tf_darts.native import library
from tf_darts.native.build import BuildError
from tf_darts.runtime import xla
from tf_darts.runtime.scoped import holding
from tf_darts.runtime.strategy import device_type

NATIVE, TENSORFLOW = "native", "tensorflow"  # what is chosen; a config may leave it open, "auto"
CHANNELS = 16  # the kernels compute multiples of so many channels, whatever the processor

_WANTED: contextvars.ContextVar[str] = contextvars.ContextVar("kernels", default=TENSORFLOW)

_DIFFERENTIATED: contextvars.ContextVar[bool] = contextvars.ContextVar("gradients once", default=True)


def wanted(kernels: str) -> contextlib.AbstractContextManager[None]:
    """Let supernets that are made in this block choose their kernels by a value of `runtime.kernels`."""
    return holding(_WANTED, kernels)


def gradients_of_gradients() -> contextlib.AbstractContextManager[None]:
    """Let what is traced in this block be differentiated twice, which only TensorFlow's kernels can be."""
    return holding(_DIFFERENTIATED, False)


def in_use() -> bool:
    """Return whether passes that are traced now may run on native kernels."""
    return _DIFFERENTIATED.get()


def choose(channels: int, activations: str, convolves: bool) -> str:
    """Return the kernels of a supernet that is made now, NATIVE or TENSORFLOW.

    Args:
      channels: of the narrowest mixed edge; all others have a multiple of them.
      activations: type of what flows between layers.
      convolves: whether its edges have a convolution that the kernels know.

    Raises:
      UserError: native ones are wanted and cannot be had.
    """
    kernels = _WANTED.get()
    if kernels == TENSORFLOW:
        return TENSORFLOW
    reason = _unsuited(channels, activations, convolves)
    if reason is None:
        reason = _missing()
        if reason is not None and kernels != NATIVE:
            _tell(reason)
    if reason is None:
        return NATIVE
    if kernels == NATIVE:
        raise UserError(
            f"config: runtime.kernels is {NATIVE!r}, and {reason}; allowed here: auto, {TENSORFLOW}"
        )
    return TENSORFLOW


def _unsuited(channels: int, activations: str, convolves: bool) -> str | None:
    """Return why native kernels would not compute such a supernet, or None."""
    if device_type() != "CPU":
        return f"they are for CPUs, not for a {device_type()}"
    if xla.compiles():
        return "XLA, which compiles the steps (runtime.xla), does not know them"
    if activations != "float32":
        return f"they compute float32, not {activations}"
    if channels % CHANNELS:
        return f"the narrowest edges have {channels} channels, not a multiple of {CHANNELS}"
    if not convolves:
        return "the space has no convolution that they know"
    return None


def _missing() -> str | None:
    try:
        library.operations()
    except BuildError as error:
        return str(error)
    return None


@functools.cache
def _tell(reason: str) -> None:
    """Say once what is missed."""
    print(
        f"native kernels: none ({reason}); TensorFlow's compute the same, more slowly",
        file=sys.stderr,
        flush=True,
    )
