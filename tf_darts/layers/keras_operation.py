"""Operations of a user's own: plain Keras layers as operations, and the check of what an operation must do.

docs/extending.md shows both ways to write one.
"""

import contextlib
import functools
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.layers import operations
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.registry import OPERATIONS

SIDE = 8  # of the images that an operation is tried on

Factory = Callable[[int, int, bool], keras.layers.Layer]
"""Makes the layer for (channels, stride, affine)."""


class KerasOperation(Operation):
    """A Keras layer as an operation: weight * layer(x).

    The layer's variables have to exist once it is built for inputs [batch, height, width, channels] of
    unknown height and width. What it draws at random, initial weights included, is a function of the seed.

    Args:
      factory: called with (channels, stride, affine); returns the layer.
      channels: C, channels in and out.
      stride: 1 or 2.
    """

    def __init__(
        self,
        factory: Factory,
        channels: int,
        stride: int = 1,
        **kwargs: Any,
    ):
        super().__init__(channels, stride, **kwargs)
        with _seeded(self.seed):
            self.layer = factory(channels, stride, self.affine)
            if not self.layer.built:
                self.layer.build((None, None, None, channels))
        self.keeps = len(getattr(self.layer, "layers", [self.layer]))

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        return self.weigh(self.layer(node.x, training=training), weight)


def keras_operation(factory: Factory) -> Callable[..., KerasOperation]:
    """Turn a function (channels, stride, affine) -> Keras layer into an operation that can be registered.

    `affine` says whether batch norms should have scale and offset: not in a supernet, where the mixing weight
    takes their place (DARTS, section 3.1.1).
    """

    @functools.wraps(factory, updated=())
    def make(channels: int, stride: int, **kwargs: Any) -> KerasOperation:
        return KerasOperation(factory, channels, stride, **kwargs)

    return make


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Python's generator, from which Keras takes seeds of initializers and dropout, and put it back."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def check(names: Iterable[str], channels: int, affine: bool) -> None:
    """Try the operations that are not built in, before long work is built on them.

    Args:
      names: of operations.
      channels: number of channels to try them with.
      affine: whether as in a network (True) or as in a supernet.

    Raises:
      UserError: one fails, returns another shape or type, makes variables when it is called, or does not
        multiply with its mixing weight.
    """
    for name in sorted(set(names) - OPERATIONS.built_in):
        for stride in (1, 2):
            place = f"operation {name!r} with {channels} channels and stride {stride}"
            try:
                problem = _problem(operations.make(name, channels, stride, affine, seed=0), channels, stride)
            except UserError:
                raise
            except Exception as error:  # it is a user's program and may fail in any way
                problem = f"fails: {type(error).__name__}: {error}"
            if problem:
                raise UserError(f"{place} {problem}")


def _problem(operation: Operation, channels: int, stride: int) -> str:
    """Return what is wrong with an operation; empty if nothing is."""
    if not isinstance(operation, Operation):
        return f"is a {type(operation).__name__}; allowed: an Operation (for a Keras layer: keras_operation)"
    floats = keras.config.floatx()
    x = tf.constant(np.random.default_rng(0).normal(size=(2, SIDE, SIDE, channels)), floats)
    for v in operation.variables:
        if keras.backend.is_float_dtype(v.dtype) and v.dtype != floats:
            return f"has the variable {v.name!r} of {v.dtype}; allowed: {floats}, as one without a dtype is"
    before = len(operation.variables)
    for training in (True, False):
        y = operation(x, training=training)
    if len(operation.variables) != before:
        return "makes variables when it is called; allowed: all of them when it is constructed or built"
    wanted = (2, SIDE // stride, SIDE // stride, channels)
    if not tf.is_tensor(y) or tuple(y.shape) != wanted or y.dtype != floats:
        found = f"{y.dtype.name} {tuple(y.shape)}" if tf.is_tensor(y) else type(y).__name__
        return f"makes {found} of {floats} {tuple(x.shape)}; allowed: {floats} {wanted}"
    if not np.isfinite(y).all():
        return "gives values that are not finite"
    weighted = operation(x, weight=tf.fill([channels], tf.constant(0.25, floats)), training=False)
    draws = not np.array_equal(operation(x, training=False), y)  # anew at each call: nothing to compare with
    if not draws and not np.allclose(weighted, 0.25 * y, rtol=1e-4, atol=1e-5):
        return "does not multiply with its mixing weight; its call may end with self.weigh(y, weight)"
    return ""
