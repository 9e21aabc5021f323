"""How good a model is on a whole set of images."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.data.pass_steps import over
from tf_darts.optim.losses import Batch, count_in_top, loss_and_correct


@dataclasses.dataclass(frozen=True)
class Score:
    """The result of one pass.

    Attributes:
      correct: number of images classified correctly.
      in_top_5: number of images whose label is among the five largest logits; None where not counted.
      images: number of images seen.
      loss: mean cross-entropy.
    """

    correct: int
    images: int
    loss: float
    in_top_5: int | None = None

    @property
    def accuracy(self) -> float:
        """Share of correct images, 0 to 1."""
        return self.correct / self.images

    def row(self) -> dict[str, int | float]:
        """Return the score as a row of a file has it (decisions.jsonl, say)."""
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
      images: the set, on the device or streamed.
      batch_size: global batch.
      forward: images float [B, H, W, C] -> logits float [B, classes].
      purpose: for the order and the augmentation of each pass.
      augment: whether images are augmented and their order is shuffled, or neither.
      steps_per_call: batches per call from the host.
      top_5: whether to count the images whose label is among the five largest logits too.
    """

    @property
    def batches(self) -> int:
        """Batches in a pass."""
        return self._steps.per_pass

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        images: ImageSet | ImageStream,
        batch_size: int,
        forward: Callable[[tf.Tensor], tf.Tensor],
        purpose: str,
        augment: bool,
        steps_per_call: int,
        top_5: bool = False,
    ):
        def step(number: tf.Tensor, replica: tf.Tensor, batch: Batch) -> dict[str, tf.Tensor]:
            logits, labels = forward(batch[0]), batch[1]
            loss, correct = loss_and_correct(logits, labels, 1)
            counted = {"in_top_5": count_in_top(logits, labels, 5)} if top_5 else {}
            return {"loss": loss, "correct": correct, **counted}

        metrics = ("loss", "correct", *(("in_top_5",) if top_5 else ()))
        self._steps = over(
            strategy, images, purpose, augment, batch_size, lambda count: step, metrics, steps_per_call
        )
        self._metrics = metrics

    def __call__(self, pass_index: int = 0, each_call: Callable[[int], None] = lambda batches: None) -> Score:
        """Run one pass and return its score.

        Args:
          pass_index: passes of one index see the same images in the same order and augmentation.
          each_call: called with the number of batches done after each call from the host.
        """
        sums, done = dict.fromkeys(self._metrics, 0.0), 0
        while done < self._steps.per_pass:
            rows, count = self._steps(pass_index * self._steps.per_pass + done)
            for name in self._metrics:
                sums[name] += float(rows[name].sum(dtype="float64"))
            done += count
            each_call(done)
        images, in_top_5 = self._steps.images, sums.get("in_top_5")
        in_top_5 = None if in_top_5 is None else round(in_top_5)
        return Score(round(sums["correct"]), images, sums["loss"] / images, in_top_5)
