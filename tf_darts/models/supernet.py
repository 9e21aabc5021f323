"""The weight-sharing supernet: every candidate operation on every edge of every cell."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.layers.body import body_and_head
from tf_darts.layers.cell import Begun, EdgeLayer
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.packed_variables import PackedVariables
from tf_darts.models.architecture import Computed
from tf_darts.runtime.seeds import fold
from tf_darts.spaces import Block, Space


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
        mixing weights have one column more, see `MixedEdge`.
      activations: type of what flows between layers, "float32" or "bfloat16"; variables are float32.

    Raises:
      UserError: a cell's channels are not divisible by K.
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
        activations: str = "float32",
    ):
        super().__init__(name="supernet")
        if channels % partial_channels:
            raise UserError(
                f"config: search.channels is {channels}; allowed: a multiple of"
                f" pc_darts.partial_channels, {partial_channels}"
            )
        self.space, self.channels, self.partial_channels = space, channels, partial_channels
        self.body, self.head = body_and_head(
            space, channels, cells, channels_in, classes, False, self._mixed_edges, seed, activations
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
        space = self.space
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
                    name=f"edge_{edge.target}_{edge.source}",
                ),
            )
            for i, (edge, candidates) in enumerate(
                zip(space.edges, space.candidates[block.cell_type], strict=True)
            )
        ]

    def call(
        self,
        images: tf.Tensor,
        mixing_weights: Mapping[str, tf.Tensor],
        training: bool = False,
        computed: Computed | None = None,
        tracks: bool = True,
    ) -> tf.Tensor:
        """Logits of a batch.

        Args:
          images: float [B, H, W, channels_in], normalised.
          mixing_weights: for each cell type, float [edges, operations]; all cells of a type share them.
          training: whether batch norms use the batch's statistics (search, fine-tuning and probing do).
          computed: what is computed, as `Architecture.computed`; the mixing weights of all
            else have to be zero. None: everything.
          tracks: whether running statistics (in training) and the counters of draws move.

        Returns:
          float32 [B, classes].
        """
        cell_inputs = self._cell_inputs(mixing_weights, computed)
        with self.packed.unpacked() as scope:
            outputs = self.body(images, cell_inputs=cell_inputs, training=training)
            logits = self.head(outputs[-1], training=training)
        if tracks:
            self.packed.keep(scope, statistics=training)
        return logits

    # A forward pass in two parts, for probes of the edges into one node of a cell type. Running statistics
    # stay as they are: probes are measured with the batch's own.

    def before_probes(
        self,
        cell_type: str,
        node: int,
        images: tf.Tensor,
        mixing_weights: Mapping[str, tf.Tensor],
        computed: Computed | None = None,
    ) -> tuple[list[tf.Tensor], Begun | None]:
        """What is the same for all probes: the pass up to the first cell of the type, and into it.

        Returns:
          The outputs that the second cell takes of the blocks before the first, and the first cell, begun
          (None where the supernet has no cell of the type).
        """
        cell_inputs, first = self._cell_inputs(mixing_weights, computed), self._first_of(cell_type)
        with self.packed.unpacked():
            outputs = self.body.start(images, training=True)
            self.body.extend(outputs, cell_inputs, range(first), training=True)
            outputs = outputs[-self.space.input_nodes :]
            begun = None
            if first < len(cell_inputs):
                begun = self.body.blocks[first].before(node, outputs, cell_inputs[first])
        # The operation noise counts its draws: one more for this batch, in which all probes see the same.
        for draws in self.packed.others:
            draws.assign(draws.value + 1)
        return [output.x for output in outputs], begun

    def probe(
        self,
        cell_type: str,
        mask: tf.Tensor,
        before: tuple[list[tf.Tensor], Begun | None],
        mixing_weights: Mapping[str, tf.Tensor],
        computed: Computed | None = None,
    ) -> tf.Tensor:
        """Logits float32 [B, classes] of a probe.

        Args:
          cell_type: as in `before_probes`.
          mask: the probe mask of the cell type, float32 [edges, operations]; 1 on edges into other nodes.
          before: what `before_probes` gave.
          mixing_weights: without the probe mask.
          computed: as in `call`.
        """
        masked = {**mixing_weights, cell_type: mixing_weights[cell_type] * mask}
        cell_inputs, first = self._cell_inputs(masked, computed), self._first_of(cell_type)
        outputs, begun = before
        nodes = [NodeOutput(x) for x in outputs]
        with self.packed.unpacked():
            if begun is not None:
                nodes.append(NodeOutput(self.body.blocks[first].after(begun, mask, cell_inputs[first])))
            self.body.extend(nodes, cell_inputs, range(first + 1, len(cell_inputs)), training=True)
            return self.head(nodes[-1], training=True)

    def _first_of(self, cell_type: str) -> int:
        """Index of the first block that is a cell of this type; their number where there is none."""
        types = [block.cell_type for block in self.body.layout]
        return types.index(cell_type) if cell_type in types else len(types)

    def _cell_inputs(
        self, mixing_weights: Mapping[str, tf.Tensor], computed: Computed | None
    ) -> list[list[dict | None] | None]:
        """What each block's edges are called with: the mixing weight of every operation as a vector [C/K].

        Vectors, taken apart once for all cells of one type and width: a batch norm takes one as its scale,
        and a slice for each would be four nodes of the graph.
        """
        of_width = {}
        for block in self.body.layout:
            cell_type, key = block.cell_type, (block.cell_type, block.width)
            if cell_type is not None and key not in of_width:
                weights = mixing_weights[cell_type]
                width = block.width * self.channels // self.partial_channels
                wide = tf.tile(weights[:, :, None], [1, 1, width])
                rows = [tf.unstack(row) for row in tf.unstack(wide)]
                of_edges = computed[cell_type] if computed else [[True] * len(row) for row in rows]
                of_width[key] = [
                    {"mixing_weights": [w if c else None for w, c in zip(row, of_row, strict=True)]}
                    if any(of_row)
                    else None
                    for row, of_row in zip(rows, of_edges, strict=True)
                ]
        return [of_width.get((block.cell_type, block.width)) for block in self.body.layout]
