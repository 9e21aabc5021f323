"""Images that stay encoded, on disk, and are decoded for each batch: for sets that no memory holds.

As with images on the device, a batch is a function of (seed, purpose, pass, place in the pass): a run is
continued at any batch, and every draw is made for the global batch. Crops and colours are drawn on the host
(`crop.py`), mirroring, normalisation and cutout on the device (`transform.py`).
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import ml_collections
import numpy as np
import tensorflow as tf

from tf_darts.data import image_file
from tf_darts.data.arrays import Reading
from tf_darts.data.crop import Crop
from tf_darts.data.image_set import size_of_first_half
from tf_darts.data.share import APART, HALVES, sizes, split
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError, listed
from tf_darts.runtime import seeds
from tf_darts.workdir.data_record import DataRecord, PartRecord

# So many bytes of image files are read to tell whether they changed; of more files, evenly spread ones. The
# sizes of all count too.
FINGERPRINT_BYTES = 2**30
READERS = 16  # threads that read them: a file on a network is mostly waited for

# Of ImageNet's training images, in the scale [0, 1], as in the authors' release.
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


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

    def broken(self, seed: int | None, skip: int, count: int) -> list[str]:
        """Return which of some images cannot be decoded, and why; none where they have no names.

        Args:
          seed: as `read`.
          skip: as `read`.
          count: how many after those.
        """

    def record(self, classes: int) -> PartRecord:
        """Return what a stage keeps of them.

        Args:
          classes: number of classes.
        """

    def first(self, count: int) -> "Encoded":
        """Return the first so many of them."""

    def halves(self, first: int, how: str, seed: int) -> "tuple[Encoded, Encoded]":
        """Split them in two.

        Args:
          first: how many the first part has.
          how: as `data.split`.
          seed: the run's seed.

        Raises:
          UserError: they cannot be split so.
        """


class Files:
    """Image files: any of them is read at once, so that a pass is shuffled as a whole."""

    def __init__(self, paths: Sequence[str], labels: np.ndarray):
        self.size = len(paths)
        self._paths, self._labels = list(paths), labels

    def read(self, seed: int | None, skip: int) -> tf.data.Dataset:
        """Read images and labels; as `Encoded.read`."""
        order = self._order(seed)
        paths, labels = self._tensors
        return tf.data.Dataset.from_tensor_slices(order[skip:]).map(
            lambda i: (tf.io.read_file(paths[i]), labels[i]), num_parallel_calls=tf.data.AUTOTUNE
        )

    def broken(self, seed: int | None, skip: int, count: int) -> list[str]:
        """Return those of `count` images that cannot be decoded, and why; as `Encoded.broken`."""
        found = []
        for path in (self._paths[i] for i in self._order(seed)[skip : skip + count]):
            try:
                image_file.decode(path, (1, 1, 3))
            except image_file.ERRORS as error:
                found.append(f"{path} ({image_file.reason(error)})")
        return found

    def _order(self, seed: int | None) -> np.ndarray:
        return np.arange(self.size) if seed is None else np.random.default_rng(seed).permutation(self.size)

    def record(self, classes: int) -> PartRecord:
        """Return what a stage keeps of them; as `Encoded.record`."""
        counts = np.bincount(self._labels, minlength=classes).tolist()
        with concurrent.futures.ThreadPoolExecutor(READERS) as readers:
            sizes = np.array(list(readers.map(os.path.getsize, self._paths)), np.int64)
            content = hashlib.sha256(sizes.tobytes())
            content.update(np.asarray(self._labels, np.int32).tobytes())
            every = math.ceil(sizes.sum() / FINGERPRINT_BYTES) or 1
            for digest in readers.map(_digest, self._paths[::every]):
                content.update(digest)
        return PartRecord(self.size, tuple(counts), content.hexdigest())

    def first(self, count: int) -> "Files":
        """Return the first so many of them; as `Encoded.first`."""
        return self._part(np.arange(min(count, self.size)))

    def halves(self, first: int, how: str, seed: int) -> "tuple[Files, Files]":
        """Split them in two; as `Encoded.halves`."""
        train, validation = split(self._labels, first, how, seed)
        return self._part(train), self._part(validation)

    def _part(self, indices: np.ndarray) -> "Files":
        return Files([self._paths[i] for i in indices], np.asarray(self._labels)[indices])

    @functools.cached_property
    def _tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        # Made when first used: TensorFlow's threads are set after the data set was found.
        with tf.device("CPU:0"):
            return tf.constant(self._paths), tf.constant(self._labels, tf.int32)


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


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
    reading = Reading()

    @property
    def train_size(self) -> int:
        return self.train.size

    @functools.cached_property
    def record(self) -> DataRecord:
        """What a stage keeps of it."""
        train, test = (part.record(self.num_classes) for part in (self.train, self.test))
        mean, std = self.mean.astype(np.float32), self.std.astype(np.float32)
        return DataRecord(self.class_names, self.image_shape, mean, std, train, test)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.crop.side, self.crop.side, 3

    def search_sets(
        self, config_data: ml_collections.ConfigDict, seed: int, transform: Transform
    ) -> tuple["ImageStream", "ImageStream", "ImageStream"]:
        """Make the sets of a search: the halves of the training images, as `image_set.halves`, and the test.

        Args:
          config_data: `config.data`: training_only, train_fraction and split.
          seed: the run's seed.
          transform: of all three.

        Raises:
          UserError: one of the halves would be empty, or images cannot be split so.
        """
        first = size_of_first_half(config_data, self.train.size)
        seen, _ = self._apart(config_data, seed)
        train, valid = (
            ImageStream(part, self.crop, transform, seeds.fold(seed, name))
            for part, name in zip(seen.halves(first, config_data.split, seed), HALVES, strict=True)
        )
        return train, valid, ImageStream(self.test, self.crop, transform, seed)

    def sets(
        self, config_data: ml_collections.ConfigDict, run_seed: int, transform: Transform, seed: int
    ) -> tuple["ImageStream", "ImageStream"]:
        """Make the sets of a training, as `image_set.whole_sets`.

        Args:
          config_data: `config.data`: training_only and split.
          run_seed: the run's seed, by which images are split.
          transform: of both.
          seed: of both.

        Raises:
          UserError: the training would see none, or images cannot be split so.
        """
        _, seen = self._apart(config_data, run_seed)
        train, test = (ImageStream(part, self.crop, transform, seed) for part in (seen, self.test))
        return train, test

    def _apart(self, config_data: ml_collections.ConfigDict, seed: int) -> tuple[Encoded, Encoded]:
        """Return the training images that a search sees, and those that a training sees."""
        searched, _ = sizes(config_data, self.train.size)
        if searched == self.train.size:
            return self.train, self.train
        return self.train.halves(searched, config_data.split, seeds.fold(seed, APART))


class _Reader(NamedTuple):
    """A pass that is being read: pass and number of the batch that it gave last, and that batch."""

    iterator: Iterator[tuple[tf.Tensor, tf.Tensor]]
    where: tuple[int, int]
    batch: tuple[tf.Tensor, tf.Tensor]


def _unreadable(error: Exception, broken: list[str]) -> UserError:
    line = (str(getattr(error, "message", error)).splitlines() or ["it ends too early"])[0]
    fault = f"an image there cannot be read ({listed(broken) or line})"
    return UserError(f"config: data.path: {fault}; allowed: {image_file.KINDS}")


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
        self._readers: dict[tuple[str, int, bool], _Reader] = {}

    def first(self, count: int) -> "ImageStream":
        """Return the set of the first `count` of these images."""
        return ImageStream(self._encoded.first(count), self._crop, self._transform, self._seed)

    def with_cutout(self, length: int) -> "ImageStream":
        """Return the set of the same images whose training transform blanks a square of this side, pixels."""
        transform = dataclasses.replace(self._transform, cutout_length=length)
        return ImageStream(self._encoded, self._crop, transform, self._seed)

    def batch(
        self, purpose: str, pass_index: int, number: int, batch_size: int, augment: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Decode a batch of a pass; those after it are decoded ahead.

        Args:
          purpose: as `batches`.
          pass_index: as `batches`.
          number: of the batch in its pass, from 0.
          batch_size: as `batches`.
          augment: as `batches`.

        Returns:
          uint8 [B, side, side, 3] and int32 [B].

        Raises:
          UserError: an image cannot be read or decoded.
        """
        key, where = (purpose, batch_size, augment), (pass_index, number)
        reader = self._readers.get(key)
        if reader is not None and reader.where == where:
            return reader.batch
        if reader is None or (reader.where[0], reader.where[1] + 1) != where:
            iterator = iter(self.batches(purpose, pass_index, number, batch_size, augment))
        else:
            iterator = reader.iterator
        try:
            batch = next(iterator)
        except (tf.errors.OpError, StopIteration) as error:
            self._readers.pop(key, None)
            broken = self.broken(purpose, pass_index, number, batch_size, augment)
            raise _unreadable(error, broken) from error
        self._readers[key] = _Reader(iterator, where, batch)
        return batch

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
        encoded = self._encoded.read(self._order(purpose, pass_index, augment), first * batch_size)
        per_pass = math.ceil(self.size / batch_size)

        @tf.autograph.experimental.do_not_convert  # nothing to convert
        def decode(place: tf.Tensor, element: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            content, label = element
            if not augment:
                return self._crop.traced_test(content), label
            batch, within = place // batch_size, place % batch_size
            step = tf.cast(pass_index * per_pass + batch, tf.int32)
            seed = seeds.draw_seed(self._seed, f"{purpose}/crop", step)
            seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(within, tf.int32), alg="philox")
            return self._crop.traced_train(content, seed), label

        images = encoded.enumerate(first * batch_size).map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return images.batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def broken(self, purpose: str, pass_index: int, number: int, batch_size: int, augment: bool) -> list[str]:
        """Return which images of a batch cannot be decoded, and why; arguments as of `batches`."""
        order = self._order(purpose, pass_index, augment)
        return self._encoded.broken(order, number * batch_size, batch_size)

    def _order(self, purpose: str, pass_index: int, augment: bool) -> int | None:
        return seeds.fold(self._seed, purpose, "order", pass_index) if augment else None

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
          Float [B, side, side, 3].
        """
        if not augment:
            return self._transform.test(images)
        seed = seeds.draw_seed(self._seed, f"{purpose}/augment", number)
        return self._transform.train(images, seed, total, offset)
