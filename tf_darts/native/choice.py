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
CHANNELS = 16  # a supernet's are a multiple of this: vectors of 16, on every processor
NETWORK_CHANNELS = 4  # a network's are a multiple of this, and at least CHANNELS

_WANTED: contextvars.ContextVar[str] = contextvars.ContextVar("kernels", default=TENSORFLOW)

_IN_USE: contextvars.ContextVar[bool] = contextvars.ContextVar("native kernels in use", default=True)


def wanted(kernels: str) -> contextlib.AbstractContextManager[None]:
    """Let models that are made in this block choose their kernels by a value of `runtime.kernels`."""
    return holding(_WANTED, kernels)


def tensorflow_alone() -> contextlib.AbstractContextManager[None]:
    """Let what is traced in this block run on TensorFlow's kernels, whatever the model has chosen.

    Only they can be differentiated twice, and have every ReLU as an operation of the graph.
    """
    return holding(_IN_USE, False)


def in_use() -> bool:
    """Return whether passes that are traced now may run on native kernels."""
    return _IN_USE.get()


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
    reason = _unsuited(channels, CHANNELS, activations, convolves) or missing(tells=kernels != NATIVE)
    if reason is None:
        return NATIVE
    if kernels == NATIVE:
        raise UserError(
            f"config: runtime.kernels is {NATIVE!r}, and {reason}; allowed here: auto, {TENSORFLOW}"
        )
    return TENSORFLOW


def choose_for_network(channels: int, activations: str, convolves: bool) -> str:
    """Return the kernels of a network that is made now; native ones only where they can be had.

    They are no demand here: which operations a network has is known after its search only.

    Args:
      channels: as in `choose`.
      activations: as in `choose`.
      convolves: as in `choose`.
    """
    if _WANTED.get() == TENSORFLOW or _unsuited(channels, NETWORK_CHANNELS, activations, convolves):
        return TENSORFLOW
    return TENSORFLOW if missing(tells=True) else NATIVE


def _unsuited(channels: int, multiple: int, activations: str, convolves: bool) -> str | None:
    """Return why native kernels would not compute such a model, or None."""
    if device_type() != "CPU":
        return f"they are for CPUs, not for a {device_type()}"
    if xla.compiles():
        return "XLA, which compiles the steps (runtime.xla), does not know them"
    if activations != "float32":
        return f"they compute float32, not {activations}"
    if channels < CHANNELS or channels % multiple:
        return f"the narrowest edges have {channels} channels, not a multiple of {multiple}"
    if not convolves:
        return "the space has no convolution that they know"
    return None


def missing(tells: bool) -> str | None:
    """Return why there are no native kernels here, or None; they are compiled now where they have to be.

    Args:
      tells: whether to say it as well, once.
    """
    try:
        library.operations()
    except BuildError as error:
        if tells:
            _tell(str(error))
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
