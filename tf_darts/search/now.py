"""Where a step of a search or of fine-tuning is."""

import dataclasses

import tensorflow as tf

from tf_darts.optim.losses import Batch
from tf_darts.runtime.seeds import draw_seed


@dataclasses.dataclass(frozen=True)
class Now:
    """Where a step is: what it needs to know besides its batches.

    Attributes:
      number: of the step in its stage, int32 scalar.
      progress: share of the search's epochs that are over, a scalar; 1 in the selection's fine-tuning.
      learning_rate: of the weights, a scalar.
      train_total: images in the global training batch.
      valid_total: images in the global validation batch.
      trains_alpha: whether the method may train alpha yet (`search.alpha_warmup_epochs`).
      seed: of what the method draws in this stage.
      valid: the step's validation batch, in the step of the weights too; None: outside of a step.
    """

    number: tf.Tensor
    progress: tf.Tensor
    learning_rate: tf.Tensor
    train_total: int
    valid_total: int
    trains_alpha: bool
    seed: int
    valid: Batch | None = None

    def draw_seed(self, purpose: str) -> tf.Tensor:
        """Return the seed of a stateless draw of this step, the same on every replica: int32 [2]."""
        return draw_seed(self.seed, purpose, self.number)
