"""What brings an earlier cell's output to a cell's width, on native kernels: ReLU, 1x1, batch norm."""

from collections.abc import Sequence

import tensorflow as tf

from tf_darts.native import library


def preprocess(
    parts: Sequence[tf.Tensor],
    kernel: tf.Tensor,
    running: tuple[tf.Tensor, tf.Tensor],
    scaled: tuple[tf.Tensor, tf.Tensor] | None,
    epsilon: float,
    momentum: float,
    kernel_gradients: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Compute the ReLU of an input, a 1x1 convolution, and the batch norm by the batch's statistics.

    Args:
      parts: the input, float32 [B, H, W, P] each; their channels follow one another.
      kernel: [1, 1, P * len(parts), C].
      running: running mean and variance, [C].
      scaled: scale and offset, [C]; None: 1 and 0.
      epsilon: of the batch norm.
      momentum: weight of the old running estimates.
      kernel_gradients: whether the gradient with respect to the kernel may be asked for.

    Returns:
      The output, [B, H, W, C], and the moved running mean and variance.
    """
    mean, variance = running
    scales, offsets = ([], []) if scaled is None else ([scaled[0]], [scaled[1]])
    made = library.operations().tf_darts_preprocess(
        parts=list(parts),
        kernel=kernel,
        scales=scales,
        offsets=offsets,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        momentum=momentum,
        kernel_gradients=kernel_gradients,
    )
    made.y.set_shape([*parts[0].shape[:3], kernel.shape[-1]])
    for estimate in (made.moved_mean, made.moved_variance):
        estimate.set_shape(kernel.shape[-1:])
    return made.y, made.moved_mean, made.moved_variance


def _gradient(operation: tf.Operation, dy: tf.Tensor, *_: tf.Tensor) -> list[tf.Tensor | None]:
    """Return the gradients of parts, kernel, scale and offset."""
    count, scaled = operation.get_attr("part_count"), operation.get_attr("scale_count")
    inputs, (_, z, statistics, *_) = list(operation.inputs), operation.outputs
    parts, kernel, scales = inputs[:count], inputs[count], inputs[count + 1 : count + 1 + scaled]
    names = ("epsilon", "momentum", "kernel_gradients")
    dparts, dkernel, dscales, doffsets = library.operations().tf_darts_preprocess_gradient(
        parts=parts,
        kernel=kernel,
        z=z,
        statistics=statistics,
        scales=scales,
        dy=dy,
        **{name: operation.get_attr(name) for name in names},
    )
    for gradient, part in zip(dparts, parts, strict=True):
        gradient.set_shape(part.shape)
    for gradient in (*dscales, *doffsets):
        gradient.set_shape(kernel.shape[-1:])
    of_kernel = None
    if operation.get_attr("kernel_gradients"):
        of_kernel = dkernel
        of_kernel.set_shape(kernel.shape)
    return [*dparts, of_kernel, *dscales, *doffsets, None, None]


tf.RegisterGradient("TfDartsPreprocess")(_gradient)
