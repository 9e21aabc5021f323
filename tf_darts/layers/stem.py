"""What images go through before the first cell."""

import math
from typing import Any

import tensorflow as tf

from tf_darts.layers import primitives
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation


class Stem(Operation):
    """3x3 convolution and affine BN, without ReLU."""

    def __init__(self, channels: int, channels_in: int, **kwargs: Any):
        super().__init__(channels, affine=True, **kwargs)
        self.conv = self.kernel("conv", 3, 3, channels_in, channels)
        self.norm = self.batch_norm("norm", channels)

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        return self.norm(primitives.conv(node.x, self.conv.value), training=training)


class PooledStem(Stem):
    """3x3 convolution, affine BN, ReLU, and 2x2 max pooling.

    [B, H, W, channels_in] -> [B, H/2, W/2, C]. One layer sees every pixel; the cells, at half the
    resolution, take a quarter of the time.
    """

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        return primitives.max_pool_2x2(tf.nn.relu(super().call(node, training=training)))


class ImageNetStem(Operation):
    """Three 3x3 convolutions of stride 2, each with BN, and a ReLU before the second and the third.

    [B, H, W, channels_in] -> [B, H/4, W/4, C] and [B, H/8, W/8, C], the inputs of the first cell.
    """

    def __init__(self, channels: int, channels_in: int, **kwargs: Any):
        super().__init__(channels, stride=8, affine=True, **kwargs)
        half = channels // 2
        self.conv_1 = self.kernel("conv_1", 3, 3, channels_in, half)
        self.norm_1 = self.batch_norm("norm_1", half)
        self.conv_2 = self.kernel("conv_2", 3, 3, half, channels)
        self.norm_2 = self.batch_norm("norm_2", channels)
        self.conv_3 = self.kernel("conv_3", 3, 3, channels, channels)
        self.norm_3 = self.batch_norm("norm_3", channels)

    def multiply_adds(self, positions: int) -> int:
        kernels = (self.conv_1, self.conv_2, self.conv_3)  # positions: of the images
        return sum(positions // 4**i * math.prod(kernel.shape) for i, kernel in enumerate(kernels, 1))

    def call(self, node: NodeOutput, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        x = self.norm_1(primitives.conv(node.x, self.conv_1.value, 2), training=training)
        first = self.norm_2(primitives.conv(tf.nn.relu(x), self.conv_2.value, 2), training=training)
        second = self.norm_3(primitives.conv(tf.nn.relu(first), self.conv_3.value, 2), training=training)
        return first, second
