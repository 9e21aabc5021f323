"""A classification data set in memory."""

import dataclasses
import functools
import hashlib

import numpy as np

from tf_darts.data.arrays import Reading
from tf_darts.workdir.data_record import DataRecord, PartRecord


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """A classification data set in memory.

    Attributes:
      x_train: uint8 [N, H, W, C], training images.
      y_train: int32 [N], their labels, from 0 to num_classes - 1.
      x_test: uint8 [M, H, W, C], test images.
      y_test: int32 [M].
      class_names: a name for each label.
      reading: how the images of a caller of the library were read.
      files: what training and test images were read from, where each was a file.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    reading: Reading = dataclasses.field(default_factory=Reading)
    files: tuple[list[str], list[str]] | None = None

    @property
    def train_size(self) -> int:
        return len(self.x_train)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.x_train.shape[1:]

    @property
    def mean(self) -> np.ndarray:
        """float64 [C], mean of each channel over the training images, scaled to [0, 1]."""
        return self._moments[0]

    @property
    def std(self) -> np.ndarray:
        """float64 [C], standard deviation of each channel of the training images, scaled to [0, 1]."""
        return self._moments[1]

    @functools.cached_property
    def record(self) -> DataRecord:
        """What a stage keeps of it."""
        train, test = (
            PartRecord(len(labels), self._of_class(labels), _fingerprint(images, labels))
            for images, labels in ((self.x_train, self.y_train), (self.x_test, self.y_test))
        )
        mean, std = self.mean.astype(np.float32), self.std.astype(np.float32)
        return DataRecord(self.class_names, self.image_shape, mean, std, train, test)

    def _of_class(self, labels: np.ndarray) -> tuple[int, ...]:
        return tuple(np.bincount(labels, minlength=self.num_classes).tolist())

    @functools.cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        # Sums of integers are exact, so a constant channel has a deviation of exactly 0. The products
        # below need more than 64 bits, hence Python integers.
        channels = self.x_train.shape[-1]
        pixels = self.x_train.size // channels
        total, squares = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
        for start in range(0, len(self.x_train), 1000):  # in blocks, to save memory
            block = self.x_train[start : start + 1000].reshape(-1, channels).astype(np.int64)
            total += block.sum(axis=0)
            squares += (block * block).sum(axis=0)
        spread = [pixels * int(s) - int(t) ** 2 for s, t in zip(squares, total, strict=True)]
        mean = total / pixels / 255
        std = np.sqrt(np.array(spread, np.float64)) / pixels / 255
        return mean, std


def _fingerprint(images: np.ndarray, labels: np.ndarray) -> str:
    """Return the SHA-256 of images uint8 [N, H, W, C] and labels int32 [N], in their order."""
    content = hashlib.sha256(repr(images.shape).encode())
    for start in range(0, len(images), 1000):  # in blocks: a block that is not contiguous is copied
        content.update(np.ascontiguousarray(images[start : start + 1000]).data)
    content.update(np.ascontiguousarray(labels).data)
    return content.hexdigest()
