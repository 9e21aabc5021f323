"""Images from a folder with one sub-folder for every class."""

import os
from typing import NamedTuple

import ml_collections
import numpy as np

from tf_darts.data import image_file
from tf_darts.data.arrays import Arrays, bad, held_out, some
from tf_darts.data.image_stream import Files
from tf_darts.runtime import seeds

LAYOUTS = (
    "a folder with train/CLASS/ and test/CLASS/ (data.test_split), or with CLASS/, of .png and .jpg files"
)


class _Listing(NamedTuple):
    """Image files (full paths), their labels int32 [N], and the class names, sorted."""

    files: list[str]
    labels: np.ndarray
    class_names: tuple[str, ...]


def load(data: ml_collections.ConfigDict, seed: int) -> Arrays:
    """Read `data.path`: train/CLASS/* and test/CLASS/*, or CLASS/* that is split by the seed.

    Images become RGB squares of `data.image_size`. Within each part their order is shuffled by the seed:
    in the order of the folders, the first so many images (or a half "in file order") would hold only the
    first classes.

    Raises:
      UserError: no such folder, no classes, a class without images, classes that differ between train and
        test, images that cannot be read.
    """
    root, parts, class_names = _parts(data, seed)
    unreadable: list[str] = []
    (x_train, y_train), (x_test, y_test) = (
        (_decode(files, data.image_size, root, unreadable), labels) for files, labels in parts
    )
    if unreadable:
        raise bad("data.path", data.path, f"cannot read {some(unreadable)}", "8-bit .png and .jpg images")
    return Arrays(x_train, y_train, x_test, y_test, class_names)


def files(data: ml_collections.ConfigDict, seed: int) -> tuple[Files, Files, tuple[str, ...]]:
    """List the images of `data.path` as files that are read and decoded later, and the class names.

    Raises:
      UserError: as `load`, but for images that cannot be read.
    """
    _, parts, class_names = _parts(data, seed)
    train, test = (Files(*part) for part in parts)
    return train, test, class_names


# Paths and labels, int32 [N].
_Part = tuple[list[str], np.ndarray]


def _parts(data: ml_collections.ConfigDict, seed: int) -> tuple[str, list[_Part], tuple[str, ...]]:
    """Return the folder, files and labels of its training and test part, and class names."""
    root = os.path.expanduser(data.path)
    if not os.path.isdir(root):
        raise bad("data.path", data.path, "no such folder", LAYOUTS)
    folders, test_name = _folders(root), data.test_split
    if "train" in folders and test_name in folders:
        train, test = (_list(data.path, os.path.join(root, part)) for part in ("train", test_name))
        if train.class_names != test.class_names:
            differ = sorted(set(train.class_names) ^ set(test.class_names))
            fault = f"only one of train and {test_name} has the classes {some(differ)}"
            raise bad("data.path", data.path, fault, "the same classes in both")
        parts = [
            (listing, np.random.default_rng(seeds.fold(seed, "folder", part)).permutation(len(listing.files)))
            for part, listing in (("train", train), ("test", test))
        ]
    elif "train" in folders or test_name in folders:
        missing = test_name if "train" in folders else "train"
        raise bad("data.path", data.path, f"has no folder {missing}", LAYOUTS)
    else:
        listing = _list(data.path, root)
        parts = [(listing, indices) for indices in held_out(listing.labels, data.test_fraction, seed)]
    chosen = []
    for (listing, order), limit in zip(parts, (data.limit_train, data.limit_test), strict=True):
        order = order[: limit or None]
        chosen.append(([listing.files[k] for k in order], listing.labels[order]))
    return root, chosen, parts[0][0].class_names


def _folders(path: str) -> list[str]:
    """Return the names of the visible sub-folders, sorted."""
    return sorted(e.name for e in os.scandir(path) if e.is_dir() and not e.name.startswith("."))


def _list(path: str, root: str) -> _Listing:
    """List the image files below root/CLASS/; `path` is data.path, for errors."""
    names = _folders(root)
    if len(names) < 2:
        fault = f"{root} has {len(names)} class folders"
        raise bad("data.path", path, fault, "at least 2 classes, one folder each")
    files, labels = [], []
    for label, name in enumerate(names):
        folder = os.path.join(root, name)
        images = image_file.names_in(folder)
        if not images:
            raise bad("data.path", path, f"{folder} has no images", "at least one .png or .jpg file a class")
        files += [_inside(path, os.path.join(folder, image)) for image in images]
        labels += [label] * len(images)
    return _Listing(files, np.array(labels, np.int32), tuple(names))


def _inside(path: str, file: str) -> str:
    """Return the file; fail if it is a link that leads out of data.path."""
    target = os.path.realpath(file)
    if not target.startswith(os.path.join(os.path.realpath(os.path.expanduser(path)), "")):
        raise bad("data.path", path, f"{file} leads to {target}", "files in the folder, no links out of it")
    return file


def _decode(files: list[str], side: int, root: str, unreadable: list[str]) -> np.ndarray:
    """Decode images to uint8 [N, side, side, 3]; append the names of those that fail to `unreadable`."""
    images = np.zeros((len(files), side, side, 3), np.uint8)
    for k, file in enumerate(files):
        try:
            images[k] = image_file.decode(file, images.shape[1:])
        except image_file.ERRORS:
            unreadable.append(os.path.relpath(file, root))
    return images
