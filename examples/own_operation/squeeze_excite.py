"""Your own candidate operation: a depthwise separable convolution with a gate for each channel.

Squeeze and excitation (Hu, Shen and Sun, CVPR 2018): the mean of each channel goes through two small layers,
whose output, between 0 and 1, multiplies the channel.
"""

import tensorflow as tf

from tf_darts.extend import NodeOutput, Operation, primitives


class SqueezeExcite(Operation):
    """ReLU, depthwise 3x3, pointwise 1x1, BN, gates: x [B, H, W, C] -> [B, H/stride, W/stride, C]."""

    def __init__(self, channels: int, stride: int = 1, **kwargs):
        super().__init__(channels, stride, **kwargs)
        hidden = max(channels // 4, 1)
        self.depthwise = self.depthwise_kernel("depthwise", 3, channels)
        self.pointwise = self.kernel("pointwise", 1, 1, channels, channels)
        self.norm = self.batch_norm("norm", channels)
        self.squeeze = self.kernel("squeeze", 1, 1, channels, hidden)
        self.excite = self.kernel("excite", 1, 1, hidden, channels)

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        relu = node.then(tf.nn.relu).x  # computed once for all operations that begin with it
        y = primitives.depthwise_conv(relu, self.depthwise.value, self.stride)
        y = self.norm(primitives.conv(y, self.pointwise.value), training=training)
        gate = tf.reduce_mean(y, [1, 2], keepdims=True)
        gate = tf.nn.relu(primitives.conv(gate, self.squeeze.value))
        gate = tf.sigmoid(primitives.conv(gate, self.excite.value))
        return self.weigh(gate * y, weight)

    def multiply_adds(self, positions: int) -> int:
        # Without this method each kernel would count once per position; those of the gates work once.
        hidden = self.squeeze.shape[-1]
        return positions * self.channels * (9 + self.channels) + 2 * self.channels * hidden
