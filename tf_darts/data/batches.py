"""The batches that steps take, wherever their images are.

Of images on the device a step draws its batch itself. Images on disk are decoded by the host, which gives
them to the step; the step finishes them. Either way a batch is a function of seed, purpose and the step's
number.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.errors import UserError
from tf_darts.optim.losses import Batch
from tf_darts.runtime.guard import Guard
from tf_darts.runtime.steps import Steps

Place = Callable[[Any], tuple[Any, Any]]
"""From a step's number, an int or an int32 scalar, to a pass and a batch in it."""

# A step: (its number, the replica's number, the replica's part of each batch) -> its share of each metric.
BatchStep = Callable[..., dict[str, tf.Tensor]]


class Batches:
    """The batches of one purpose, one for each step.

    Args:
      images: the set.
      purpose: what they are for; batches for different purposes are independent.
      batch_size: images in a global batch, but for the last of a pass.
      replicas: that share a batch.
      count: images in the global batches of these steps; None: `batch_size`.
      place: where in which pass a step's batch is; None: each is drawn anew (of images on disk: they come in
        passes of full batches).
      augment: of passes: whether images are augmented and their order is shuffled, or neither.
    """

    def __init__(
        self,
        images: ImageSet | ImageStream,
        purpose: str,
        batch_size: int,
        replicas: int = 1,
        count: int | None = None,
        place: Place | None = None,
        augment: bool = True,
    ):
        self._images, self._purpose, self._batch_size = images, purpose, batch_size
        self._replicas, self._count = replicas, batch_size if count is None else count
        self._place, self._augment = place, augment

    @property
    def on_disk(self) -> bool:
        """Whether the host has to give them."""
        return isinstance(self._images, ImageStream)

    def given(self, number: int) -> Sequence[tf.Tensor]:
        """Return what the host gives to a step: pixels and labels of the global batch, or nothing.

        Args:
          number: of the step.

        Raises:
          UserError: an image cannot be read or decoded.
        """
        images = self._images
        if not isinstance(images, ImageStream):
            return ()
        full = images.size // self._batch_size
        pass_index, batch = self._place(number) if self._place else divmod(number, full)
        return images.batch(self._purpose, pass_index, batch, self._batch_size, self._augment)

    def __call__(self, number: tf.Tensor, replica: tf.Tensor, given: Sequence[tf.Tensor] = ()) -> Batch:
        """Return a replica's part of a step's batch: float32 [B, H, W, C] and int32 [B].

        Called in replica context.

        Args:
          number: of the step.
          replica: number of the replica.
          given: from `given`.
        """
        images = self._images
        if isinstance(images, ImageStream):
            pixels, labels = given
            share = self._count // self._replicas
            offset = replica * share
            pixels = tf.slice(pixels, [offset, 0, 0, 0], [share, *pixels.shape[1:]])
            batch = images.finish(pixels, self._purpose, number, self._count, offset, self._augment)
            return batch, tf.slice(labels, [offset], [share])
        if self._place is None:
            return images.fresh_batch(self._purpose, number, self._batch_size, self._replicas, replica)
        return images.pass_batch(
            self._purpose,
            *self._place(number),
            self._batch_size,
            self._count,
            augment=self._augment,
            shuffle=self._augment,
            replicas=self._replicas,
            replica=replica,
        )


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


def of_passes(
    images: ImageSet | ImageStream, purpose: str, batch_size: int, count: int, replicas: int, augment: bool
) -> Batches:
    """Return the batches of passes over a set, one after the other; arguments as of `Batches`."""
    full, rest = divided(images.size, batch_size, replicas)
    per_pass = full + (1 if rest else 0)

    def place(number: Any) -> tuple[Any, Any]:
        return number // per_pass, number % per_pass

    return Batches(images, purpose, batch_size, replicas, count, place, augment)


def steps_over(
    batches: Sequence[Batches],
    strategy: tf.distribute.Strategy,
    step: BatchStep,
    metrics: tuple[str, ...],
    shape: tuple[int, ...] = (),
    guard: Guard | None = None,
) -> Steps:
    """Return a step as a compiled loop, with a batch of each kind for every step.

    Args:
      batches: of each kind.
      strategy: as `Steps`.
      step: as `Steps`, called with its part of each batch too.
      metrics: as `Steps`.
      shape: as `Steps`.
      guard: as `Steps`.
    """
    places = [2 if kind.on_disk else 0 for kind in batches]  # of what a step is given

    def with_batches(number: tf.Tensor, replica: tf.Tensor, *given: tf.Tensor) -> dict[str, tf.Tensor]:
        taken, left = [], list(given)
        for kind, place in zip(batches, places, strict=True):
            taken.append(kind(number, replica, left[:place]))
            del left[:place]
        return step(number, replica, *taken)

    def given(number: int) -> list[tf.Tensor]:
        return [tensor for kind in batches for tensor in kind.given(number)]

    return Steps(strategy, with_batches, metrics, shape, guard, given if any(places) else None)
