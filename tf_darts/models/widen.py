"""A supernet's weights in one of wider operations (progressive shrinking: Chen et al., DrNAS, section 3.4).

Where fewer channels pass the operations by, operations have more of them. Each channel of the narrow
operation stands for one or several of the wide one, side by side, and what reads a channel takes the mean of
its copies (Chen et al., Net2Net, ICLR 2016). An operation whose input has copies side by side so gives copies
of what it gave before; batch norms keep their running statistics.
"""

import keras
import numpy as np

from tf_darts.errors import UserError
from tf_darts.layers.row import set_values
from tf_darts.models.supernet import Supernet


def hand_over(narrow: Supernet, wide: Supernet) -> None:
    """Copy weights and running statistics into a supernet that differs in partial channels alone.

    Raises:
      UserError: a variable is of another kind than operations of ours have.
    """
    pairs = zip(*(keras.Model.variables.fget(model) for model in (narrow, wide)), strict=True)
    set_values([(new, widened(old.numpy(), tuple(new.shape), new.path)) for old, new in pairs])


def widened(values: np.ndarray, shape: tuple[int, ...], name: str = "") -> np.ndarray:
    """Return a variable with its channels repeated.

    The last axis that grows holds outputs, which are repeated; any before it holds inputs, whose copies share
    what was one weight. A depthwise kernel [kh, kw, C, 1] has outputs alone.

    Args:
      values: the variable.
      shape: what it grows to.
      name: of the variable, for the message.

    Raises:
      UserError: an axis shrinks, or more than two of them grow.
    """
    axes = [axis for axis, (a, b) in enumerate(zip(values.shape, shape, strict=True)) if a != b]
    for axis in axes:
        if shape[axis] < values.shape[axis] or len(axes) > 2:
            raise UserError(f"variable {name} of shape {values.shape} cannot be widened to {shape}")
        sources = copied(values.shape[axis], shape[axis])
        values = np.take(values, sources, axis)
        if axis != axes[-1]:
            times = np.bincount(sources)[sources].astype(values.dtype)
            values = values / times.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return values


def copied(narrow: int, wide: int) -> np.ndarray:
    """Return which narrow channel each wide one stands for, copies side by side: int [wide]."""
    return np.arange(wide) * narrow // wide
