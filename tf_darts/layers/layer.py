"""The bases of all layers, and the initial weights of PyTorch."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_darts.layers.node_output import NodeOutput


class _Uniform(keras.initializers.RandomUniform):
    """Draws in float32 for variables of any type: a run in float64 starts where one in float32 does."""

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> tf.Tensor:
        return tf.cast(super().__call__(shape, "float32"), dtype or keras.config.floatx())


def uniform_fan_in(fan_in: int, seed: int) -> keras.initializers.Initializer:
    """Make U(-b, b), b = 1/sqrt(fan_in): PyTorch's default for convolutions, dense kernels and biases."""
    bound = fan_in**-0.5
    return _Uniform(-bound, bound, seed=seed)


class Layer(keras.layers.Layer):
    """A Keras layer whose weights all exist once it is constructed.

    Keras then has nothing to build at the first call; it would otherwise trace the whole supernet an
    extra time at every level of nesting. Types are cast where it says so and nowhere else: Keras would bring
    every input to the type of the layer's variables.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.built = True


class NodeLayer(Layer):
    """A layer that is called with a node's output: a `NodeOutput`, or a tensor of which one is made."""

    def __call__(self, node: NodeOutput | tf.Tensor, **kwargs: Any) -> tf.Tensor:
        # By name, because Keras lets nothing but tensors be given by position.
        return super().__call__(node=node if isinstance(node, NodeOutput) else NodeOutput(node), **kwargs)
