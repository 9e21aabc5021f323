"""The operations of a mixed edge that native kernels compute together (`tf_darts.native`)."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tf_darts.layers import depthwise, operations
from tf_darts.layers.batch_norm import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, BatchNorm
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.native import choice, edge
from tf_darts.native.edge import Candidate
from tf_darts.registry import OPERATIONS


@dataclasses.dataclass(frozen=True)
class NativeOperation:
    """An operation as the kernels see it.

    Attributes:
      candidate: what it computes.
      kernels: its variables, in the kernels' order.
      norms: its batch norms, in theirs.
    """

    candidate: Candidate
    kernels: list
    norms: list[BatchNorm]


def native(operation: Operation, norm: BatchNorm | None) -> NativeOperation | None:
    """Return an operation as the kernels see it; None: they cannot compute it.

    Args:
      operation: the operation.
      norm: the batch norm after it.
    """
    if operation.name not in OPERATIONS.built_in:
        return None
    o, after = operation, [] if norm is None else [norm]
    match o:
        case operations.Identity():
            return NativeOperation(Candidate("skip"), [], []) if norm is None else None
        case operations.MaxPool():
            return NativeOperation(Candidate("max_pool", len(after)), [], after)
        case operations.AvgPool():
            return NativeOperation(Candidate("average_pool", len(after)), [], after)
    if norm is not None:
        return None
    match o:
        case operations.FactorizedReduce():
            if o.channels % (2 * choice.CHANNELS) or o.conv_1.shape[-2] != o.channels:
                return None
            return NativeOperation(Candidate("factorized_reduction", 1), [o.conv_1, o.conv_2], [o.norm])
        case operations.ReluConvBN():
            size = o.conv.shape[0]
            if size not in edge.DENSE or o.stride != 1 or o.conv.shape[-2] != o.channels:
                return None
            return NativeOperation(Candidate("dense", 1, size), [o.conv], [o.norm])
        case operations.SeparableConv():
            size, dilation = o.depthwise_1.shape[0], 1
            kernels = [o.depthwise_1, o.pointwise_1, o.depthwise_2, o.pointwise_2]
            norms = [o.norm_1, o.norm_2]
        case operations.DilatedConv():
            size, dilation = o.depthwise.shape[0], 2
            kernels, norms = [o.depthwise, o.pointwise], [o.norm]
        case _:
            return None
    if (size, dilation) not in edge.DEPTHWISE:
        return None
    return NativeOperation(Candidate("convolution", len(norms), size, dilation), kernels, norms)


def knows(name: str) -> bool:
    """Return whether the operation of this name is a convolution that the kernels compute, at stride 1."""
    made = native(operations.make(name, 2 * choice.CHANNELS, 1, affine=False, seed=0), None)
    return convolves([made])


def convolves(operations: Sequence[NativeOperation | None]) -> bool:
    """Return whether there is a convolution among an edge's operations, without which nothing is gained."""
    return any(o is not None and o.kernels for o in operations)


def suits(operations: Sequence[NativeOperation | None], training: bool) -> bool:
    """Return whether native kernels compute operations of an edge in a pass that is traced now.

    Args:
      operations: those that the pass computes.
      training: whether batch norms use the batch's statistics.
    """
    norms = [norm for o in operations if o is not None for norm in o.norms]
    shared = any(norm.shares_statistics() for norm in norms)
    return training and choice.in_use() and convolves(operations) and not shared


@dataclasses.dataclass(frozen=True)
class NativeParts:
    """What some operations of an edge add up to, but for their mixing weights.

    Attributes:
      units: their convolutions.
      weights: the mixing weight of each, [C], and which operation of the edge it is.
    """

    units: edge.EdgeUnits
    weights: list[tuple[int, tf.Tensor]]

    def sum(self, mask: tf.Tensor | None = None, factors: tf.Tensor | None = None) -> tf.Tensor:
        """Return the weighted sum, [B, H/stride, W/stride, C].

        Args:
          mask: float [operations], that the weights are multiplied with; None: ones.
          factors: float [B], that images are multiplied with, a constant for gradients; None: ones.
        """
        weights = [w if mask is None else w * mask[i] for i, w in self.weights]
        return edge.weighted_sum(self.units, weights, depthwise.kernel_gradients(), factors)


def parts(
    node: NodeOutput, stride: int, chosen: Sequence[tuple[int, NativeOperation, tf.Tensor]]
) -> NativeParts:
    """Compute in training what some operations of an edge add, and move their running estimates.

    Args:
      node: output of the edge's source, float32 [B, H, W, C].
      stride: of the edge.
      chosen: index, operation and mixing weight of each.
    """
    norms = [norm for _, operation, _ in chosen for norm in operation.norms]
    made, means, variances = edge.units(
        node.x,
        [operation.candidate for _, operation, _ in chosen],
        stride,
        [kernel.value for _, operation, _ in chosen for kernel in operation.kernels],
        # Edges that leave one node have its poolings in common.
        [
            node.then(edge.pool_statistics, operation.candidate.kind, stride).x
            for _, operation, _ in chosen
            if operation.candidate.pools and operation.norms
        ],
        [(norm.moving_mean.value, norm.moving_variance.value) for norm in norms],
        [(norm.gamma.value, norm.beta.value) for norm in norms if norm.affine],
        BATCH_NORM_EPSILON,
        BATCH_NORM_MOMENTUM,
    )
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)
    return NativeParts(made, [(i, weight) for i, _, weight in chosen])
