"""Compiled steps of whole passes over images on the device, or that the host decodes for each batch."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_darts.data.batches import Batches, BatchStep, divided, of_passes, steps_over
from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.runtime.guard import Guard
from tf_darts.runtime.steps import Steps


class PassSteps:
    """Steps of whole passes over a set: every image once, the last batch smaller where need be.

    Steps are numbered through: step n is batch n % per_pass of pass n // per_pass. The smaller batch has
    another shape and is compiled apart. Over several replicas, the images of the last batch that do not
    divide among them (fewer than there are replicas) are left out.

    Args:
      strategy: where it runs.
      size: images in the set.
      batch_size: global batch.
      make_step: makes the step for a global batch of so many images.
      metrics: names of the metrics that steps return.
      steps_per_call: steps per call from the host.
      make_shape: returns the shape of each metric for a global batch of so many images.
      guard: as `Steps`.
      batches: makes what a step for a global batch of so many images is called with, besides its number.

    Raises:
      UserError: there are fewer images than replicas.

    Attributes:
      per_pass: number of steps in a pass.
      images: number of images that a pass sees.
      full_steps: the steps of full batches.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        size: int,
        batch_size: int,
        make_step: Callable[[int], BatchStep],
        metrics: tuple[str, ...],
        steps_per_call: int,
        make_shape: Callable[[int], tuple[int, ...]] = lambda count: (),
        guard: Guard | None = None,
        batches: Callable[[int], Sequence[Batches]] = lambda count: (),
    ):
        self._full, rest = divided(size, batch_size, strategy.num_replicas_in_sync)
        self.per_pass = self._full + (1 if rest else 0)
        self.images = self._full * batch_size + rest
        self._steps_per_call = steps_per_call

        def steps(count: int) -> Steps:
            return steps_over(batches(count), strategy, make_step(count), metrics, make_shape(count), guard)

        self.full_steps = steps(batch_size)
        self._rest_steps = steps(rest) if rest else None

    def __call__(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """Run some steps from this one on, none beyond its pass; return their metrics and their number."""
        within = number % self.per_pass
        if self._rest_steps is not None and within == self._full:
            return self._rest_steps(number, 1), 1
        count = min(self._steps_per_call, self._full - within)
        return self.full_steps(number, count), count


def over(
    strategy: tf.distribute.Strategy,
    images: ImageSet | ImageStream,
    purpose: str,
    augment: bool,
    batch_size: int,
    make_step: Callable[[int], BatchStep],
    metrics: tuple[str, ...],
    steps_per_call: int,
    guard: Guard | None = None,
) -> PassSteps:
    """Make the steps of passes over a set, wherever its images are.

    Args:
      strategy: as `PassSteps`.
      images: the set.
      purpose: what the passes are for.
      augment: whether images are augmented and their order is shuffled, or neither.
      batch_size: as `PassSteps`.
      make_step: makes the step for a global batch of so many images; it is called with its part of the batch.
      metrics: as `PassSteps`.
      steps_per_call: as `PassSteps`; of images on disk there is one.
      guard: as `PassSteps`.
    """
    replicas = strategy.num_replicas_in_sync

    def batches(count: int) -> list[Batches]:
        return [of_passes(images, purpose, batch_size, count, replicas, augment)]

    if isinstance(images, ImageStream):
        steps_per_call = 1
    return PassSteps(
        strategy, images.size, batch_size, make_step, metrics, steps_per_call, guard=guard, batches=batches
    )
