"""How good a model is on a whole set of images."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_darts.data.pipeline import ImageSet
from tf_darts.objective import loss_and_correct
from tf_darts.runtime.steps import PassSteps


@dataclasses.dataclass(frozen=True)
class Score:
    """The result of one pass.

    Attributes:
      correct: number of images classified correctly.
      images: number of images seen.
      loss: mean cross-entropy.
    """

    correct: int
    images: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of correct images, 0 to 1."""
        return self.correct / self.images

    def row(self) -> dict[str, int | float]:
        """The score as files of rows have it (decisions.jsonl, say)."""
        return {
            "correct": self.correct,
            "images": self.images,
            "accuracy": self.accuracy,
            "loss": self.loss,
        }


class Evaluator:
    """Passes over a set of images, compiled once whatever changes in the model's variables.

    Args:
      strategy: where it runs.
      images: the set.
      batch_size: global batch.
      forward: images float32 [B, H, W, C] -> logits float32 [B, classes].
      purpose: for the order and the augmentation of each pass.
      augment: whether images are augmented and their order is shuffled, or neither.
      steps_per_call: batches per call from the host.
    """

    @property
    def batches(self) -> int:
        """Batches in a pass."""
        return self._steps.per_pass

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        images: ImageSet,
        batch_size: int,
        forward: Callable[[tf.Tensor], tf.Tensor],
        purpose: str,
        augment: bool,
        steps_per_call: int,
    ):
        def make_step(count: int):
            def step(number: tf.Tensor, replica: tf.Tensor) -> dict[str, tf.Tensor]:
                batch, labels = self._steps.batch(images, purpose, number, count, replica, augment)
                loss, correct = loss_and_correct(forward(batch), labels, 1)
                return {"loss": loss, "correct": correct}

            return step

        self._steps = PassSteps(
            strategy, images.size, batch_size, make_step, ("loss", "correct"), steps_per_call
        )

    def __call__(self, pass_index: int = 0, each_call: Callable[[int], None] = lambda batches: None) -> Score:
        """One pass.

        Args:
          pass_index: passes of one index see the same images in the same order and augmentation.
          each_call: called with the number of batches done after each call from the host.
        """
        loss, correct, done = 0.0, 0, 0
        while done < self._steps.per_pass:
            rows, count = self._steps(pass_index * self._steps.per_pass + done)
            loss += float(rows["loss"].sum(dtype="float64"))
            correct += round(float(rows["correct"].sum(dtype="float64")))
            done += count
            each_call(done)
        return Score(correct, self._steps.images, loss / self._steps.images)
