"""What is known of images before they are read: how many classes, and of which size; where that is cheap."""

import contextlib
import dataclasses
import io
import os
import zipfile
from collections.abc import Callable

import ml_collections
import numpy as np

from tf_darts.data import array_file, image_folder, npz, tfds_source
from tf_darts.data.class_labels import classes_of, labels_of, names_of
from tf_darts.errors import UserError


@dataclasses.dataclass(frozen=True)
class Outline:
    """What a network's size depends on.

    Attributes:
      classes: of the data.
      image_shape: height, width and channels of the images, averaged down.
    """

    classes: int
    image_shape: tuple[int, int, int]


def of(data: ml_collections.ConfigDict) -> Outline | None:
    """Return the outline of the images that a config names; None: it is known only once they are read.

    Nothing fails here: what is wrong is said by the one who reads the images.

    Args:
      data: `config.data`, validated.
    """
    make = _SOURCES.get(data.source)
    if make is None:
        return None
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it is said when the images are read
            found = make(data)
    except (UserError, StopIteration, *npz.DAMAGED):
        return None
    if found is None or any(side % data.downscale for side in found.image_shape[:2]):
        return None
    height, width, channels = found.image_shape
    return Outline(found.classes, (height // data.downscale, width // data.downscale, channels))


def _of_folder(data: ml_collections.ConfigDict) -> Outline | None:
    names = image_folder.class_folders(data)
    return Outline(len(names), (data.image_size, data.image_size, 3)) if len(names) > 1 else None


def _of_file(data: ml_collections.ConfigDict) -> Outline | None:
    """Read the labels of a .npz file, and of its images the shape."""
    path = os.path.expanduser(data.path)
    with zipfile.ZipFile(path) as archive:
        held = {*archive.namelist()}
        key = next(key for key in ("x_train", array_file.OTHER_KEYS["x_train"]) if f"{key}.npy" in held)
        with archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape = read[version](file)[0]
    if len(shape) != 4 or shape[-1] not in (1, 3):
        return None
    with np.load(path, allow_pickle=False) as arrays:
        keys = [k if k in arrays.files else array_file.OTHER_KEYS[k] for k in ("y_train", "y_test")]
        given = names_of(arrays["class_names"] if "class_names" in arrays.files else ())
        first, second = (labels_of(key, arrays[key]) for key in keys)
    train, test, names = classes_of(first, second, given)
    number = 1 + max(int(part.max(initial=0)) for part in (train, test)) if names is None else len(names)
    return Outline(number, (shape[1], shape[2], shape[3]))


def _of_tfds(data: ml_collections.ConfigDict) -> Outline | None:
    """Ask what lies prepared below `data.path`; nothing is downloaded."""
    if not data.path:
        return None
    with tfds_source.quiet():
        features = tfds_source.builder(data).info.features
    shape, classes = features["image"].shape, getattr(features["label"], "num_classes", None)
    if data.stream:
        shape = (data.image_size, data.image_size, 3)
    return None if None in shape or len(shape) != 3 or not classes else Outline(classes, tuple(shape))


_SOURCES: dict[str, Callable[[ml_collections.ConfigDict], Outline | None]] = {
    "digits": lambda data: Outline(10, (8, 8, 1)),
    "folder": _of_folder,
    "npz": _of_file,
    "tfds": _of_tfds,
}
