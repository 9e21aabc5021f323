"""A mixed edge on native kernels: two operations, of which a probe repeats the second, and one gradient.

The first, `units`, computes the convolutions of all candidates and the statistics of their batch norms. The
second, `weighted_sum`, normalises, weighs and adds, and has the gradient of both. What lies between them is
kept for the gradient, in an order of the kernels' own.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tf_darts.native import library

# Numbers of `Kind` in source/edge.h.
KINDS = {
    "skip": 0,
    "max_pool": 1,
    "average_pool": 2,
    "convolution": 3,
    "factorized_reduction": 4,
    "dense": 5,
}

# Sizes and dilations of the depthwise convolutions that the kernels know.
DEPTHWISE = ((3, 1), (5, 1), (7, 1), (3, 2), (5, 2))

DENSE = (1, 3)  # sizes of convolutions over all channels, of stride 1, that they know


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One operation of an edge, as the kernels see it.

    Attributes:
      kind: a name of KINDS.
      norms: how many batch norms it has: one for each unit of a convolution, none or one after a pooling.
      size: of its depthwise or dense kernels.
      dilation: of their pixels.
    """

    kind: str
    norms: int = 0
    size: int = 0
    dilation: int = 0

    @property
    def pools(self) -> bool:
        """Whether it is a pooling."""
        return self.kind in ("max_pool", "average_pool")

    @property
    def units(self) -> int:
        """How many convolutions it has that a batch norm follows."""
        return 0 if self.pools else self.norms


@dataclasses.dataclass(frozen=True)
class EdgeUnits:
    """What `units` leaves for `weighted_sum`.

    Attributes:
      x: the edge's input, [B, H, W, C].
      kernels: those of all convolutions.
      z: the output of each unit before its batch norm.
      statistics: mean and biased variance of each batch norm, [norms, 2, channels of the kernels].
      scales: scale of each batch norm, [C]; empty: 1.
      offsets: offset of each, likewise.
      attributes: what describes the edge.
    """

    x: tf.Tensor
    kernels: list[tf.Tensor]
    z: list[tf.Tensor]
    statistics: tf.Tensor
    scales: list[tf.Tensor]
    offsets: list[tf.Tensor]
    attributes: dict[str, Any]


def _attributes(
    candidates: Sequence[Candidate], stride: int, epsilon: float, momentum: float
) -> dict[str, Any]:
    numbers = [n for c in candidates for n in (KINDS[c.kind], c.size, c.dilation, c.norms)]
    return {"stride": stride, "candidates": numbers, "epsilon": epsilon, "momentum": momentum}


def pool_statistics(x: tf.Tensor, kind: str, stride: int) -> tf.Tensor:
    """Return mean and biased variance of a pooling of x [B, H, W, C], float32 [2, channels of the kernels].

    They are constants for the gradient: that of `weighted_sum` has their part.
    """
    # Neither of the last two is used where nothing is normalised.
    attributes = _attributes([Candidate(kind)], stride, epsilon=0.0, momentum=0.0)
    statistics = library.operations().tf_darts_pool_statistics(x=x, **attributes)
    return tf.ensure_shape(statistics, [2, None])


def units(
    x: tf.Tensor,
    candidates: Sequence[Candidate],
    stride: int,
    kernels: Sequence[tf.Tensor],
    pooled: Sequence[tf.Tensor],
    running: Sequence[tuple[tf.Tensor, tf.Tensor]],
    scaled: Sequence[tuple[tf.Tensor, tf.Tensor]],
    epsilon: float,
    momentum: float,
) -> tuple[EdgeUnits, list[tf.Tensor], list[tf.Tensor]]:
    """Compute the convolutions of an edge, and all statistics.

    Args:
      x: float32 [B, H, W, C].
      candidates: the operations.
      stride: of the edge.
      kernels: of each unit: depthwise [k, k, C, 1] and 1x1 [1, 1, C, C], or both [1, 1, C, C/2] of a
        factorized reduction, or the dense one [k, k, C, C].
      pooled: `pool_statistics` of each pooling that has a batch norm.
      running: running mean and variance of each batch norm, [C].
      scaled: scale and offset of each batch norm, [C]; empty: they have none.
      epsilon: of the batch norms.
      momentum: weight of the old running estimates.

    Returns:
      What `weighted_sum` needs, and the moved running means and variances.
    """
    attributes, channels = _attributes(candidates, stride, epsilon, momentum), x.shape[-1]
    scales, offsets = [scale for scale, _ in scaled], [offset for _, offset in scaled]
    z, statistics, means, variances = library.operations().tf_darts_units(
        x=x,
        kernels=list(kernels),
        pooled=list(pooled),
        scales=scales,
        offsets=offsets,
        means=[mean for mean, _ in running],
        variances=[variance for _, variance in running],
        unit_count=sum(candidate.units for candidate in candidates),
        **attributes,
    )
    for estimate in (*means, *variances):
        estimate.set_shape([channels])
    made = EdgeUnits(x, list(kernels), list(z), statistics, scales, offsets, attributes)
    return made, list(means), list(variances)


def weighted_sum(
    made: EdgeUnits,
    weights: Sequence[tf.Tensor],
    kernel_gradients: bool,
    factors: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the edge's output, [B, H/stride, W/stride, C].

    Args:
      made: from `units`.
      weights: the mixing weight of each candidate, [C] with equal elements.
      kernel_gradients: whether the gradients with respect to the kernels may be asked for.
      factors: what each image's output is multiplied with, [B], a constant for gradients; None: 1.
    """
    y = library.operations().tf_darts_sum(
        x=made.x,
        kernels=made.kernels,
        z=made.z,
        statistics=made.statistics,
        weights=list(weights),
        scales=made.scales,
        offsets=made.offsets,
        factors=[] if factors is None else [factors],
        kernel_gradients=kernel_gradients,
        **made.attributes,
    )
    batch, height, width, channels = made.x.shape
    stride = made.attributes["stride"]
    y.set_shape([batch, -(-height // stride), -(-width // stride), channels])
    return y


def _gradient(operation: tf.Operation, dy: tf.Tensor) -> list[tf.Tensor | None]:
    """Return the gradients of input, kernels and mixing weights, whose paths through `units` they include."""
    sizes = [1, *(operation.get_attr(f"{name}_count") for name in ("kernel", "unit"))]
    sizes += [1, *(operation.get_attr(f"{name}_count") for name in ("candidate", "scale", "scale", "factor"))]
    (x,), kernels, z, (statistics,), weights, scales, offsets, factors = _split(list(operation.inputs), sizes)
    names = ("stride", "candidates", "epsilon", "momentum", "kernel_gradients")
    dx, dweights, dkernels, dscales, doffsets = library.operations().tf_darts_gradient(
        x=x,
        kernels=kernels,
        z=z,
        statistics=statistics,
        weights=weights,
        scales=scales,
        offsets=offsets,
        factors=factors,
        dy=dy,
        **{name: operation.get_attr(name) for name in names},
    )
    dx.set_shape(x.shape)
    dweights.set_shape([len(weights), x.shape[-1]])
    of_kernels: list[tf.Tensor | None] = [None] * len(kernels)
    if operation.get_attr("kernel_gradients"):
        of_kernels = list(dkernels)
        for gradient, kernel in zip(dkernels, kernels, strict=True):
            gradient.set_shape(kernel.shape)
    for gradient in (*dscales, *doffsets):
        gradient.set_shape(x.shape[-1:])
    of_scales, no_factors = [*dscales, *doffsets], [None] * len(factors)
    return [dx, *of_kernels, *[None] * len(z), None, *tf.unstack(dweights), *of_scales, *no_factors]


def _split(values: list[tf.Tensor], sizes: list[int]) -> list[list[tf.Tensor]]:
    """Return the values in groups of these sizes."""
    given = iter(values)
    return [list(itertools.islice(given, size)) for size in sizes]


tf.no_gradient("TfDartsPoolStatistics")
tf.no_gradient("TfDartsUnits")
tf.RegisterGradient("TfDartsSum")(_gradient)
