"""The head: pooling and the classifier."""

from typing import Any

import keras
import tensorflow as tf

from tf_darts.layers.layer import uniform_fan_in
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.runtime.seeds import fold


class Head(Operation):
    """(BN and ReLU,) global average pooling and the classifier: [B, H, W, C] -> logits [B, classes]."""

    def __init__(self, channels: int, classes: int, batch_norm: bool, **kwargs: Any):
        super().__init__(channels, affine=True, **kwargs)
        self.norm = self.batch_norm("norm", channels) if batch_norm else None
        self.classifier = classifier(channels, classes, self.seed)

    def multiply_adds(self, positions: int) -> int:
        return self.channels * self.classifier.units  # after the pooling

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        x = node.x
        if self.norm is not None:
            x = tf.nn.relu(self.norm(x, training=training))
        return self.classifier(tf.reduce_mean(tf.cast(x, self.classifier.dtype), [1, 2]))


def classifier(channels: int, classes: int, seed: int) -> keras.layers.Dense:
    """Make a dense layer channels -> classes with PyTorch's initial weights; logits are of their type."""
    layer = keras.layers.Dense(
        classes,
        kernel_initializer=uniform_fan_in(channels, fold(seed, "classifier", "kernel")),
        bias_initializer=uniform_fan_in(channels, fold(seed, "classifier", "bias")),
        dtype=keras.config.floatx(),
        name="classifier",
    )
    layer.build((None, channels))
    return layer
