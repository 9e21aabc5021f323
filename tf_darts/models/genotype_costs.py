"""What the networks of a space's genotypes cost: a fixed part, and a sum over the kept edges.

The fixed part is stem, preprocessing and head; each kept edge adds one operation in every cell of its type.
Everything is counted on the layers themselves, as for a whole network.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_darts.genotypes.genotype import Genotype
from tf_darts.layers.chosen_op import ChosenOp
from tf_darts.models import cost
from tf_darts.models.network import Network, count_parameters
from tf_darts.spaces import Space


class Cost(NamedTuple):
    """What a network takes: trainable weights, and multiply-adds of a forward pass for one image."""

    parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True)
class GenotypeCosts:
    """What the networks of a space's genotypes cost, part by part; auxiliary heads left out.

    Attributes:
      space: the search space.
      fixed: what all of them have: int64 [2], parameters and multiply-adds.
      edges: what an operation on an edge adds, in all cells of the type together: {cell type: int64 [edges,
        operations, 2]}; zero where the edge has no such candidate.
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


def count(space: Space, channels: int, cells: int, classes: int, image_shape: Sequence[int]) -> GenotypeCosts:
    """Count the costs of a space's networks on their layers.

    `count_parameters` and `cost.multiply_adds` count whole networks in the same way.

    Args:
      space: the search space.
      channels: initial channels of the network.
      cells: its depth.
      classes: number of logits.
      image_shape: height, width and channels of the images.
    """
    with tf.device("CPU:0"):  # only shapes are looked at
        bare = Genotype(space.name, {cell_type: () for cell_type in space.cell_types})
        network = Network(space, bare, channels, cells, classes, image_shape[-1])

        @functools.cache
        def of_layer(name: str, width: int, stride: int, positions: int) -> Cost:
            edge = ChosenOp(name, width, stride, seed=0)
            return Cost(count_parameters(edge), edge.operation.multiply_adds(positions))

        shape = (len(space.edges), space.num_operations, len(Cost._fields))
        edges = {cell_type: np.zeros(shape, np.int64) for cell_type in space.cell_types}
        sizes = cost.block_sizes(network.body, image_shape)
        for block, (_, positions) in zip(network.body.layout, sizes, strict=True):
            if block.cell_type is None:
                continue
            for e, names in enumerate(space.candidates[block.cell_type]):
                stride = space.stride(space.edges[e], block.reduction)
                for o, name in enumerate(names):
                    edges[block.cell_type][e, o] += of_layer(name, block.width * channels, stride, positions)
        fixed = np.array([count_parameters(network), cost.multiply_adds(network, image_shape)], np.int64)
    return GenotypeCosts(space, fixed, edges)
