"""The weight-sharing supernet: every candidate operation on every edge of every cell."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tf_darts.layers.body import Body, EdgeLayer, Head
from tf_darts.layers.edges import MixedEdge
from tf_darts.layers.packed import PackedVariables
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
    """

    def __init__(
        self, space: Space, channels: int, cells: int, classes: int, channels_in: int = 3, seed: int = 0
    ):
        super().__init__(name="supernet")
        self.space, self.channels = space, channels
        self.body = Body(
            space, channels, cells, channels_in, False, self._mixed_edges, fold(seed, "body"), name="body"
        )
        self.head = Head(
            self.body.channels_out,
            classes,
            space.stacking.head_batch_norm,
            seed=fold(seed, "head"),
            name="head",
        )
        self.packed = PackedVariables(super().variables)
        self.built = True

    # What is trained and saved: the packed variables, and what is not packed (the draws of `noise`).

    @property
    def variables(self) -> list[keras.Variable]:
        return self.packed.variables + [v for v in super().variables if v not in self.packed]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [v for v in self.variables if v.trainable]

    def _mixed_edges(self, block: Block, width: int, seed: int) -> Sequence[EdgeLayer]:
        space = self.space
        return [
            (
                edge.target,
                edge.source,
                MixedEdge(
                    candidates,
                    width,
                    space.stride(edge, block.reduction),
                    space.batch_norm_after,
                    fold(seed, "edge", i),
                    name=f"edge_{edge.target}_{edge.source}",
                ),
            )
            for i, (edge, candidates) in enumerate(
                zip(space.edges, space.candidates[block.cell_type], strict=True)
            )
        ]

    def call(
        self, images: tf.Tensor, mixing_weights: Mapping[str, tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Logits of a batch.

        Args:
          images: float [B, H, W, channels_in], normalised.
          mixing_weights: for each cell type, float [edges, operations]; all cells of a type share them.
          training: whether batch norms use the batch's statistics (search, fine-tuning and probing do).

        Returns:
          float32 [B, classes].
        """
        cell_inputs = self._cell_inputs(mixing_weights)
        with self.packed.unpacked() as scope:
            outputs = self.body(images, cell_inputs=cell_inputs, training=training)
            logits = self.head(outputs[-1], training=training)
        if training:
            self.packed.keep(scope)
        return logits

    def _cell_inputs(self, mixing_weights: Mapping[str, tf.Tensor]) -> list[list[dict] | None]:
        """What each block's edges are called with: the mixing weight of every operation as a vector [C].

        Vectors, taken apart once for all cells of one type and width: a batch norm takes one as its scale,
        and a slice for each would be four nodes of the graph.
        """
        of_width = {}
        for block in self.body.layout:
            key = block.cell_type, block.width
            if block.cell_type is not None and key not in of_width:
                weights = mixing_weights[block.cell_type]
                rows = tf.unstack(tf.tile(weights[:, :, None], [1, 1, block.width * self.channels]))
                of_width[key] = [{"mixing_weights": tf.unstack(row)} for row in rows]
        return [of_width.get((block.cell_type, block.width)) for block in self.body.layout]
