"""What the networks of a space's genotypes cost: a fixed part, and a sum over the kept edges.

The fixed part is stem, preprocessing and head; each kept edge adds one operation in every cell of its type.
Parameters and multiply-adds are counted on the layers themselves, as for a whole network. Sizes of files are
estimated from them, and times are those of a table (`models.latency_table`).
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_darts.genotypes.genotype import Genotype
from tf_darts.layers.chosen_op import ChosenOp
from tf_darts.layers.operations import FactorizedReduce
from tf_darts.layers.pooled_block import PooledBlock
from tf_darts.layers.residual_block import ResidualBlock
from tf_darts.models import cost, latency_table, tflite_size
from tf_darts.models.latency_table import LatencyTable, Part
from tf_darts.models.network import Network, count_parameters
from tf_darts.spaces import Space
from tf_darts.spaces.space import SKIP


class Cost(NamedTuple):
    """What a network takes.

    Attributes:
      parameters: trainable weights.
      multiply_adds: of a forward pass for one image.
      tflite_bytes: of its TFLite file that computes in float32; an estimate.
      nanoseconds: of a call of that file with one image, by a table; 0 where there is none.
      skips: skip connections of a normal cell.
      tflite_int8_bytes: of its TFLite file that computes in int8; an estimate.
    """

    parameters: int
    multiply_adds: int
    tflite_bytes: int = 0
    nanoseconds: int = 0
    skips: int = 0
    tflite_int8_bytes: int = 0


SKIPS = Cost._fields.index("skips")


@dataclasses.dataclass(frozen=True)
class GenotypeCosts:
    """What the networks of a space's genotypes cost, part by part; auxiliary heads left out.

    Attributes:
      space: the search space.
      fixed: what all of them have: int64 [entries of `Cost`, or its first ones].
      edges: what an operation on an edge adds, in all cells of the type together: {cell type: int64 [edges,
        operations, entries]}; zero where the edge has no such candidate.
    """

    space: Space
    fixed: np.ndarray
    edges: dict[str, np.ndarray]

    def of(self, genotype: Genotype) -> Cost:
        """Return the cost of a genotype's network."""
        space, total = self.space, self.fixed.copy()
        index = {(edge.target, edge.source): e for e, edge in enumerate(space.edges)}
        for cell_type, choices in genotype.cells.items():
            for choice in choices:
                e = index[choice.target, choice.source]
                operation = space.candidates[cell_type][e].index(choice.operation)
                total += self.edges[cell_type][e, operation]
        return Cost(*total.tolist())


class Placed(NamedTuple):
    """A layer, and where it is.

    Attributes:
      part: what is timed for it.
      layer: the layer; None: it has no weights.
      times: how often its time counts; a sum of edges that is not there counts -1.
    """

    part: Part
    layer: keras.layers.Layer | None
    times: int = 1


def count(
    space: Space,
    channels: int,
    cells: int,
    classes: int,
    image_shape: Sequence[int],
    table: LatencyTable | None = None,
) -> GenotypeCosts:
    """Count the costs of a space's networks on their layers.

    `count_parameters` and `cost.multiply_adds` count whole networks in the same way.

    Args:
      space: the search space.
      channels: initial channels of the network.
      cells: its depth.
      classes: number of logits.
      image_shape: height, width and channels of the images.
      table: how long each part takes; None: nobody asks.

    Raises:
      UserError: the table lacks a part.
    """
    with tf.device("CPU:0"):  # only shapes are looked at
        network = _bare(space, channels, cells, classes, image_shape)
        shape = (len(space.edges), space.num_operations, len(Cost._fields))
        edges = {cell_type: np.zeros(shape, np.int64) for cell_type in space.cell_types}
        nanoseconds = (lambda part: 0) if table is None else table.nanoseconds

        @functools.cache
        def of_candidate(part: Part, positions: int) -> Cost:
            operation = _candidate(part).operation
            added = operation.multiply_adds(positions)
            taken = 0 if operation.is_zero else nanoseconds(part)
            sizes = tflite_size.of_edge(operation)
            return Cost(count_parameters(operation), added, sizes.float32, taken, 0, sizes.int8)

        for cell_type, e, o, part in _candidates(network, channels, image_shape):
            positions = part.height * part.width // part.stride**2
            edges[cell_type][e, o] += of_candidate(part, positions)
        for block in network.body.layout:
            if block.cell_type is not None and not block.reduction:
                for e, names in enumerate(space.candidates[block.cell_type]):
                    is_skip = [name == SKIP for name in names]
                    edges[block.cell_type][e, : len(names), SKIPS] = is_skip
        fixed = list(_fixed(network, channels, image_shape))
        sizes = [tflite_size.of_layer(placed.layer) for placed in fixed if placed.layer is not None]
        total = Cost(
            count_parameters(network),
            cost.multiply_adds(network, image_shape),
            tflite_size.FILE.float32 + sum(size.float32 for size in sizes),
            sum(placed.times * nanoseconds(placed.part) for placed in fixed) if table is not None else 0,
            0,
            tflite_size.FILE.int8 + sum(size.int8 for size in sizes),
        )
    return GenotypeCosts(space, np.array(total, np.int64), edges)


def parts_of(
    space: Space, channels: int, cells: int, classes: int, image_shape: Sequence[int]
) -> dict[Part, keras.layers.Layer | None]:
    """Return the parts that networks of a space are made of, each with a layer of its kind.

    Args:
      space: as of `count`, like the other arguments.
      channels: initial channels.
      cells: depth.
      classes: number of logits.
      image_shape: height, width and channels of the images.
    """
    with tf.device("CPU:0"):
        network = _bare(space, channels, cells, classes, image_shape)
        found = {placed.part: placed.layer for placed in _fixed(network, channels, image_shape)}
        for part in dict.fromkeys(part for *_, part in _candidates(network, channels, image_shape)):
            operation = _candidate(part).operation
            if not operation.is_zero:
                found[part] = operation
    return found


def _bare(space: Space, channels: int, cells: int, classes: int, image_shape: Sequence[int]) -> Network:
    """Make a network without edges."""
    bare = Genotype(space.name, {cell_type: () for cell_type in space.cell_types})
    return Network(space, bare, channels, cells, classes, image_shape[-1])


def _candidate(part: Part) -> ChosenOp:
    return ChosenOp(part.operation, part.channels, part.stride, seed=0)


def _candidates(
    network: Network, channels: int, image_shape: Sequence[int]
) -> Iterator[tuple[str, int, int, Part]]:
    """Yield cell type, edge and operation of every candidate in every cell, and its part."""
    space, body = network.space, network.body
    for block, (before, after) in zip(body.layout, cost.block_shapes(body, image_shape), strict=True):
        if block.cell_type is None:
            continue
        width = block.width * channels
        for e, names in enumerate(space.candidates[block.cell_type]):
            stride = space.stride(space.edges[e], block.reduction)
            size = before if stride == 2 else after
            for o, name in enumerate(names):
                yield block.cell_type, e, o, Part(name, *size, width, width, stride)


def _fixed(network: Network, channels: int, image_shape: Sequence[int]) -> Iterator[Placed]:
    """Yield all that networks of the space have in common."""
    space, body = network.space, network.body
    shapes = cost.block_shapes(body, image_shape)
    yield Placed(latency_table.NOTHING, None)
    stem = body.stem
    shorter = 2**space.stacking.stem_reductions
    size = body.enlarged(image_shape)
    name = latency_table.STEM + space.stacking.stem
    yield Placed(Part(name, *size, image_shape[-1], stem.channels, shorter), stem)
    for block, found, (before, after) in zip(body.layout, body.blocks, shapes, strict=True):
        if isinstance(found, ResidualBlock):
            part = Part(latency_table.BLOCK, *before, found.shortcut.shape[2], found.channels, 2)
            yield Placed(part, found)
        if isinstance(found, PooledBlock):
            part = Part(latency_table.POOLED_BLOCK, *before, found.conv.conv.shape[2], found.channels, 2)
            yield Placed(part, found)
        if block.cell_type is None:
            continue
        for layer in found.preprocess:
            if isinstance(layer, FactorizedReduce):
                high, wide = 2 * before[0], 2 * before[1]
                part = Part(latency_table.REDUCE, high, wide, layer.conv_1.shape[2], layer.channels, 2)
            else:
                part = Part(latency_table.PREPROCESS, *before, layer.conv.shape[2], layer.channels, 1)
            yield Placed(part, layer)
        width, outputs = block.width * channels, len(space.output_nodes)
        # A node of n edges sums n - 1 times; the time of an edge has a sum in it.
        yield Placed(Part(latency_table.SUM, *after, width, width, 1), None, -len(space.targets))
        if outputs > 1:
            yield Placed(Part(latency_table.JOIN, *after, width, outputs * width, 1), None)
    head = network.head
    kind = latency_table.BARE_HEAD if head.norm is None else latency_table.HEAD
    yield Placed(Part(kind, *shapes[-1][1], head.channels, head.classifier.units, 1), head)
