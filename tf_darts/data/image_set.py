"""Batches as functions of (seed, purpose, step), from images that stay on the device.

There is no iterator and no state: a run can be continued at any step, and all draws are made for the
global batch, so that the batch is the same however many replicas share it.
"""

import copy
import dataclasses
import math

import ml_collections
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_darts.data.image_data import ImageData
from tf_darts.data.share import HALVES, places, size_of, sizes, split
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError
from tf_darts.runtime import seeds
from tf_darts.runtime.strategy import device_type


class ImageSet:
    """A set of labelled images on the device, as uint8, and the batches that are drawn from it.

    Make it outside of compiled functions, in the scope of the strategy: they then refer to its images and do
    not copy them.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Transform, seed: int):
        """Puts the images on the device.

        Args:
          images: uint8 [N, H, W, C].
          labels: integer [N].
          transform: what is done to the images of a batch.
          seed: the run's seed; sets of equal size and seed draw the same indices for the same purpose.

        Raises:
          ValueError: no images, or not one label for each.
        """
        if not len(images) or len(images) != len(labels):
            raise ValueError(f"{len(images)} images and {len(labels)} labels: as many of both, at least one")
        self.size, self._shape = len(images), images.shape[1:]
        # An image is a row. A TPU lays four dimensions out with neighbouring images beside each other, and
        # would copy the whole set into another layout for every batch that is drawn.
        self._images = held(np.reshape(images, [self.size, -1]), tf.uint8)
        self._labels = held(labels, tf.int32)
        self._transform = transform
        self._seed = seed

    def first(self, count: int) -> "ImageSet":
        """Return the set of the first `count` of these images."""
        part = copy.copy(self)
        part.size = min(count, self.size)
        return part

    def with_cutout(self, length: int) -> "ImageSet":
        """Return the set of the same images whose training transform blanks a square of this side, pixels."""
        cut = copy.copy(self)
        cut._transform = dataclasses.replace(self._transform, cutout_length=length)
        return cut

    def fresh_batch(
        self,
        purpose: str,
        step: tf.Tensor | int,
        batch_size: int,
        replicas: int = 1,
        replica: tf.Tensor | int = 0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw a batch: the first images of a permutation for this step alone, with the training transform.

        Args:
          purpose: what the batch is for; batches for different purposes are independent.
          step: integer scalar; batches of different steps are independent.
          batch_size: size of the global batch.
          replicas: number of replicas that share the global batch.
          replica: integer scalar, which part of it to return.

        Returns:
          Float [batch_size // replicas, H, W, C] and int32 [batch_size // replicas].

        Raises:
          UserError: the set has fewer than batch_size images.
          ValueError: batch_size is not a multiple of replicas.
        """
        local = _share(batch_size, replicas)
        if batch_size > self.size:
            raise UserError(
                f"batch_size is {batch_size}, for a set of {self.size} images; allowed: at most their number"
            )
        offset = tf.cast(replica, tf.int32) * local
        indices = tf.slice(self._shuffled(purpose, step, batch_size), [offset], [local])
        images, labels = self._take(indices)
        seed = seeds.draw_seed(self._seed, f"{purpose}/augment", step)
        return self._transform.train(images, seed, batch_size, offset), labels

    def pass_batch(
        self,
        purpose: str,
        pass_index: tf.Tensor | int,
        batch_index: tf.Tensor | int,
        batch_size: int,
        count: int,
        augment: bool = True,
        shuffle: bool = True,
        replicas: int = 1,
        replica: tf.Tensor | int = 0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return one batch of a pass over the set, in which every image comes once.

        Args:
          purpose: what the pass is for; passes for different purposes are independent.
          pass_index: integer scalar; each pass has its own permutation.
          batch_index: integer scalar, from 0.
          batch_size: size of the global batch, without the last of a pass.
          count: images in this global batch: batch_size, or what is left for the last.
          augment: training transform; otherwise images are only normalised.
          shuffle: a permutation drawn for the pass; otherwise the order of the set.
          replicas: number of replicas that share the global batch.
          replica: integer scalar, which part of it to return.

        Returns:
          Float [count // replicas, H, W, C] and int32 [count // replicas].

        Raises:
          ValueError: count is above batch_size or the size of the set, or not a multiple of replicas.
        """
        local = _share(count, replicas)
        if count > min(batch_size, self.size):
            raise ValueError(
                f"count {count} is above batch_size {batch_size} or the set's {self.size} images"
            )
        batch_index = tf.cast(batch_index, tf.int32)
        offset = tf.cast(replica, tf.int32) * local
        first = batch_index * batch_size + offset
        if shuffle:
            indices = tf.slice(self._shuffled(purpose, pass_index, self.size), [first], [local])
        else:
            indices = first + tf.range(local)
        images, labels = self._take(indices)
        if not augment:
            return self._transform.test(images), labels
        step = tf.cast(pass_index, tf.int32) * math.ceil(self.size / batch_size) + batch_index
        seed = seeds.draw_seed(self._seed, f"{purpose}/augment", step)
        return self._transform.train(images, seed, count, offset), labels

    def _shuffled(self, purpose: str, step: tf.Tensor | int, count: int) -> tf.Tensor:
        """Draw the first `count` indices of the permutation for (purpose, step): int32 [count].

        The images are ordered by random keys. tf.random.experimental.stateless_shuffle would do the same,
        but XLA cannot compile it, and of a fresh batch's permutation only the start is needed.
        """
        seed = seeds.draw_seed(self._seed, purpose, step)
        keys = tf.random.stateless_uniform([self.size], seed, None, None, tf.int32, alg="philox")
        return tf.math.top_k(keys, count).indices

    def _take(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.reshape(tf.gather(self._images, indices), [-1, *self._shape])
        return images, tf.gather(self._labels, indices)


def held(value: npt.ArrayLike, dtype: tf.DType) -> tf.Tensor | tf.Variable:
    """Put a value where it stays: on the devices of the current strategy.

    A constant is one device's: replicas on a TPU or on several GPUs would be sent it at every step, so that
    each has it in a variable. Those on CPUs share the memory.
    """
    strategy = tf.distribute.get_strategy()
    kind = device_type()
    if kind == "CPU" or (kind == "GPU" and strategy.num_replicas_in_sync == 1):
        return tf.constant(value, dtype)
    return tf.Variable(value, dtype=dtype, trainable=False)


def _share(count: int, replicas: int) -> int:
    """Return how many images of a global batch each replica has."""
    if count < 1 or count % replicas:
        raise ValueError(f"a global batch of {count} images cannot be shared by {replicas} replicas")
    return count // replicas


def whole_sets(
    data: ImageData, config_data: ml_collections.ConfigDict, run_seed: int, transform: Transform, seed: int
) -> tuple[ImageSet, ImageSet]:
    """Make the sets of a training: of the training images that it sees, and of all test images.

    Args:
      data: the data set.
      config_data: `config.data`: training_only and split.
      run_seed: the run's seed, by which images are split.
      transform: of both.
      seed: of both.

    Raises:
      UserError: the training would see none.
    """
    _, seen = places(data.y_train, config_data, run_seed)
    train, test = (
        ImageSet(images, labels, transform, seed)
        for images, labels in ((data.x_train[seen], data.y_train[seen]), (data.x_test, data.y_test))
    )
    return train, test


def in_training_half(config_data: ml_collections.ConfigDict, number: int) -> int:
    """Return how many of a number of training images fit the weights of a supernet."""
    searched, _ = sizes(config_data, number)
    return size_of(config_data.train_fraction, searched)


def size_of_first_half(config_data: ml_collections.ConfigDict, number: int) -> int:
    """Return the same, by `data.train_fraction`.

    Raises:
      UserError: one of the halves would be empty.
    """
    searched, _ = sizes(config_data, number)
    first = in_training_half(config_data, number)
    if not 0 < first < searched:
        raise UserError(
            f"config: data.train_fraction is {config_data.train_fraction!r}, of {searched} training images;"
            " allowed: a share that leaves images for both halves"
        )
    return first


def halves(
    data: ImageData, config_data: ml_collections.ConfigDict, seed: int, transform: Transform
) -> tuple[ImageSet, ImageSet]:
    """Split the training images for the search.

    Args:
      data: the data set.
      config_data: `config.data`: training_only, train_fraction, and split ("seed": shuffled before splitting;
        "class": the same within each class; "order": in the order of the data set, as published).
      seed: the run's seed.
      transform: the transform of both halves.

    Returns:
      The images that fit the weights, floor(train_fraction * N) of those that a search sees, and the rest of
      these, which fit and judge the architecture. Their draws are independent, also for the same purpose and
      step.

    Raises:
      UserError: one of the halves would be empty.
    """
    first = size_of_first_half(config_data, len(data.x_train))
    seen, _ = places(data.y_train, config_data, seed)
    numbers = np.arange(len(data.y_train))[seen]
    parts = [numbers[part] for part in split(data.y_train[seen], first, config_data.split, seed)]
    train, validation = (
        ImageSet(data.x_train[part], data.y_train[part], transform, seeds.fold(seed, name))
        for part, name in zip(parts, HALVES, strict=True)
    )
    return train, validation


def search_sets(
    data: ImageData, config_data: ml_collections.ConfigDict, seed: int, transform: Transform
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Make the sets of a search: the halves of the training images, and the test images.

    Args:
      data: as `halves`.
      config_data: as `halves`.
      seed: as `halves`.
      transform: of all three.

    Raises:
      UserError: as `halves`.
    """
    train, valid = halves(data, config_data, seed, transform)
    return train, valid, ImageSet(data.x_test, data.y_test, transform, seed)
