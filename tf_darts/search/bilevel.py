"""The two gradients of differentiable architecture search, and the updates made of them.

alpha is fitted on the validation half, the weights on the training half (paper, equation 1; DARTS,
equations 3 and 4). Each function asks for exactly the gradients it needs. All of it runs in replica
context: a replica has its slice of the global batch, and losses are divided by the global batch, so that
summed gradients are those of the whole batch.
"""

import dataclasses
from typing import NamedTuple

import ml_collections
import tensorflow as tf

from tf_darts.architecture import Architecture
from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.objective import Batch, loss_and_correct
from tf_darts.optimizers import SGD, Adam, sum_over_replicas
from tf_darts.supernet import Supernet


@dataclasses.dataclass
class Bilevel:
    """A supernet, its architecture, and the optimisers of both.

    Attributes:
      supernet: the supernet.
      architecture: alpha and the masks.
      alphas: alpha of each cell type that the supernet has; one of two cells has no normal cell.
      weights: the supernet's trainable variables.
      weight_optimizer: SGD of the weights.
      alpha_optimizer: Adam of alpha.
    """

    supernet: Supernet
    architecture: Architecture
    alphas: dict[str, tf.Variable]
    weights: list[tf.Variable]
    weight_optimizer: SGD
    alpha_optimizer: Adam

    @classmethod
    def create(
        cls, supernet: Supernet, architecture: Architecture, search: ml_collections.ConfigDict
    ) -> "Bilevel":
        """With new optimisers, set as the config's `search` says."""
        weights = [v.value for v in supernet.trainable_variables]
        present = {block.cell_type for block in supernet.body.layout}
        alphas = {t: alpha for t, alpha in architecture.alpha.items() if t in present}
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

    def forward(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        """Logits float32 [B, classes] with the architecture as it stands (masks and probe included)."""
        architecture = self.architecture
        return self.supernet(
            images, architecture.mixing_weights(), training=training, evaluated=architecture.evaluated
        )

    def alpha_gradients(self, batch: Batch, total: int) -> "Evaluated":
        """The validation loss and its gradients with respect to alpha: this replica's share."""
        with no_kernel_gradients():
            return self._evaluate(batch, total, list(self.alphas.values()))

    def weight_gradients(self, batch: Batch, total: int) -> "Evaluated":
        """The training loss and its gradients with respect to the weights: this replica's share."""
        return self._evaluate(batch, total, self.weights)

    def _evaluate(self, batch: Batch, total: int, variables: list[tf.Variable]) -> "Evaluated":
        images, labels = batch
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self.forward(images, training=True)
            loss, correct = loss_and_correct(logits, labels, total)
        # A weight that no path of the graph uses has gradient zero, as decay and momentum then expect.
        zero = tf.UnconnectedGradients.ZERO
        return Evaluated(tape.gradient(loss, variables, unconnected_gradients=zero), logits, loss, correct)

    def alpha_step(self, batch: Batch, total: int) -> "Evaluated":
        """Updates alpha on a validation batch."""
        evaluated = self.alpha_gradients(batch, total)
        self.alpha_optimizer.apply(sum_over_replicas(evaluated.gradients))
        return evaluated

    def weight_step(
        self, batch: Batch, total: int, learning_rate: tf.Tensor | float
    ) -> tuple["Evaluated", tf.Tensor]:
        """Updates the weights on a training batch; also gives the gradients' global norm before clipping."""
        evaluated = self.weight_gradients(batch, total)
        norm = self.weight_optimizer.apply(sum_over_replicas(evaluated.gradients), learning_rate)
        return evaluated, norm


class Evaluated(NamedTuple):
    """What one replica computed on its slice of a batch.

    Attributes:
      gradients: of the loss share, by variable.
      logits: float32 [B, classes].
      loss: sum of the slice's losses divided by the global batch.
      correct: number of correct images, int32.
    """

    gradients: list[tf.Tensor]
    logits: tf.Tensor
    loss: tf.Tensor
    correct: tf.Tensor
