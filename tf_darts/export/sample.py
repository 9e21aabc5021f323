"""Some images of a data set as arrays, whether it is held in memory or decoded batch by batch."""

import numpy as np

from tf_darts.data.image_data import ImageData
from tf_darts.data.image_stream import Encoded, StreamedData
from tf_darts.workdir.data_record import DataRecord

ORDER = 0  # seed of the order in which images are taken: often they lie by class

Data = ImageData | StreamedData


def made(record: DataRecord, count: int) -> np.ndarray:
    """Draw images of the training images' mean and deviation: uint8 [count, H, W, C], always the same."""
    draw = np.random.default_rng(ORDER).standard_normal((count, *record.image_shape))
    return np.rint(255 * (record.mean + record.std * draw)).clip(0, 255).astype(np.uint8)


def of_test(data: Data, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return some test images, uint8 [N, H, W, C], and their labels, int32 [N]; count 0: all."""
    if isinstance(data, StreamedData):
        return _decoded(data, data.test, count or data.test.size)
    chosen = _some(len(data.x_test), count)
    return data.x_test[chosen], data.y_test[chosen]


def of_train(data: Data, count: int) -> np.ndarray:
    """Return some training images, as they are without augmentation: uint8 [N, H, W, C]."""
    if isinstance(data, StreamedData):
        return _decoded(data, data.train, count)[0]
    return data.x_train[_some(len(data.x_train), count)]


def _some(size: int, count: int) -> np.ndarray | slice:
    """Return which of so many images are taken; count 0: all, in their order."""
    if not 0 < count < size:
        return slice(None)
    return np.random.default_rng(ORDER).permutation(size)[:count]


def _decoded(data: StreamedData, part: Encoded, count: int) -> tuple[np.ndarray, np.ndarray]:
    pairs = part.read(ORDER, 0).take(count).map(lambda content, label: (data.crop.test(content), label))
    images, labels = zip(*pairs.as_numpy_iterator(), strict=True)
    return np.stack(images), np.array(labels, np.int32)
