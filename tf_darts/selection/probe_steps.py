"""Compiled passes of probes: whole batches, a different one on each replica.

Probes are scored with batch statistics, so that a score depends on which images make a batch. Shared out
among replicas a batch would be several smaller ones; instead every replica takes whole batches, and scores
are those of one device however many replicas there are.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_darts.data.batches import of_passes
from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.layers.batch_norm import own_statistics
from tf_darts.runtime.steps import Steps, in_place

PURPOSE = "selection/probe"
METRICS = ("correct", "loss")

# A batch, images and labels -> its metrics, each float [probes, images]: whether each image is correct, and
# its loss.
Scores = Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]]


class ProbeSteps:
    """Steps of a pass over the probe images, a batch on each replica in each of them.

    Args:
      strategy: where it runs.
      images: the images.
      batch_size: images in a batch; the last one of a pass may be smaller and is compiled apart.
      scores: called in replica context.
      probes: rows of what `scores` returns.
      steps_per_call: steps per call from the host.
      augment: whether images are augmented and their order is shuffled, or neither.
      metrics: names of what `scores` returns.
      purpose: for order and augmentation of the images.

    Attributes:
      per_pass: batches in a pass.
      calls: calls that a pass takes.
      full_steps: the steps of full batches; None where there are none.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        images: ImageSet | ImageStream,
        batch_size: int,
        scores: Scores,
        probes: int,
        steps_per_call: int,
        augment: bool,
        metrics: Sequence[str] = METRICS,
        purpose: str = PURPOSE,
    ):
        self._full, rest = divmod(images.size, batch_size)
        self._replicas, self._batch_size = strategy.num_replicas_in_sync, batch_size
        self._steps_per_call = steps_per_call
        self._steps = -(-self._full // self._replicas)  # for the full batches of a pass
        self.per_pass = self._full + (1 if rest else 0)
        self.calls = -(-self._steps // steps_per_call) + (1 if rest else 0)

        batches = {
            count: of_passes(images, purpose, batch_size, count, 1, augment)
            for count in (batch_size, rest)
            if count
        }

        def score(
            pass_index: tf.Tensor, batch: tf.Tensor, count: int, given: Sequence[tf.Tensor]
        ) -> list[tf.Tensor]:
            number = pass_index * self.per_pass + batch
            with own_statistics():
                return list(scores(*batches[count](number, tf.constant(0), given)))

        def full(number: tf.Tensor, replica: tf.Tensor, *given: tf.Tensor) -> dict[str, tf.Tensor]:
            batch = number % self._steps * self._replicas + replica
            own = [tf.gather(tensor, replica) for tensor in given]
            # Where the last step has fewer batches than replicas, some do another one again, for nothing.
            found = score(number // self._steps, tf.minimum(batch, self._full - 1), batch_size, own)
            return {n: in_place(v, replica, self._replicas) for n, v in zip(metrics, found, strict=True)}

        def last(number: tf.Tensor, replica: tf.Tensor, *given: tf.Tensor) -> dict[str, tf.Tensor]:
            found = score(number, tf.constant(self._full), rest, given)  # on all replicas, of one it is taken
            return {n: tf.where(replica == 0, v, 0.0) for n, v in zip(metrics, found, strict=True)}

        def given_to_full(number: int) -> list[tf.Tensor]:
            pass_index, first = number // self._steps, number % self._steps * self._replicas
            places = [min(first + replica, self._full - 1) for replica in range(self._replicas)]
            each = [batches[batch_size].given(pass_index * self.per_pass + place) for place in places]
            return [tf.stack(tensors) for tensors in zip(*each, strict=True)]

        def given_to_last(number: int) -> Sequence[tf.Tensor]:
            return batches[rest].given(number * self.per_pass + self._full)

        on_disk, names = isinstance(images, ImageStream), tuple(metrics)

        self.full_steps: Steps | None = None
        self._last_step: Steps | None = None
        if self._full:
            shape = (probes, self._replicas * batch_size)
            self.full_steps = Steps(strategy, full, names, shape, given=given_to_full if on_disk else None)
        if rest:
            given = given_to_last if on_disk else None
            self._last_step = Steps(strategy, last, names, (probes, rest), given=given)

    def __call__(self, pass_index: int, done: int) -> tuple[dict[str, np.ndarray], int]:
        """Run some batches of a pass.

        Args:
          pass_index: passes of one index see the same images in the same order and augmentation.
          done: batches of it that were done before.

        Returns:
          The metrics by name, float [probes, images], and the number of batches.
        """
        if done == self._full and self._last_step is not None:
            return {name: rows[0] for name, rows in self._last_step(pass_index, 1).items()}, 1
        if self.full_steps is None:
            raise ValueError(f"batch {done} of a pass of {self.per_pass} batches")
        first = done // self._replicas
        count = min(self._steps_per_call, self._steps - first)
        columns = self.full_steps(pass_index * self._steps + first, count)
        batches = min(count * self._replicas, self._full - done)
        # [steps, probes, images of a step] -> [probes, images], without what was done for nothing.
        images = batches * self._batch_size
        side_by_side = {name: np.concatenate(list(rows), 1)[:, :images] for name, rows in columns.items()}
        return side_by_side, batches
