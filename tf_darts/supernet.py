"""The weight-sharing supernet: every candidate operation on every edge of every cell."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tf_darts.layers.body import Body, EdgeLayer, Head
from tf_darts.layers.edges import MixedEdge
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
        self.space = space
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
        self.built = True

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
        # Scalars, taken apart once for all cells: every slice would be four nodes of the graph.
        scalars = {
            cell_type: [tf.unstack(row) for row in tf.unstack(weights)]
            for cell_type, weights in mixing_weights.items()
        }
        cell_inputs = [scalars.get(block.cell_type) for block in self.body.layout]
        return self.head(self.body(images, cell_inputs, training=training)[-1], training=training)
