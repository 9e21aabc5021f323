"""Max pooling, and the gradient of it that XLA can compile where results have to repeat.

XLA scatters the gradient to the largest of each window, in an order that may differ from call to call; under
`runtime.deterministic` TensorFlow refuses to compile it. The formulation for XLA compares instead: of each
position in a window it asks whether the largest is there and at none before, which is TensorFlow's rule for
ties, and shifts the gradient there. Sums over windows have TensorFlow's order too, so that bits are equal.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_darts.runtime import xla


def max_pool(x: tf.Tensor, size: int, stride: int, padding: int = 0) -> tf.Tensor:
    """Pool windows by their maximum; padding never wins.

    Args:
      x: [B, H, W, C], H and W known.
      size: height and width of a window.
      stride: between windows.
      padding: rows and columns around the images.

    Returns:
      [B, (H + 2*padding - size) // stride + 1, the same of W, C].
    """
    if xla.compiles():
        return _by_comparisons(x, size, stride, padding)
    return _plain(x, size, stride, padding)


def _plain(x: tf.Tensor, size: int, stride: int, padding: int) -> tf.Tensor:
    if stride == 1 and size == 2 * padding + 1:
        return tf.nn.max_pool2d(x, size, 1, "SAME")
    return tf.nn.max_pool2d(_padded(x, padding) if padding else x, size, stride, "VALID")


def _padded(x: tf.Tensor, padding: int) -> tf.Tensor:
    around = [padding, padding]
    return tf.pad(x, [[0, 0], around, around, [0, 0]], constant_values=x.dtype.min)


def _by_comparisons(x: tf.Tensor, size: int, stride: int, padding: int) -> tf.Tensor:
    high, wide = (side + 2 * padding for side in x.shape[1:3])

    @tf.custom_gradient
    def pooled(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        y = _plain(x, size, stride, padding)

        def gradient(dy: tf.Tensor) -> tf.Tensor:
            seen = _padded(x, padding) if padding else x
            rows, columns = (stride * (n - 1) + 1 for n in y.shape[1:3])  # from the first window to the last
            taken, shifted = tf.zeros_like(y, tf.bool), []
            for i in range(size):
                for j in range(size):
                    equal = seen[:, i : i + rows : stride, j : j + columns : stride] == y
                    own = tf.where(equal & ~taken, dy, tf.zeros_like(dy))
                    taken |= equal
                    after = [high - i - rows, wide - j - columns]
                    shifted.append(
                        tf.pad(_apart(own, stride), [[0, 0], [i, after[0]], [j, after[1]], [0, 0]])
                    )
            total = shifted.pop()  # of the windows that begin first: the pixel is their last
            while shifted:
                total += shifted.pop()
            return total[:, padding : high - padding, padding : wide - padding]

        return y, gradient

    return pooled(x)


def _apart(x: tf.Tensor, stride: int) -> tf.Tensor:
    """Put stride - 1 rows and columns of zeros between those of x."""
    if stride == 1:
        return x
    _, high, wide, channels = x.shape
    between = [0, stride - 1]
    x = tf.reshape(x, [-1, high, 1, wide, 1, channels])
    x = tf.pad(x, [[0, 0], [0, 0], between, [0, 0], between, [0, 0]])
    x = tf.reshape(x, [-1, high * stride, wide * stride, channels])
    return x[:, : stride * (high - 1) + 1, : stride * (wide - 1) + 1]
