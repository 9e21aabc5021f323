"""Images that stay encoded, on disk, and are decoded for each batch: for sets that no memory holds.

As with images on the device, a batch is a function of (seed, purpose, pass, place in the pass): a run is
continued at any batch, and every draw is made for the global batch. Crops and colours are drawn on the host
(`crop.py`), mirroring, normalisation and cutout on the device (`transform.py`).
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from tf_darts.data.crop import Crop
from tf_darts.data.transform import Transform
from tf_darts.runtime import seeds

# Of ImageNet's training images, in the scale [0, 1], as in the authors' release.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class Encoded(Protocol):
    """Encoded images with their labels.

    Attributes:
      size: how many there are.
    """

    size: int

    def read(self, seed: int | None, skip: int) -> tf.data.Dataset:
        """Read images and labels.

        Args:
          seed: of the order; None: the order of the set.
          skip: how many of the first are left out.

        Returns:
          Elements (string scalar, int32 scalar).
        """


class Files:
    """Image files: any of them is read at once, so that a pass is shuffled as a whole."""

    def __init__(self, paths: Sequence[str], labels: np.ndarray):
        self.size = len(paths)
        self._paths, self._labels = list(paths), labels

    def read(self, seed: int | None, skip: int) -> tf.data.Dataset:
        """Read images and labels; as `Encoded.read`."""
        order = np.arange(self.size) if seed is None else np.random.default_rng(seed).permutation(self.size)
        paths, labels = self._tensors
        return tf.data.Dataset.from_tensor_slices(order[skip:]).map(
            lambda i: (tf.io.read_file(paths[i]), labels[i]), num_parallel_calls=tf.data.AUTOTUNE
        )

    @functools.cached_property
    def _tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        # Made when first used: TensorFlow's threads are set after the data set was found.
        with tf.device("CPU:0"):
            return tf.constant(self._paths), tf.constant(self._labels, tf.int32)


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedData:
    """A classification data set whose images are decoded when they are needed.

    Attributes:
      train: the training images.
      test: the test images.
      class_names: a name for each label.
      crop: what is made of an image.
    """

    train: Encoded
    test: Encoded
    class_names: tuple[str, ...]
    crop: Crop
    mean = MEAN
    std = STD

    @property
    def train_size(self) -> int:
        return self.train.size

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.crop.side, self.crop.side, 3

    def sets(self, transform: Transform, seed: int) -> tuple["ImageStream", "ImageStream"]:
        """Make the sets that batches of training and of test images are drawn from."""
        train, test = (ImageStream(part, self.crop, transform, seed) for part in (self.train, self.test))
        return train, test


class ImageStream:
    """A set of labelled images, decoded for each batch, and the passes over it.

    Args:
      encoded: the images.
      crop: what is made of each on the host.
      transform: what is then done on the device.
      seed: the run's seed.
    """

    def __init__(self, encoded: Encoded, crop: Crop, transform: Transform, seed: int):
        self.size = encoded.size
        self._encoded, self._crop, self._transform, self._seed = encoded, crop, transform, seed

    def batches(
        self, purpose: str, pass_index: int, first: int, batch_size: int, augment: bool
    ) -> tf.data.Dataset:
        """Decode the batches of a pass, from the given one on.

        Args:
          purpose: what the pass is for; passes for different purposes are independent.
          pass_index: each pass has its own order and crops.
          first: number of the first batch, from 0.
          batch_size: size of the global batch; the last of a pass may be smaller.
          augment: random order and training crops; otherwise the order of the set and test crops.

        Returns:
          Elements uint8 [B, side, side, 3] and int32 [B].
        """
        order = seeds.fold(self._seed, purpose, "order", pass_index) if augment else None
        encoded = self._encoded.read(order, first * batch_size)
        per_pass = math.ceil(self.size / batch_size)

        @tf.autograph.experimental.do_not_convert  # nothing to convert, and every pass traces it anew
        def decode(place: tf.Tensor, element: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            content, label = element
            if not augment:
                return self._crop.test(content), label
            batch, within = place // batch_size, place % batch_size
            step = tf.cast(pass_index * per_pass + batch, tf.int32)
            seed = seeds.draw_seed(self._seed, f"{purpose}/crop", step)
            seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(within, tf.int32), alg="philox")
            return self._crop.train(content, seed), label

        images = encoded.enumerate(first * batch_size).map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return images.batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def finish(
        self,
        images: tf.Tensor,
        purpose: str,
        number: tf.Tensor,
        total: int,
        offset: tf.Tensor,
        augment: bool,
    ) -> tf.Tensor:
        """Mirror, normalise and cut out, on the device; or normalise alone.

        Args:
          images: uint8 [B, side, side, 3], a part of a batch.
          purpose: as `batches`.
          number: of the batch, counted through all passes.
          total: images in the whole batch.
          offset: place of the first of these in it.
          augment: as `batches`.

        Returns:
          float32 [B, side, side, 3].
        """
        if not augment:
            return self._transform.test(images)
        seed = seeds.draw_seed(self._seed, f"{purpose}/augment", number)
        return self._transform.train(images, seed, total, offset)
