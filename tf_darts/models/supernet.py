"""The weight-sharing supernet: every candidate operation on every edge of every cell."""

import collections
import math
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.layers import native_edge
from tf_darts.layers.body import body_and_head
from tf_darts.layers.cell import EdgeLayer
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.layers.packed_variables import PackedVariables
from tf_darts.layers.row import variables_as_rows
from tf_darts.models.architecture import Computed
from tf_darts.native import choice
from tf_darts.runtime.seeds import fold
from tf_darts.spaces import Block, Space


def _names(space: Space, block: Block) -> set[str]:
    """Return the names of all operations in a block's cell."""
    return {name for names in space.candidates_of(block) for name in names}


def kernels_of(
    space: Space, channels: int, cells: int, partial_channels: int = 1, activations: str | None = None
) -> str:
    """Return what would compute the mixed edges of a supernet that is made now; arguments as `Supernet`'s.

    Raises:
      UserError: the kernels that are wanted cannot be had.
    """
    blocks = [block for block in space.stacking.blocks(cells) if block.cell_type is not None]
    return choice.choose(
        math.gcd(*(block.width * channels // partial_channels for block in blocks)),
        activations or keras.config.floatx(),
        any(map(native_edge.knows, sorted(set().union(*(_names(space, block) for block in blocks))))),
    )


def beside_key(cell_type: str) -> str:
    """Return the key of the auxiliary skip connections' weights among mixing weights."""
    return f"{cell_type}/auxiliary_skip"


class Supernet(keras.Model):
    """Cells of mixed edges, stacked over a space. The mixing weights are an input, not a part of it.

    Args:
      space: the search space.
      channels: initial channels C.
      cells: depth, as the space's stacking counts it.
      classes: number of logits.
      channels_in: channels of the images.
      seed: of the initial weights.
      partial_channels: K: only 1/K of a node's channels go through the operations (PC-DARTS). For K > 1 the
        mixing weights have one column more, see `MixedOp`.
      auxiliary_skip: whether a skip connection that is no candidate stands beside the operations of every
        edge (DARTS-). It is computed where `call` gets weights of it.
      activations: type of what flows between layers, as "bfloat16"; None: that of variables.

    Attributes:
      kernels: what computes the mixed edges in training, as `tf_darts.native.choice` names them; chosen as
        `choice.wanted` says where the supernet is made.

    Raises:
      UserError: a cell's channels are not divisible by K, or the kernels that are wanted cannot be had.
    """

    def __init__(
        self,
        space: Space,
        channels: int,
        cells: int,
        classes: int,
        channels_in: int = 3,
        seed: int = 0,
        partial_channels: int = 1,
        auxiliary_skip: bool = False,
        activations: str | None = None,
    ):
        super().__init__(name="supernet")
        if channels % partial_channels:
            raise UserError(
                f"config: search.channels is {channels}; allowed: a multiple of"
                f" pc_darts.partial_channels, {partial_channels}"
            )
        self.space, self.channels, self.partial_channels = space, channels, partial_channels
        self._auxiliary_skip = auxiliary_skip
        with variables_as_rows():
            self.kernels = kernels_of(space, channels, cells, partial_channels, activations)
            self.body, self.head = body_and_head(
                space,
                channels,
                cells,
                channels_in,
                classes,
                False,
                self._mixed_edges,
                seed,
                activations,
                self.kernels,
            )
        self.packed = PackedVariables(super().variables)
        self.built = True

    # What is trained and saved: the packed variables, and what is not packed (the draws of `noise`).

    @property
    def variables(self) -> list[keras.Variable]:
        return self.packed.variables + self.packed.others

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [v for v in self.variables if v.trainable]

    def _mixed_edges(self, block: Block, width: int, seed: int) -> Sequence[EdgeLayer]:
        space, rows = self.space, self.space.candidates_of(block)
        return [
            (
                edge.target,
                edge.source,
                MixedOp(
                    candidates,
                    width,
                    space.stride(edge, block.reduction),
                    space.batch_norm_after,
                    fold(seed, "edge", i),
                    self.partial_channels,
                    self.kernels,
                    self._auxiliary_skip,
                    name=f"edge_{edge.target}_{edge.source}",
                ),
            )
            for i, (edge, candidates) in enumerate(zip(space.edges, rows, strict=True))
        ]

    def call(
        self,
        images: tf.Tensor,
        mixing_weights: Mapping[str, tf.Tensor],
        training: bool = False,
        computed: Computed | None = None,
        tracks: bool = True,
        trained: Sequence[tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Compute the logits of a batch.

        Args:
          images: float [B, H, W, channels_in], normalised.
          mixing_weights: for each cell type, float [edges, operations]; all cells of a type share them.
            Or [cells of the type, edges, operations]: each its own. Under `beside_key`, where there is one,
            the weights of the auxiliary skip connections, float [edges].
          training: whether batch norms use the batch's statistics (search, fine-tuning and probing do).
          computed: what is computed, as `Architecture.computed`; the mixing weights of all
            else have to be zero. None: everything.
          tracks: whether running statistics (in training) and the counters of draws move.
          trained: values instead of the trainable variables', in their order; None: their own.

        Returns:
          Float [B, classes].
        """
        cell_inputs = self.edge_inputs(mixing_weights, computed)
        with self.packed.unpacked(trained) as scope:
            outputs = self.body(images, cell_inputs=cell_inputs, training=training)
            logits = self.head(outputs[-1], training=training)
        if tracks:
            self.packed.keep(scope, statistics=training)
        return logits

    def edge_inputs(
        self, mixing_weights: Mapping[str, tf.Tensor], computed: Computed | None
    ) -> list[list[dict | None] | None]:
        """Return what each block's edges are called with: every mixing weight as a vector [C/K].

        They are made once for all cells of one type and width: a batch norm takes a vector as its scale, and
        a slice for each would be four nodes of the graph.

        Args:
          mixing_weights: as in `call`.
          computed: as in `call`.

        Returns:
          One entry per block: None for a block without edges, else one entry per edge, None where nothing of
          the edge is computed.
        """
        made: dict[tuple, list[dict | None]] = {}
        inputs: list[list[dict | None] | None] = []
        cells = collections.Counter[str]()
        for block in self.body.layout:
            cell_type = block.cell_type
            if cell_type is None:
                inputs.append(None)
                continue
            weights = mixing_weights[cell_type]
            key: tuple = (cell_type, block.width)
            if weights.shape.rank == 3:
                number = cells[cell_type]
                cells[cell_type] += 1
                weights, key = weights[number], (*key, number)
            if key not in made:
                width = block.width * self.channels // self.partial_channels
                wide = tf.tile(weights[:, :, None], [1, 1, width])
                rows = [tf.unstack(row) for row in tf.unstack(wide)]
                of_edges = computed[cell_type] if computed else [[True] * len(row) for row in rows]
                made[key] = [
                    {"mixing_weights": [w if c else None for w, c in zip(row, of_row, strict=True)]}
                    if any(of_row)
                    else None
                    for row, of_row in zip(rows, of_edges, strict=True)
                ]
                if (beside := mixing_weights.get(beside_key(cell_type))) is not None:
                    vectors = tf.unstack(tf.tile(beside[:, None], [1, width]))
                    made[key] = [
                        None if edge is None else {**edge, "auxiliary": vector}
                        for edge, vector in zip(made[key], vectors, strict=True)
                    ]
            inputs.append(made[key])
        return inputs
