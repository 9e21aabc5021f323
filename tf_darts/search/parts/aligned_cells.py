"""Lambda-DARTS: gradients of the cells' mixing weights are aligned (Movahedi et al., ICLR 2023).

Let every normal cell have mixing weights of its own, all with the same values, and g_l be the gradient of the
training loss in those of cell l, u_l = g_l / |g_l|. Lambda is the mean of u_l . u_k over pairs of cells, and

    d_l = 2 / (L (L - 1)) (I - u_l u_l^T) sum_k u_k / |g_l|

its derivative in g_l. The weights also descend -lambda(t) Lambda: its gradient in them is a finite difference
of the loss's gradients at mixing weights that are moved along d, both ways.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import ml_collections
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.models import cost
from tf_darts.optim.losses import Batch
from tf_darts.optim.optimizers import sum_over_replicas
from tf_darts.search.bilevel import Bilevel, MixingWeights
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import SearchPart
from tf_darts.spaces import Space

CELL_TYPE = "normal"


class AlignedCells(SearchPart):
    """Adds the gradient of -lambda(t) Lambda to that of the weights; lambda(t) grows from 0 linearly."""

    weight_passes = 2 + 2 * cost.FORWARD / cost.TRAINING_STEP  # two with weights' gradients, one without
    refuses: ClassVar[Mapping[str, str]] = {
        name: "alignment is between mixing weights of operations, and channels that pass them by have one too"
        for name in ("partial_channels", "progressive")
    }

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        super().__init__(config, space)
        types = [block.cell_type for block in space.stacking.blocks(config.search.cells)]
        self.cells = types.count(CELL_TYPE)
        if self.cells < 2:
            raise UserError(
                f"config: search.cells is {config.search.cells} with search.parts 'aligned_cells', which"
                f" aligns normal cells with each other; allowed: enough to have 2 normal ones, not"
                f" {self.cells}"
            )

    def update(
        self,
        bilevel: Bilevel,
        train: Batch,
        now: Now,
        mixing_weights: MixingWeights,
        gradients: list[tf.Tensor],
        apply: Callable[[list[tf.Tensor]], tf.Tensor],
    ) -> tf.Tensor:
        correction = self.correction(bilevel, train, now, mixing_weights)
        factor = self.factor(now)
        return apply([g + factor * c for g, c in zip(gradients, correction, strict=True)])

    def factor(self, now: Now) -> tf.Tensor:
        """Return lambda(t): `aligned_cells.factor` in the last epoch."""
        epochs = self.config.search.epochs
        return self.config.aligned_cells.factor * tf.minimum(now.progress * epochs / max(epochs - 1, 1), 1.0)

    def of_cells(
        self, bilevel: Bilevel, train: Batch, now: Now, mixing_weights: MixingWeights
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mixing weights by cell and g: both float [cells, edges, operations].

        g is of the global batch, and 0 where alpha moves nothing.
        """
        own = tf.tile(mixing_weights[CELL_TYPE][None], [self.cells, 1, 1])
        with no_kernel_gradients(), bilevel.untracked():
            (g,) = bilevel.gradients(
                train,
                now.train_total,
                [own],
                lambda: {**mixing_weights, CELL_TYPE: own},
                bilevel.label_smoothing,
            ).gradients
        (g,) = sum_over_replicas([g])
        return own, tf.where(bilevel.architecture.free(CELL_TYPE), g, 0.0)

    def correction(
        self, bilevel: Bilevel, train: Batch, now: Now, mixing_weights: MixingWeights
    ) -> list[tf.Tensor]:
        """Return the gradient of -Lambda in the weights, of the global batch."""
        own, g = self.of_cells(bilevel, train, now, mixing_weights)
        along = direction(g)
        length = self.config.aligned_cells.epsilon / tf.maximum(tf.norm(along), 1e-12)
        sides = []
        with bilevel.untracked():  # derivatives of one function: the operation noise has to draw the same
            for signed in (-length, length):
                moved = {**mixing_weights, CELL_TYPE: own + signed * along}
                sides.append(self._weight_gradients(bilevel, train, now, moved))
        return [(minus - plus) / (2.0 * length) for minus, plus in zip(*sides, strict=True)]

    @staticmethod
    def _weight_gradients(
        bilevel: Bilevel, train: Batch, now: Now, mixing_weights: MixingWeights
    ) -> list[tf.Tensor]:
        evaluated = bilevel.gradients(
            train, now.train_total, bilevel.weights, lambda: mixing_weights, bilevel.label_smoothing
        )
        return sum_over_replicas(evaluated.gradients)


def direction(g: tf.Tensor) -> tf.Tensor:
    """Return d, the derivative of Lambda in the gradients by cell, float [cells, edges, operations]."""
    cells = g.shape[0]
    flat = tf.reshape(g, [cells, -1])
    norm = tf.maximum(tf.norm(flat, axis=-1, keepdims=True), 1e-20)  # zeros have no direction
    unit = flat / norm
    total = tf.reduce_sum(unit, 0)
    across = total - tf.reduce_sum(unit * total, -1, keepdims=True) * unit
    return tf.reshape(2.0 / (cells * (cells - 1)) * across / norm, g.shape)
