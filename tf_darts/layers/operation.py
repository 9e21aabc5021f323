"""What every operation is made of: seeded kernels as PyTorch initialises them, and batch norm."""

import math
from typing import Any

import keras
import tensorflow as tf

from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.layer import NodeLayer, uniform_fan_in
from tf_darts.layers.node_output import NodeOutput
from tf_darts.registry import OPERATIONS
from tf_darts.runtime.seeds import fold


class Operation(NodeLayer):
    """Base of every candidate operation: x [B, H, W, C] -> weight * op(x), [B, H/stride, W/stride, C].

    `call(node, weight=None, training=False)` computes it: `node` is the output of the edge's source node
    (`node.x` the tensor, `node.then(tf.nn.relu)` what other edges share), `weight` the mixing weight, [C]
    with equal elements, or None for 1. A batch norm at the end of the operation takes the weight as its
    scale, which costs nothing; other operations end with `weigh`.

    Attributes:
      channels: C, channels in and out.
      stride: 1 or 2.
      affine: whether batch norms have scale and offset (networks) or not (supernets).
    """

    # Properties that the loops may ask for instead of an operation's name.
    is_zero = False  # contributes nothing, so that it need not be computed
    is_identity = False  # drop path leaves it alone
    # For the estimate of memory: how many tensors of the output's size a step keeps for the gradients of an
    # operation, and whether it keeps one that all edges of its node share.
    keeps = 2
    keeps_of_node = False

    def __init__(self, channels: int, stride: int = 1, affine: bool = False, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels, self.stride, self.affine, self.seed = channels, stride, affine, seed

    def weigh(self, y: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
        """Return weight * y, or y where there is no weight."""
        return y if weight is None else tf.cast(weight, y.dtype) * y

    def kernel(self, name: str, high: int, wide: int, channels_in: int, channels_out: int) -> keras.Variable:
        """Make a convolution kernel [high, wide, channels_in, channels_out]."""
        fan_in = high * wide * channels_in
        initializer = uniform_fan_in(fan_in, fold(self.seed, name))
        return self.add_weight(
            name=name, shape=(high, wide, channels_in, channels_out), initializer=initializer
        )

    def depthwise_kernel(self, name: str, size: int, channels: int) -> keras.Variable:
        """Make a depthwise kernel [size, size, channels, 1]; its fan-in is size*size, a channel's window."""
        initializer = uniform_fan_in(size * size, fold(self.seed, name))
        return self.add_weight(name=name, shape=(size, size, channels, 1), initializer=initializer)

    def multiply_adds(self, positions: int) -> int:
        """Count the multiply-adds for one image: each kernel is used once per position of the output.

        Kernels are the trainable variables of four dimensions. An operation that uses its variables otherwise
        overrides this.

        Args:
          positions: height x width of the output, pixels.
        """
        kernels = [v for v in self.trainable_variables if len(v.shape) == 4]
        return positions * sum(math.prod(kernel.shape) for kernel in kernels)

    def batch_norm(self, name: str, channels: int, affine: bool | None = None) -> "BatchNorm":
        """Make a batch norm of this operation, affine as the operation is unless said otherwise."""
        return BatchNorm(channels, affine=self.affine if affine is None else affine, name=name)

    @property
    def shortens(self) -> bool:
        """Whether height and width are halved."""
        return self.stride == 2


def apply_operation(operation: Operation, node: NodeOutput, **more: Any) -> tf.Tensor:
    """Call operation(node, **more); one that is not built in works in the type of its variables."""
    if operation.name in OPERATIONS.built_in or node.x.dtype == operation.dtype:
        return operation(node, **more)
    return tf.cast(operation(node.then(tf.cast, operation.dtype), **more), node.x.dtype)
