"""Depthwise convolution of stride 1, and the formulation of it that is fastest on each kind of device.

On CPU three things cost several times what they must, and each has an equal that does not:
- `tf.nn.depthwise_conv2d` moves pixels to the batch and back for a dilation, which oneDNN's operation can do
  itself;
- oneDNN's gradients with respect to input and kernel ignore the dilation, so that they must not be used.
  The first is the convolution of the gradient with the kernel turned round;
- its gradient with respect to the kernel is eight times slower for kernels wider than 3 than for those of
  width 3. A kernel's columns come in threes (-s, 0, s), and each three is the gradient of a kernel of width
  3 if s neighbouring pixels are seen as one pixel of s times the channels.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_darts.layers.constants import constant
from tf_darts.runtime.scoped import holding
from tf_darts.runtime.strategy import device_type

_STRIDES = [1, 1, 1, 1]


_KERNEL_GRADIENTS: contextvars.ContextVar[bool] = contextvars.ContextVar("kernel gradients", default=True)


def no_kernel_gradients() -> contextlib.AbstractContextManager[None]:
    """Leave out the gradients with respect to depthwise kernels of forward passes recorded in this block.

    They would not be computed where nobody asks for them, but they would be in the graph.
    """
    return holding(_KERNEL_GRADIENTS, False)


def kernel_gradients() -> bool:
    """Return whether forward passes recorded now have gradients with respect to depthwise kernels."""
    return _KERNEL_GRADIENTS.get()


def plain(x: tf.Tensor, kernel: tf.Tensor, dilation: int) -> tf.Tensor:
    """Convolve by TensorFlow's own formulation, with its gradients."""
    return tf.nn.depthwise_conv2d(x, kernel, _STRIDES, "SAME", dilations=[dilation, dilation])


def in_groups(x: tf.Tensor, kernel: tf.Tensor, dilation: int) -> tf.Tensor:
    """Convolve a dilated kernel as a dense convolution in groups of one channel, which cuDNN and XLA dilate.

    `plain` moves pixels to the batch and back around each dilated convolution and each of its gradients: a
    third of what TensorFlow starts for it. TensorFlow computes no gradients in groups on a CPU, but XLA does.
    """
    if dilation == 1:
        return plain(x, kernel, 1)
    size, _, channels, _ = kernel.shape
    kernel = tf.reshape(kernel, constant([size, size, 1, channels], tf.int32))
    return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=dilation)


def by_threes(x: tf.Tensor, kernel: tf.Tensor, dilation: int) -> tf.Tensor:
    """Convolve as is fastest on CPUs; `plain` where that is as fast, or sizes or the build allow no other."""
    size, width = kernel.shape[0], x.shape[2]
    steps = [dilation * j for j in range(1, size // 2 + 1)]
    if size == 1 or (size == 3 and dilation == 1):
        return _native(x, kernel, 1)
    if any(width % step for step in steps) or not _dilates():
        return plain(x, kernel, dilation)

    wanted = kernel_gradients()

    @tf.custom_gradient
    def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
            of_kernel = _kernel_gradient(x, dy, size, dilation, steps) if wanted else None
            return _input_gradient(dy, kernel, dilation), of_kernel

        return _native(x, kernel, dilation), gradient

    return convolve(x, kernel)


def _input_gradient(dy: tf.Tensor, kernel: tf.Tensor, dilation: int) -> tf.Tensor:
    if dilation > 1:
        return by_threes(dy, tf.reverse(kernel, constant([0, 1], tf.int32)), dilation)
    return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=_shape(dy), filter=kernel, out_backprop=dy, strides=_STRIDES, padding="SAME"
    )


def _native(x: tf.Tensor, kernel: tf.Tensor, dilation: int) -> tf.Tensor:
    return tf.raw_ops.DepthwiseConv2dNative(
        input=x, filter=kernel, strides=_STRIDES, padding="SAME", dilations=[1, dilation, dilation, 1]
    )


def _shape(x: tf.Tensor) -> tf.Tensor:
    return constant(x.shape, tf.int32) if x.shape.is_fully_defined() else tf.shape(x)


def _kernel_gradient(x: tf.Tensor, dy: tf.Tensor, size: int, dilation: int, steps: list[int]) -> tf.Tensor:
    """Compute the gradient with respect to a kernel [size, size, C, 1], three columns at a time."""
    threes = [_three_columns(x, dy, size, dilation, step) for step in steps]
    # Outermost columns first: (-2s, 0, 2s), (-s, 0, s) -> -2s, -s, 0, s, 2s.
    number, one = len(threes), constant(1, tf.int32)
    order = [3 * i for i in range(number)] + [1] + [3 * i + 2 for i in reversed(range(number))]
    if number == 1:
        columns = threes[0]
    else:
        columns = tf.gather(tf.concat(threes[::-1], one), constant(order, tf.int32), axis=one)
    if dilation > 1:  # rows between those of the dilated kernel were computed too
        rows = np.arange(0, dilation * (size - 1) + 1, dilation)
        columns = tf.gather(columns, constant(rows, tf.int32), axis=constant(0, tf.int32))
    return columns


def _three_columns(x: tf.Tensor, dy: tf.Tensor, size: int, dilation: int, step: int) -> tf.Tensor:
    """Compute columns -step, 0, step of the gradient, all rows between: [dilation*(size-1)+1, 3, C, 1]."""
    batch, height, width, channels = x.shape
    high = dilation * (size - 1) + 1
    if step > 1:  # `step` neighbours are seen as one pixel
        seen = constant([-1 if batch is None else batch, height, width // step, step * channels], tf.int32)
        x, dy = tf.reshape(x, seen), tf.reshape(dy, seen)
    if high > height:  # a kernel higher than the image takes a slow path; rows of zeros add nothing
        missing = constant([[0, 0], [0, high - height], [0, 0], [0, 0]], tf.int32)
        x, dy = tf.pad(x, missing), tf.pad(dy, missing)
    gradient = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=x,
        filter_sizes=constant([high, 3, step * channels, 1], tf.int32),
        out_backprop=dy,
        strides=_STRIDES,
        padding="SAME",
    )
    if step == 1:
        return gradient
    parts = tf.reshape(gradient, constant([high, 3, step, channels, 1], tf.int32))
    return tf.reduce_sum(parts, constant(2, tf.int32))


@functools.cache
def _dilates() -> bool:
    """Try whether TensorFlow's operation dilates on this CPU.

    Without oneDNN, which TensorFlow leaves off on older processors, it fails or ignores the dilation.
    """
    with tf.init_scope(), tf.device("cpu"):
        x = tf.reshape(tf.range(8.0 * 8 * 16), [1, 8, 8, 16])
        kernel = tf.ones([3, 3, 16, 1])
        try:
            return bool(tf.reduce_all(_native(x, kernel, 2) == plain(x, kernel, 2)))
        except tf.errors.UnimplementedError:
            return False


# On a TPU the compiler chooses.
FORMULATIONS: dict[str, Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]] = {
    "CPU": by_threes,
    "GPU": in_groups,
    "TPU": plain,
}


def depthwise_conv(x: tf.Tensor, kernel: tf.Tensor, dilation: int = 1) -> tf.Tensor:
    """Convolve each channel with stride 1 and padding dilation*(k-1)/2, as is fastest where it runs.

    Args:
      x: [B, H, W, C].
      kernel: [k, k, C, 1], k odd.
      dilation: distance of the pixels under the kernel.

    Returns:
      [B, H, W, C].
    """
    # oneDNN, which dilates, has no float64; TensorFlow's own kernel there ignores the dilation.
    formulation = plain if x.dtype == tf.float64 else FORMULATIONS[device_type()]
    return formulation(x, kernel, dilation)
