"""The fixed reduction between the stages of NAS-Bench-201."""

from typing import Any

import tensorflow as tf

from tf_darts.layers import primitives
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.layers.operations import ReluConvBN
from tf_darts.runtime.seeds import fold


class ResidualBlock(Operation):
    """The fixed reduction of NAS-Bench-201: two 3x3 ReLU-conv-BN, plus 2x2 average pooling and 1x1 conv."""

    def __init__(self, channels: int, channels_in: int, seed: int, **kwargs: Any):
        super().__init__(channels, stride=2, affine=True, seed=seed, **kwargs)
        self.conv_a = ReluConvBN(
            channels, 2, 3, channels_in, affine=True, seed=fold(seed, "conv_a"), name="conv_a"
        )
        self.conv_b = ReluConvBN(channels, 1, 3, affine=True, seed=fold(seed, "conv_b"), name="conv_b")
        self.shortcut = self.kernel("shortcut", 1, 1, channels_in, channels)

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        main = self.conv_b(self.conv_a(node, training=training), training=training)
        return main + primitives.conv(tf.nn.avg_pool2d(node.x, 2, 2, "VALID"), self.shortcut.value)
