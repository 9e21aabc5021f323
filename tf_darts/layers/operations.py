"""The candidate operations, by name: a Keras layer each (algorithm: paper, section 2; DARTS, section 3).

Every operation maps [B, H, W, C] to [B, H/stride, W/stride, C]. Their names are in
`tf_darts.registry.OPERATIONS`, whose `register` adds one (docs/extending.md).
"""

from functools import partial
from typing import Any

import tensorflow as tf

from tf_darts.layers import primitives
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.registry import OPERATIONS
from tf_darts.runtime import draws
from tf_darts.runtime.seeds import fold


class Zero(Operation):
    """`none`: zeros of the output's shape."""

    is_zero = True
    keeps = 0

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        return node.then(primitives.zeros, self.stride).x


class Noise(Operation):
    """`noise` (S4): fresh N(0, 1) of the output's shape in training and evaluation; a constant for x."""

    keeps = 1

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # Counts the draws, so that each one is new and a resumed run draws on where it was.
        self.draws = self.add_weight(
            name="draws",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        like = node.then(primitives.zeros, self.stride).x
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([tf.cast(replica, tf.int32) + fold(self.seed, "noise"), self.draws.value])
        self.draws.assign(self.draws.value + 1)
        noise = tf.cast(draws.normal(tf.shape(like), seed), like.dtype)
        return self.weigh(tf.stop_gradient(noise), weight)


class Identity(Operation):
    """`skip_connect` at stride 1."""

    is_identity = True
    keeps = 0

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        return self.weigh(node.x, weight)


class FactorizedReduce(Operation):
    """Halves height and width: ReLU, two 1x1 convolutions of stride 2, the second one pixel on; BN.

    Odd heights or widths have no meaning here (the two halves would differ in size).
    """

    keeps = 3

    def __init__(self, channels: int, stride: int = 2, channels_in: int | None = None, **kwargs: Any):
        super().__init__(channels, 2, **kwargs)
        channels_in = channels_in or channels
        self.conv_1 = self.kernel("conv_1", 1, 1, channels_in, channels // 2)
        self.conv_2 = self.kernel("conv_2", 1, 1, channels_in, channels - channels // 2)
        self.norm = self.batch_norm("norm", channels)

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        size = tuple(node.x.shape[1:3])
        if size[0] % 2 or size[1] % 2:
            raise ValueError(f"a factorized reduction needs even height and width, not {size}")
        relu = node.then(tf.nn.relu)
        halves = [
            primitives.conv(relu.then(primitives.subsample).x, self.conv_1.value),
            primitives.conv(relu.then(primitives.subsample, 1).x, self.conv_2.value),
        ]
        return self.norm(tf.concat(halves, -1), weight=weight, training=training)


def skip_connect(channels: int, stride: int = 1, **kwargs: Any) -> Operation:
    """Make an identity at stride 1, a factorized reduction at stride 2."""
    return Identity(channels, stride, **kwargs) if stride == 1 else FactorizedReduce(channels, **kwargs)


class MaxPool(Operation):
    """`max_pool_3x3`."""

    keeps = 0
    keeps_of_node = True

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        return self.weigh(node.then(primitives.max_pool_3x3, self.stride).x, weight)


class AvgPool(Operation):
    """`avg_pool_3x3`."""

    keeps = 0
    keeps_of_node = True

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        return self.weigh(node.then(primitives.avg_pool_3x3, self.stride).x, weight)


class ReluConvBN(Operation):
    """ReLU, k x k convolution, BN: `nor_conv_1x1`, `nor_conv_3x3`, and the cells' preprocessing."""

    keeps = 1

    def __init__(
        self, channels: int, stride: int = 1, size: int = 1, channels_in: int | None = None, **kwargs: Any
    ):
        super().__init__(channels, stride, **kwargs)
        self.conv = self.kernel("conv", size, size, channels_in or channels, channels)
        self.norm = self.batch_norm("norm", channels)

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        y = primitives.conv(node.then(tf.nn.relu).x, self.conv.value, self.stride)
        return self.norm(y, weight=weight, training=training)


class SeparableConv(Operation):
    """Twice: ReLU, depthwise k x k, pointwise 1x1, BN; the stride is in the first depthwise convolution."""

    keeps = 5

    def __init__(self, channels: int, stride: int = 1, size: int = 3, **kwargs: Any):
        super().__init__(channels, stride, **kwargs)
        self.depthwise_1 = self.depthwise_kernel("depthwise_1", size, channels)
        self.pointwise_1 = self.kernel("pointwise_1", 1, 1, channels, channels)
        self.norm_1 = self.batch_norm("norm_1", channels)
        self.depthwise_2 = self.depthwise_kernel("depthwise_2", size, channels)
        self.pointwise_2 = self.kernel("pointwise_2", 1, 1, channels, channels)
        self.norm_2 = self.batch_norm("norm_2", channels)

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        y = primitives.depthwise_conv(node.then(tf.nn.relu).x, self.depthwise_1.value, self.stride)
        y = self.norm_1(primitives.conv(y, self.pointwise_1.value), training=training)
        y = primitives.depthwise_conv(tf.nn.relu(y), self.depthwise_2.value)
        return self.norm_2(primitives.conv(y, self.pointwise_2.value), weight=weight, training=training)


class DilatedConv(Operation):
    """ReLU, depthwise k x k of dilation 2, pointwise 1x1, BN."""

    keeps = 2

    def __init__(self, channels: int, stride: int = 1, size: int = 3, **kwargs: Any):
        super().__init__(channels, stride, **kwargs)
        self.depthwise = self.depthwise_kernel("depthwise", size, channels)
        self.pointwise = self.kernel("pointwise", 1, 1, channels, channels)
        self.norm = self.batch_norm("norm", channels)

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        node = node.then(tf.nn.relu)
        if self.shortens:  # of dilation 2 and stride 2: of every second pixel, undilated
            y = primitives.depthwise_conv(node.then(primitives.subsample).x, self.depthwise.value)
        else:
            y = primitives.depthwise_conv(node.x, self.depthwise.value, dilation=2)
        return self.norm(primitives.conv(y, self.pointwise.value), weight=weight, training=training)


class Conv1x7And7x1(Operation):
    """ReLU, 1x7 convolution with the stride along the width, 7x1 along the height, BN."""

    keeps = 2

    def __init__(self, channels: int, stride: int = 1, **kwargs: Any):
        super().__init__(channels, stride, **kwargs)
        self.conv_1x7 = self.kernel("conv_1x7", 1, 7, channels, channels)
        self.conv_7x1 = self.kernel("conv_7x1", 7, 1, channels, channels)
        self.norm = self.batch_norm("norm", channels)

    def multiply_adds(self, positions: int) -> int:
        return 7 * self.channels**2 * positions * (self.stride + 1)  # the 1x7 leaves the height whole

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        # Each convolution runs at stride 1 and its own direction is thinned out afterwards: TensorFlow
        # has no convolution whose strides differ between height and width.
        y = primitives.conv(node.then(tf.nn.relu).x, self.conv_1x7.value)[:, :, :: self.stride]
        y = primitives.conv(y, self.conv_7x1.value)[:, :: self.stride]
        return self.norm(y, weight=weight, training=training)


# Names that are a class with a size.
sep_conv_3x3 = partial(SeparableConv, size=3)
sep_conv_5x5 = partial(SeparableConv, size=5)
sep_conv_7x7 = partial(SeparableConv, size=7)
dil_conv_3x3 = partial(DilatedConv, size=3)
dil_conv_5x5 = partial(DilatedConv, size=5)
nor_conv_1x1 = partial(ReluConvBN, size=1)
nor_conv_3x3 = partial(ReluConvBN, size=3)


def make(name: str, channels: int, stride: int, affine: bool, seed: int) -> Operation:
    """Make the operation of this name as a layer; its weights are functions of the seed alone.

    Raises:
      UserError: there is none of this name, or its module cannot be imported.
    """
    return OPERATIONS.load(name)(channels, stride, affine=affine, seed=seed, name=name)


def has_weights(name: str) -> bool:
    """Return whether the operation of this name has weights to train in a supernet, at stride 1."""
    return bool(make(name, 2, 1, affine=False, seed=0).trainable_variables)
