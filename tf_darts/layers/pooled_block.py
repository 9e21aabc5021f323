"""The reduction between the stages of networks whose stem is pooled."""

from typing import Any

import tensorflow as tf

from tf_darts.layers import primitives
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.layers.operations import ReluConvBN
from tf_darts.runtime.seeds import fold


class PooledBlock(Operation):
    """A 3x3 ReLU-conv-BN at full resolution, then 2x2 max pooling."""

    def __init__(self, channels: int, channels_in: int, seed: int, **kwargs: Any):
        super().__init__(channels, stride=2, affine=True, seed=seed, **kwargs)
        self.conv = ReluConvBN(channels, 1, 3, channels_in, affine=True, seed=fold(seed, "conv"), name="conv")

    def multiply_adds(self, positions: int) -> int:
        return self.conv.multiply_adds(4 * positions)  # positions: after the pooling

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        return primitives.max_pool_2x2(self.conv(node, training=training))
