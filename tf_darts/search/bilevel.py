"""The two gradients of differentiable architecture search, and the updates made of them.

alpha is fitted on the validation half, the weights on the training half (paper, equation 1; DARTS,
equations 3 and 4). Each function asks for exactly the gradients it needs. All of it runs in replica
context: a replica has its slice of the global batch, and losses are divided by the global batch, so that
summed gradients are those of the whole batch.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import ml_collections
import tensorflow as tf

from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import Supernet
from tf_darts.optim.losses import Batch, loss_and_correct
from tf_darts.optim.optimizers import SGD, Adam, sum_over_replicas
from tf_darts.runtime.scoped import holding

MixingWeights = Mapping[str, tf.Tensor]  # float [edges, operations] per cell type

# Gives the mixing weights of a forward pass, inside its gradient tape; they may depend on alpha.
Mix = Callable[[], MixingWeights]

Disturb = Callable[[MixingWeights], MixingWeights]

_DISTURB: contextvars.ContextVar[Disturb | None] = contextvars.ContextVar("disturb", default=None)
_TRACKS: contextvars.ContextVar[bool] = contextvars.ContextVar("tracks", default=True)


@dataclasses.dataclass
class Bilevel:
    """A supernet, its architecture, and the optimisers of both.

    Attributes:
      supernet: the supernet.
      architecture: alpha and the masks.
      alphas: alpha of each cell type that the supernet has (one of two cells has no normal cell), and
        alpha of its edges where edges are weighed.
      weights: the supernet's trainable variables.
      weight_optimizer: SGD of the weights.
      alpha_optimizer: Adam of alpha.
      label_smoothing: of the training loss, the one that the weights are fitted to.
    """

    supernet: Supernet
    architecture: Architecture
    alphas: dict[str, tf.Variable]
    weights: list[tf.Variable]
    weight_optimizer: SGD
    alpha_optimizer: Adam
    label_smoothing: float = 0.0

    @classmethod
    def create(
        cls, supernet: Supernet, architecture: Architecture, search: ml_collections.ConfigDict
    ) -> "Bilevel":
        """Make it with new optimisers, set as the config's `search` says."""
        weights = [v.value for v in supernet.trainable_variables]
        present = {block.cell_type for block in supernet.body.layout}
        alphas = architecture.parameters(t for t in supernet.space.cell_types if t in present)
        return cls(
            supernet,
            architecture,
            alphas,
            weights,
            SGD(weights, search.momentum, search.weight_decay, search.clip_norm),
            Adam(
                list(alphas.values()),
                search.alpha_learning_rate,
                search.alpha_beta1,
                search.alpha_beta2,
                search.alpha_epsilon,
                search.alpha_weight_decay,
            ),
        )

    def forward(
        self, images: tf.Tensor, training: bool, mixing_weights: MixingWeights | None = None
    ) -> tf.Tensor:
        """Compute logits, float [B, classes], with the architecture as it stands or other mixing weights.

        Args:
          images: float [B, H, W, C].
          training: whether batch norms use the batch's statistics.
          mixing_weights: None: the architecture's, masks and probe included.
        """
        architecture = self.architecture
        if mixing_weights is None:
            mixing_weights = architecture.mixing_weights()
        return self.supernet(
            images,
            mixing_weights,
            training=training,
            computed=architecture.computed,
            tracks=_TRACKS.get(),
        )

    def alpha_gradients(self, batch: Batch, total: int, mix: Mix | None = None) -> "Evaluated":
        """Return the validation loss and its gradients in alpha: this replica's share."""
        with no_kernel_gradients():
            return self.gradients(batch, total, list(self.alphas.values()), mix)

    def weight_gradients(self, batch: Batch, total: int, mix: Mix | None = None) -> "Evaluated":
        """Return the training loss and its gradients in the weights: this replica's share."""
        return self.training_gradients(batch, total, self.weights, mix)

    def training_gradients(
        self, batch: Batch, total: int, variables: list[tf.Variable], mix: Mix | None = None
    ) -> "Evaluated":
        """Return the loss that the weights are fitted to (disturbed, smoothed), and its gradients."""
        return self.gradients(batch, total, variables, self.training_mix(mix), self.label_smoothing)

    def training_mix(self, mix: Mix | None = None) -> Mix:
        """Return what makes the mixing weights of a forward pass of that loss."""
        mix = mix or self.architecture.mixing_weights
        disturb = _DISTURB.get() or (lambda mixing_weights: mixing_weights)
        return lambda: disturb(mix())

    def disturbed(self, function: Disturb | None) -> contextlib.AbstractContextManager[None]:
        """Change the mixing weights of the training loss where it is traced inside (None: not at all)."""
        return holding(_DISTURB, function)

    def untracked(self) -> contextlib.AbstractContextManager[None]:
        """Make forward passes that are traced inside leave running statistics and counters of draws alone.

        They are then functions of images and weights: the operation `noise` draws the same in each.
        """
        return holding(_TRACKS, False)

    def gradients(
        self,
        batch: Batch,
        total: int,
        variables: list[tf.Variable],
        mix: Mix | None = None,
        label_smoothing: float = 0.0,
    ) -> "Evaluated":
        """Return the loss on a batch and its gradients in some variables: this replica's share."""
        images, labels = batch
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self.forward(images, training=True, mixing_weights=mix() if mix else None)
            loss, correct = loss_and_correct(logits, labels, total, label_smoothing)
        # A weight that no path of the graph uses has gradient zero, as decay and momentum then expect.
        zero = tf.UnconnectedGradients.ZERO
        return Evaluated(tape.gradient(loss, variables, unconnected_gradients=zero), logits, loss, correct)

    def alpha_step(self, batch: Batch, total: int, mix: Mix | None = None) -> "Evaluated":
        """Update alpha on a validation batch."""
        evaluated = self.alpha_gradients(batch, total, mix)
        self.alpha_optimizer.apply(sum_over_replicas(evaluated.gradients))
        return evaluated

    def weight_step(
        self, batch: Batch, total: int, learning_rate: tf.Tensor | float, mix: Mix | None = None
    ) -> tuple["Evaluated", tf.Tensor]:
        """Update the weights on a training batch; also return the gradients' global norm before clipping."""
        evaluated = self.weight_gradients(batch, total, mix)
        norm = self.weight_optimizer.apply(sum_over_replicas(evaluated.gradients), learning_rate)
        return evaluated, norm


class Evaluated(NamedTuple):
    """What one replica computed on its slice of a batch.

    Attributes:
      gradients: of the loss share, by variable.
      logits: float [B, classes].
      loss: sum of the slice's losses divided by the global batch.
      correct: number of correct images, int32.
    """

    gradients: list[tf.Tensor]
    logits: tf.Tensor
    loss: tf.Tensor
    correct: tf.Tensor
