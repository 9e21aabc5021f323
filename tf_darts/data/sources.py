"""Where images come from: one function for every `data.source`, and one kind of result.

A new source is a function `(config.data, seed) -> Arrays`, an entry in `tf_darts.registry.SOURCES`, and its
name in `tf_darts.config.fields`.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator

import ml_collections
import numpy as np
from sklearn import datasets

from tf_darts.data.arrays import Arrays, bad, check, held_out, without_images
from tf_darts.data.crop import Crop
from tf_darts.data.image_data import ImageData
from tf_darts.data.image_stream import StreamedData
from tf_darts.data.share import share_of
from tf_darts.errors import listed
from tf_darts.registry import SOURCES, STREAMS

PATIENCE = 30.0  # seconds of reading after which it is said


def digits(data: ml_collections.ConfigDict, seed: int) -> Arrays:
    """Return the 1,797 digits of scikit-learn, 8x8x1, with `data.test_fraction` of them held out."""
    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # 17 grey levels, 0 to 16
    train, test = held_out(digits.target, data.test_fraction, seed)
    names = tuple(str(name) for name in digits.target_names)
    return Arrays(images[train], digits.target[train], images[test], digits.target[test], names)


def load(data: ml_collections.ConfigDict, seed: int) -> ImageData | StreamedData:
    """Load the data set that the config names.

    Args:
      data: `config.data`, validated.
      seed: the run's seed; it decides which images are held out where the source has no test part.

    Returns:
      The data set, with `share` of the first `limit_train` training and the first `limit_test` test images,
      averaged down by `downscale`; in memory unless the config says `stream`.

    Raises:
      UserError: the data set is missing, unreadable or of no use; the message names the field, its value
        and what is allowed.
    """
    if data.stream:
        crop = Crop(data.image_size, data.test_resize, data.color_jitter, data.hue_jitter)
        with _patient(data):
            train, test, class_names = STREAMS.load(data.source)(data, seed)
        return StreamedData(train, test, class_names, crop)
    with _patient(data):
        arrays = SOURCES.load(data.source)(data, seed)
    field = {"digits": "data.source", "tfds": "data.name"}.get(data.source, "data.path")
    value = data[field.removeprefix("data.")]
    check(arrays, lambda fault, allowed: bad(field, value, fault, allowed))
    # Before the limits: whoever asks for a few images knows that they may not show every class.
    for part, labels in (("training", arrays.y_train), ("test", arrays.y_test)):
        if missing := without_images(labels, arrays.class_names):
            text = f"data: warning: no {part} image of class {listed(missing)}"
            print(f"{text} among {len(labels)}", file=sys.stderr)
    x_train, y_train = (a[: data.limit_train or None] for a in (arrays.x_train, arrays.y_train))
    if data.share < 1 and data.source != "folder":  # which leaves files out before it reads them
        kept = share_of(y_train, data.share, seed, arrays.class_names)
        x_train, y_train = x_train[kept], y_train[kept]
    return ImageData(
        x_train=averaged(x_train, data.downscale),
        y_train=np.asarray(y_train, np.int32),
        x_test=averaged(arrays.x_test[: data.limit_test or None], data.downscale),
        y_test=np.asarray(arrays.y_test[: data.limit_test or None], np.int32),
        class_names=arrays.class_names,
        reading=arrays.reading,
        files=arrays.files,
    )


@contextlib.contextmanager
def _patient(data: ml_collections.ConfigDict) -> Iterator[None]:
    """Say so where reading stalls, as it does on a network that is gone."""
    where = data.path or data.name

    def say() -> None:
        print(f"data: still reading {data.source} {where} after {PATIENCE:g} s", file=sys.stderr, flush=True)

    timer = threading.Timer(PATIENCE, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def averaged(images: np.ndarray, factor: int) -> np.ndarray:
    """Average factor x factor pixels of uint8 images [N, H, W, C] into one, rounded to whole numbers.

    Raises:
      UserError: `factor`, which is data.downscale, does not divide height and width.
    """
    if factor == 1:
        return np.ascontiguousarray(images)
    _, height, width, channels = images.shape
    if height % factor or width % factor:
        allowed = "a number that divides both"
        raise bad("data.downscale", factor, f"images are {height}x{width}", allowed)
    shape = (-1, height // factor, factor, width // factor, factor, channels)
    blocks = [images[i : i + 1000].reshape(shape).mean((2, 4)) for i in range(0, len(images), 1000)]
    return np.rint(np.concatenate(blocks)).astype(np.uint8)
