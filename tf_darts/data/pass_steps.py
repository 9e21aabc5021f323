"""Compiled steps of whole passes over images on the device, or that the host decodes for each batch."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tf_darts.data import image_file
from tf_darts.data.arrays import some
from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.errors import UserError
from tf_darts.optim.losses import Batch
from tf_darts.runtime.guard import Guard
from tf_darts.runtime.steps import Step, Steps

# A step: (its number, the replica's number, the replica's part of the batch) -> its share of each metric.
BatchStep = Callable[[tf.Tensor, tf.Tensor, Batch], dict[str, tf.Tensor]]


def divided(size: int, batch_size: int, replicas: int) -> tuple[int, int]:
    """Return the number of full batches in a pass over `size` images, and of images in a last, smaller one.

    Raises:
      UserError: there are fewer images than replicas.
    """
    full, rest = divmod(size, batch_size)
    rest -= rest % replicas
    if not full and not rest:
        raise UserError(f"a set of {size} images cannot be shared by {replicas} replicas")
    return full, rest


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
        make_step: Callable[[int], Step],
        metrics: tuple[str, ...],
        steps_per_call: int,
        make_shape: Callable[[int], tuple[int, ...]] = lambda count: (),
        guard: Guard | None = None,
    ):
        self._full, rest = divided(size, batch_size, strategy.num_replicas_in_sync)
        self.per_pass = self._full + (1 if rest else 0)
        self.images = self._full * batch_size + rest
        self._batch_size, self._replicas = batch_size, strategy.num_replicas_in_sync
        self._steps_per_call = steps_per_call
        self.full_steps = Steps(strategy, make_step(batch_size), metrics, make_shape(batch_size), guard)
        self._rest_steps = (
            Steps(strategy, make_step(rest), metrics, make_shape(rest), guard) if rest else None
        )

    def batch(
        self,
        images: ImageSet,
        purpose: str,
        number: tf.Tensor,
        count: int,
        replica: tf.Tensor,
        augment: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return a replica's part of the batch of a step, for `make_step`.

        Args:
          images: the set that passes go over.
          purpose: what the pass is for.
          number: of the step.
          count: images in the global batch, as `make_step` was told.
          replica: the replica's number.
          augment: whether images are augmented and their order is shuffled, or neither.

        Returns:
          As `ImageSet.pass_batch`.
        """
        return images.pass_batch(
            purpose,
            number // self.per_pass,
            number % self.per_pass,
            self._batch_size,
            count,
            augment=augment,
            shuffle=augment,
            replicas=self._replicas,
            replica=replica,
        )

    def __call__(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """Run some steps from this one on, none beyond its pass; return their metrics and their number."""
        within = number % self.per_pass
        if self._rest_steps is not None and within == self._full:
            return self._rest_steps(number, 1), 1
        count = min(self._steps_per_call, self._full - within)
        return self.full_steps(number, count), count


class StreamedSteps:
    """`PassSteps` for images that are decoded for each batch; one step per call from the host.

    Every replica is given the whole batch and takes its part, so that the batch does not depend on how many
    there are.

    Args:
      strategy: where it runs.
      images: the set that passes go over.
      purpose: what the passes are for.
      augment: whether images are augmented and their order is shuffled, or neither.
      batch_size: global batch.
      make_step: makes the step for a global batch of so many images.
      metrics: names of the metrics that steps return.
      guard: as `Steps`.

    Attributes:
      per_pass: number of steps in a pass.
      images: number of images that a pass sees.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        images: ImageStream,
        purpose: str,
        augment: bool,
        batch_size: int,
        make_step: Callable[[int], BatchStep],
        metrics: tuple[str, ...],
        guard: Guard | None = None,
    ):
        replicas = strategy.num_replicas_in_sync
        self._full, rest = divided(images.size, batch_size, replicas)
        self.per_pass, self.images = self._full + (1 if rest else 0), self._full * batch_size + rest
        self._batches = lambda number: images.batches(
            purpose, number // self.per_pass, number % self.per_pass, batch_size, augment
        )
        self._broken = lambda number: images.broken(
            purpose, number // self.per_pass, number % self.per_pass, batch_size, augment
        )
        self._next = -1
        self._iterator: Iterator[Batch] = iter(())

        def steps(count: int) -> Steps:
            step, share = make_step(count), count // replicas

            def of_part(
                number: tf.Tensor, replica: tf.Tensor, pixels: tf.Tensor, labels: tf.Tensor
            ) -> dict[str, tf.Tensor]:
                offset = replica * share
                pixels = tf.slice(pixels, [offset, 0, 0, 0], [share, *pixels.shape[1:]])
                batch = images.finish(pixels, purpose, number, count, offset, augment)
                return step(number, replica, (batch, tf.slice(labels, [offset], [share])))

            return Steps(strategy, of_part, metrics, guard=guard)

        self._full_steps = steps(batch_size)
        self._rest_steps = steps(rest) if rest else None

    def __call__(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """Run this step; return its metrics, and 1.

        Raises:
          UserError: an image cannot be read or decoded; or as `Steps`.
        """
        within = number % self.per_pass
        if number != self._next or not within:
            self._iterator = iter(self._batches(number))
        try:
            batch = next(self._iterator)
        except (tf.errors.OpError, StopIteration) as error:
            raise _unreadable(error, self._broken(number)) from error
        self._next = number + 1
        if self._rest_steps is not None and within == self._full:
            return self._rest_steps(number, 1, batch), 1
        return self._full_steps(number, 1, batch), 1


def _unreadable(error: Exception, broken: list[str]) -> UserError:
    line = (str(getattr(error, "message", error)).splitlines() or ["it ends too early"])[0]
    fault = f"an image there cannot be read ({some(broken) or line})"
    return UserError(f"config: data.path: {fault}; allowed: {image_file.KINDS}")


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
) -> PassSteps | StreamedSteps:
    """Make the steps of passes over a set, wherever its images are; arguments as of the two classes."""
    if isinstance(images, ImageStream):
        return StreamedSteps(strategy, images, purpose, augment, batch_size, make_step, metrics, guard)

    def with_batch(count: int) -> Step:
        step = make_step(count)

        def whole(number: tf.Tensor, replica: tf.Tensor) -> dict[str, tf.Tensor]:
            return step(number, replica, steps.batch(images, purpose, number, count, replica, augment))

        return whole

    steps = PassSteps(strategy, images.size, batch_size, with_batch, metrics, steps_per_call, guard=guard)
    return steps
