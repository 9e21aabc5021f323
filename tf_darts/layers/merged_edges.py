"""What leaves a node along several edges, computed together: one operation of each kind for all of them.

On a GPU a step takes as long as starting its operations takes, and a node of a cell has up to five edges of
the same candidates. Their kernels are put side by side, one batch norm has the channels of all, and their
mixing weights as its scale; what goes to the same edges is summed before it is taken apart. Variables stay
those of single edges. XLA puts them side by side where it reads them; without XLA that would cost as many
operations as merging saves, so that only compiled steps are merged.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_darts.layers import batch_norm, operations, primitives
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.constants import constant
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation, apply_operation
from tf_darts.registry import OPERATIONS
from tf_darts.runtime import xla
from tf_darts.runtime.strategy import device_type

# On a CPU a merged edge moves as many bytes, on a TPU more of them (docs/performance.md).
MERGES = {"CPU": False, "GPU": True, "TPU": False}

# One operation of one edge: which edge, the operation, the batch norm after it, its mixing weight [C].
Member = tuple[int, Operation, BatchNorm | None, tf.Tensor]

# Tensors [B, H, W, len(edges) * C], each with the edges whose outputs lie side by side in it.
Found = list[tuple[tuple[int, ...], tf.Tensor]]


def suits(edges: Sequence[object], training: bool) -> bool:
    """Return whether the edges of a cell are merged in a pass that is traced now."""
    plain = (isinstance(e, MixedOp) and e.partial_channels == 1 and e.auxiliary is None for e in edges)
    return training and MERGES[device_type()] and xla.compiles() and all(plain)


def outputs(
    node: NodeOutput, edges: Sequence[MixedOp], mixing_weights: Sequence[Sequence[tf.Tensor | None]]
) -> dict[int, tf.Tensor]:
    """Compute, in training, what a node adds along some edges that leave it.

    Args:
      node: output of the edges' source, [B, H, W, C].
      edges: all of one stride, for which `suits` holds.
      mixing_weights: for each edge those of its operations, as of `MixedOp.call`.

    Returns:
      By index of the edge [B, H/stride, W/stride, C]; nothing for an edge that adds nothing.
    """
    kinds: dict[tuple, list[Member]] = {}
    for e, (edge, weights) in enumerate(zip(edges, mixing_weights, strict=True)):
        for operation, norm, weight in zip(edge.operations, edge.norms, weights, strict=False):
            if weight is not None and not operation.is_zero:
                kind = (type(operation), operation.name, norm is not None)
                kinds.setdefault(kind, []).append((e, operation, norm, weight))
    beside: dict[tuple[int, ...], list[tf.Tensor]] = {}
    for (kind, name, normed), members in kinds.items():
        # Others may compute in another type, or have a batch norm after them that no space of ours has there.
        own = name in OPERATIONS.built_in and not members[0][1].affine
        if own and not normed and kind in _MERGED:
            found: Found = [(tuple(e for e, *_ in members), _MERGED[kind](node, members))]
        elif own and normed and kind in _POOLS:
            found = _pooled(node, members)
        else:
            found = _one_by_one(node, members)
        for ends, y in found:
            beside.setdefault(ends, []).append(y)
    of_edge: dict[int, list[tf.Tensor]] = {}
    for ends, summands in beside.items():
        total = summands[0] if len(summands) == 1 else tf.add_n(summands)
        for e, part in zip(ends, _split(total, len(ends)), strict=True):
            of_edge.setdefault(e, []).append(part)
    return {e: parts[0] if len(parts) == 1 else tf.add_n(parts) for e, parts in of_edge.items()}


def _one_by_one(node: NodeOutput, members: list[Member]) -> Found:
    found: Found = []
    for e, operation, norm, weight in members:
        if norm is None:
            y = apply_operation(operation, node, weight=weight, training=True)
        else:
            y = apply_operation(operation, node, training=True)
            y = norm(y, weight=weight, training=True)
        found.append(((e,), y))
    return found


def _pooled(node: NodeOutput, members: list[Member]) -> Found:
    """Normalise once what is the same for all edges, and weigh it for each."""
    y = apply_operation(members[0][1], node, training=True)
    y = batch_norm.in_common([norm for _, _, norm, _ in members if norm is not None], y)
    return [((e,), tf.cast(weight, y.dtype) * y) for e, _, _, weight in members]


def _convolution(node: NodeOutput, members: list[Member]) -> tf.Tensor:
    kernels = [operation.conv.value for _, operation, _, _ in members]
    y = primitives.conv(node.then(tf.nn.relu).x, _beside(kernels, -1), members[0][1].stride)
    return _normalise([operation.norm for _, operation, _, _ in members], y, members)


def _factorized_reduction(node: NodeOutput, members: list[Member]) -> tf.Tensor:
    relu, count = node.then(tf.nn.relu), len(members)
    halves = []
    for offset, name in enumerate(("conv_1", "conv_2")):
        x = (relu.then(primitives.subsample, offset) if offset else relu.then(primitives.subsample)).x
        y = primitives.conv(x, _beside([getattr(o, name).value for _, o, _, _ in members], -1))
        halves.append(tf.reshape(y, [-1, *y.shape[1:3], count, y.shape[-1] // count]))
    y = tf.concat(halves, -1)
    y = tf.reshape(y, [-1, *y.shape[1:3], count * y.shape[-1]])
    return _normalise([operation.norm for _, operation, _, _ in members], y, members)


def _separable_convolution(node: NodeOutput, members: list[Member]) -> tf.Tensor:
    made = [operation for _, operation, _, _ in members]
    kernel = _beside([o.depthwise_1.value for o in made], 2)
    y = primitives.depthwise_conv(_repeated(node.then(tf.nn.relu), len(made)), kernel, made[0].stride)
    y = primitives.conv(y, _block_diagonal([o.pointwise_1.value for o in made]))
    y = tf.nn.relu(_normalise([o.norm_1 for o in made], y))
    y = primitives.depthwise_conv(y, _beside([o.depthwise_2.value for o in made], 2))
    y = primitives.conv(y, _block_diagonal([o.pointwise_2.value for o in made]))
    return _normalise([o.norm_2 for o in made], y, members)


def _dilated_convolution(node: NodeOutput, members: list[Member]) -> tf.Tensor:
    made = [operation for _, operation, _, _ in members]
    kernel = _beside([o.depthwise.value for o in made], 2)
    relu = node.then(tf.nn.relu)
    if made[0].shortens:  # of dilation 2 and stride 2: of every second pixel, undilated
        y = primitives.depthwise_conv(_repeated(relu.then(primitives.subsample), len(made)), kernel)
    else:
        y = primitives.depthwise_conv(_repeated(relu, len(made)), kernel, dilation=2)
    y = primitives.conv(y, _block_diagonal([o.pointwise.value for o in made]))
    return _normalise([o.norm for o in made], y, members)


_POOLS = (operations.MaxPool, operations.AvgPool)
_MERGED: dict[type, Callable[[NodeOutput, list[Member]], tf.Tensor]] = {
    operations.ReluConvBN: _convolution,
    operations.FactorizedReduce: _factorized_reduction,
    operations.SeparableConv: _separable_convolution,
    operations.DilatedConv: _dilated_convolution,
}


def _normalise(norms: list[BatchNorm], x: tf.Tensor, members: Sequence[Member] = ()) -> tf.Tensor:
    weights = [weight for *_, weight in members]
    return batch_norm.side_by_side(norms, x, _beside(weights, 0) if weights else None)


def _repeated(node: NodeOutput, count: int) -> tf.Tensor:
    """Return a node's output as many times side by side."""
    return node.x if count == 1 else node.then(_tiled, count).x


def _tiled(x: tf.Tensor, count: int) -> tf.Tensor:
    return tf.tile(x, constant([1, 1, 1, count], tf.int32))


def _beside(tensors: Sequence[tf.Tensor], axis: int) -> tf.Tensor:
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis)


def _split(x: tf.Tensor, count: int) -> list[tf.Tensor]:
    return [x] if count == 1 else tf.split(x, count, -1)


def _block_diagonal(kernels: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return 1x1 kernels [1, 1, C, C] as one of [1, 1, k*C, k*C] with zeros between the edges."""
    count = len(kernels)
    if count == 1:
        return kernels[0]
    channels = kernels[0].shape[-1]
    own = constant(np.eye(count)[:, None, :, None], kernels[0].dtype)
    rows = tf.stack([kernel[0, 0] for kernel in kernels])[:, :, None, :] * own  # [k, C, k, C]
    return tf.reshape(rows, [1, 1, count * channels, count * channels])
