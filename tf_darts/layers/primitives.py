"""Convolutions and poolings as the paper's PyTorch code computes them, on NHWC tensors.

PyTorch pads symmetrically; TensorFlow's `SAME` does so only at stride 1. At stride 2 the input is padded
explicitly (windows centred on even pixels), so that even and odd sizes agree with the published code.
All functions need static heights and widths and compile under XLA. Kernels are cast to the images' type.
"""

import numpy as np
import tensorflow as tf

from tf_darts.layers import depthwise
from tf_darts.layers.max_pool import max_pool


def _pad(x: tf.Tensor, size: int) -> tf.Tensor:
    return tf.pad(x, [[0, 0], [size, size], [size, size], [0, 0]])


def conv(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Convolve with padding (k-1)/2 on each side; `kernel` is [kh, kw, C_in, C_out], kh and kw odd."""
    kernel = tf.cast(kernel, x.dtype)
    if stride == 1:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    high, wide = ((k - 1) // 2 for k in kernel.shape[:2])
    if high or wide:
        x = tf.pad(x, [[0, 0], [high, high], [wide, wide], [0, 0]])
    return tf.nn.conv2d(x, kernel, stride, "VALID")


def depthwise_conv(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1, dilation: int = 1) -> tf.Tensor:
    """Convolve each channel with padding dilation*(k-1)/2; `kernel` is [k, k, C, 1].

    At stride 2 there is no dilation: TensorFlow's kernel returns wrong values for the pair on CPU without
    saying so. What is wanted then equals an undilated convolution of every second pixel (`subsample`).
    """
    kernel = tf.cast(kernel, x.dtype)
    if stride == 1:
        return depthwise.depthwise_conv(x, kernel, dilation)
    if dilation != 1:
        raise ValueError(f"a depthwise convolution of stride {stride} has no dilation {dilation} here")
    x = _pad(x, (kernel.shape[0] - 1) // 2)
    return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "VALID")


def subsample(x: tf.Tensor, offset: int = 0) -> tf.Tensor:
    """Take every second pixel, starting with the first (or from `offset`, 0 or 1, in both directions)."""
    _, height, width, channels = x.shape
    if height % 2 or width % 2:
        return x[:, offset::2, offset::2, :]
    # Two slices without strides: the gradient of a strided slice takes ten times as long on CPU.
    batch = -1 if x.shape[0] is None else x.shape[0]
    rows = tf.reshape(x, [batch, height // 2, 2 * width * channels])
    rows = tf.slice(rows, [0, 0, offset * width * channels], [-1, -1, width * channels])
    pairs = tf.reshape(rows, [batch, height // 2, width // 2, 2 * channels])
    return tf.slice(pairs, [0, 0, 0, offset * channels], [-1, -1, -1, channels])


def zeros(x: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Return zeros of the shape and type that an operation of this stride makes of x."""
    return tf.zeros_like(subsample(x) if stride == 2 else x)


def max_pool_3x3(x: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Pool 3x3 windows by their maximum; padding never wins."""
    return max_pool(x, 3, stride, padding=1)


def max_pool_2x2(x: tf.Tensor) -> tf.Tensor:
    """Pool 2x2 pixels into their maximum; height and width are even."""
    return max_pool(x, 2, 2)


def avg_pool_3x3(x: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Average 3x3 windows; padding does not count in the divisor (4 at corners, 6 at borders)."""
    if stride == 1:
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")
    sums = 9.0 * tf.nn.avg_pool2d(_pad(x, 1), 3, stride, "VALID")
    rows, columns = (_pixels_in_window(size, stride) for size in x.shape[1:3])
    return sums / tf.constant((rows[:, None] * columns[None, :])[None, :, :, None], x.dtype)


def _pixels_in_window(size: int, stride: int) -> np.ndarray:
    """Count how many of the 3 positions of each window lie inside a line of `size` pixels padded by 1."""
    centres = np.arange(0, size, stride)
    return (np.minimum(centres + 1, size - 1) - np.maximum(centres - 1, 0) + 1).astype(np.float32)


def shuffle_channels(x: tf.Tensor, groups: int) -> tf.Tensor:
    """Move channel c of group g to channel c * groups + g, [B, H, W, C] (ShuffleNet, section 3.1)."""
    _, height, width, channels = x.shape
    apart = tf.reshape(x, [-1, height, width, groups, channels // groups])
    return tf.reshape(tf.transpose(apart, [0, 1, 2, 4, 3]), [-1, height, width, channels])
