"""Images from a folder with one sub-folder for every class.

As Keras' `image_dataset_from_directory` has it, a class's images may lie in sub-folders of its own.
"""

import collections
import concurrent.futures
import os
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import ml_collections
import numpy as np

from tf_darts.data import image_file
from tf_darts.data.arrays import Arrays, bad, held_out
from tf_darts.data.image_stream import Files
from tf_darts.data.share import share_of
from tf_darts.errors import listed
from tf_darts.runtime import host, seeds

LAYOUTS = "a folder with train/CLASS/ and test/CLASS/ (data.test_split), or with CLASS/, of image files"
PARTS = ("train", "training", "test", "testing", "val", "valid", "validation", "dev")  # no classes
CHECKERS = 16  # threads that look at files before they are streamed: a disk or a network is waited for
SOON = 5.0  # seconds that the look at files takes at most without a word


class _Listing(NamedTuple):
    """Image files (full paths), their labels int32 [N], the class names, sorted, and what else lies there."""

    files: list[str]
    labels: np.ndarray
    class_names: tuple[str, ...]
    skipped: collections.Counter[str]


def load(data: ml_collections.ConfigDict, seed: int) -> Arrays:
    """Read `data.path`: train/CLASS/* and test/CLASS/*, or CLASS/* that is split by the seed.

    Images become RGB squares of `data.image_size`. Within each part their order is shuffled by the seed:
    in the order of the folders, the first so many images (or a half "in file order") would hold only the
    first classes.

    Raises:
      UserError: no such folder, no classes, a class without images, classes that differ between train and
        test, images that cannot be read, or more than memory holds.
    """
    root, parts, class_names = _parts(data, seed)
    count = sum(len(files) for files, _ in parts)
    needed, available = 3 * count * data.image_size**2, host.available_memory()
    if needed > available:
        raise bad(
            "data.image_size",
            data.image_size,
            f"{count} images of that side take {needed / 1e9:.1f} GB",
            f"what fits in the {available / 1e9:.1f} GB of this machine, or data.stream=True",
        )
    faults: dict[str, str] = {}
    animated: list[str] = []
    (x_train, y_train), (x_test, y_test) = (
        (_decode(files, data.image_size, data.fit, faults, animated), labels) for files, labels in parts
    )
    _refuse(data.path, root, faults)
    if animated:
        shown = listed(_relative(animated, root), 3)
        print(
            f"data: {len(animated)} images have several frames ({shown}): the first is read", file=sys.stderr
        )
    names = tuple(_relative(files, root) for files, _ in parts)
    return Arrays(x_train, y_train, x_test, y_test, class_names, files=(names[0], names[1]))


def files(data: ml_collections.ConfigDict, seed: int) -> tuple[Files, Files, tuple[str, ...]]:
    """List the images of `data.path` as files that are decoded later, and the class names.

    A look at each file comes first, so that one that is broken is known before hours of training.

    Raises:
      UserError: as `load`.
    """
    root, parts, class_names = _parts(data, seed)
    _refuse(data.path, root, _faults([file for files, _ in parts for file in files]))
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
            fault = f"only one of train and {test_name} has the classes {listed(differ)}"
            raise bad("data.path", data.path, fault, "the same classes in both")
        unread = collections.Counter(f"folder {f}/" for f in folders if f not in ("train", test_name))
        _say_skipped(data.path, root, train.skipped + test.skipped + unread)
        parts = [
            (listing, np.random.default_rng(seeds.fold(seed, "folder", part)).permutation(len(listing.files)))
            for part, listing in (("train", train), ("test", test))
        ]
    elif "train" in folders or test_name in folders:
        missing = test_name if "train" in folders else "train"
        others = [name for name in folders if name.lower() in PARTS and name not in ("train", test_name)]
        meant = f", as data.test_split={others[0]}" if others and "train" in folders else ""
        raise bad("data.path", data.path, f"has no folder {missing}", LAYOUTS + meant)
    elif parts_by_name := [name for name in folders if name.lower() in PARTS and _holds_folders(root, name)]:
        fault = f"{listed(parts_by_name)} with folders in it is no class"
        raise bad("data.path", data.path, fault, LAYOUTS + ", named so")
    else:
        listing = _list(data.path, root)
        _say_skipped(data.path, root, listing.skipped)
        parts = [(listing, indices) for indices in held_out(listing.labels, data.test_fraction, seed)]
    chosen = []
    limits = ((data.limit_train, data.share), (data.limit_test, 1.0))
    for (listing, order), (limit, share) in zip(parts, limits, strict=True):
        order = order[: limit or None]
        if share < 1:
            order = order[share_of(listing.labels[order], share, seed, listing.class_names)]
        chosen.append(([listing.files[k] for k in order], listing.labels[order]))
    return root, chosen, parts[0][0].class_names


def class_folders(data: ml_collections.ConfigDict) -> list[str]:
    """Return the names of the classes, as folders of `data.path` say them; none where it is no folder."""
    root = os.path.expanduser(data.path)
    folders = _folders(root) if os.path.isdir(root) else []
    return _folders(os.path.join(root, "train")) if {"train", data.test_split} <= {*folders} else folders


def _folders(path: str) -> list[str]:
    """Return the names of the visible sub-folders, sorted."""
    return sorted(e.name for e in os.scandir(path) if e.is_dir() and image_file.is_visible(e.name))


def _holds_folders(root: str, name: str) -> bool:
    """Return whether a folder has sub-folders, and no images beside them."""
    entries = [e for e in os.scandir(os.path.join(root, name)) if image_file.is_visible(e.name)]
    return any(e.is_dir() for e in entries) and not any(
        e.name.lower().endswith(image_file.SUFFIXES) for e in entries
    )


def _list(path: str, root: str) -> _Listing:
    """List the image files below root/CLASS/; `path` is data.path, for errors."""
    names = _folders(root)
    if len(names) < 2:
        fault = f"{root} has {len(names)} class folders"
        raise bad("data.path", path, fault, "at least 2 classes, one folder each")
    files, labels = [], []
    skipped = collections.Counter(
        [
            "beside the class folders"
            for e in os.scandir(root)
            if e.is_file() and image_file.is_visible(e.name)
        ]
    )
    for label, name in enumerate(names):
        folder = os.path.join(root, name)
        try:
            aside = image_file.Aside()
            images = image_file.names_in(folder, aside)
        except OSError as error:
            fault = f"{error.filename or folder} cannot be listed ({error.strerror})"
            raise bad("data.path", path, fault, "folders that may be read") from error
        skipped += aside.skipped
        if not images:
            there = f" (skipped: {image_file.count_text(aside.skipped)})" if aside.skipped else ""
            raise bad(
                "data.path",
                path,
                f"{folder} has no images{there}",
                f"at least one image a class, of {image_file.KINDS}",
            )
        for file in images[:1] + aside.links:  # the first: the folder itself may be a link
            _check_inside(path, os.path.join(folder, file))
        files += [os.path.join(folder, image) for image in images]
        labels += [label] * len(images)
    return _Listing(files, np.array(labels, np.int32), tuple(names), skipped)


def _say_skipped(path: str, root: str, skipped: collections.Counter[str]) -> None:
    """Say in one line how many files below a folder are not read."""
    if skipped:
        count = image_file.count_text(skipped)
        print(f"data: warning: of {path or root}, skipped: {count}", file=sys.stderr)


def _check_inside(path: str, file: str) -> None:
    """Fail if a file is a link, or in one, that leads out of data.path."""
    target = os.path.realpath(file)
    if not target.startswith(os.path.join(os.path.realpath(os.path.expanduser(path)), "")):
        raise bad("data.path", path, f"{file} leads to {target}", "files in the folder, no links out of it")


def _decode(files: list[str], side: int, fit: str, faults: dict[str, str], animated: list[str]) -> np.ndarray:
    """Decode images to uint8 [N, side, side, 3]; add to `faults` what is wrong with which files."""
    images = np.zeros((len(files), side, side, 3), np.uint8)
    for k, file in enumerate(files):
        try:
            images[k] = image_file.decode(file, images.shape[1:], animated, fit)
        except image_file.ERRORS as error:
            faults[file] = image_file.reason(error)
    return images


def _faults(files: Sequence[str]) -> dict[str, str]:
    """Look at each file; return what is wrong with which. Say how long it will take, if that is long."""
    start = time.monotonic()
    found, said = {}, False
    with concurrent.futures.ThreadPoolExecutor(CHECKERS) as checkers:
        for k, fault in enumerate(checkers.map(image_file.fault, files), 1):
            if fault is not None:
                found[files[k - 1]] = fault
            left = (time.monotonic() - start) * (len(files) / k - 1) if k % 1000 == 0 else 0.0
            if left > SOON and not said:
                said = True
                print(f"data: looking at {len(files)} image files, {left:.0f} s more", file=sys.stderr)
    return found


def sides(path: str, most: int = 500) -> list[int]:
    """Return the shorter side of some of a folder's images, in pixels, as their headers say.

    Args:
      path: the folder.
      most: so many images, evenly chosen.

    Returns:
      The sides; none where the folder cannot be read, which `load` says.
    """
    root = os.path.expanduser(path)
    try:
        names = image_file.names_in(root)
    except OSError:
        return []
    chosen = names[:: max(len(names) // most, 1)]
    found = (image_file.size(os.path.join(root, name)) for name in chosen)
    return [min(size) for size in found if size is not None]


def _relative(files: Sequence[str], root: str) -> list[str]:
    return [os.path.relpath(file, root) for file in files]


def _refuse(path: str, root: str, faults: dict[str, str]) -> None:
    """Fail if there is anything wrong with files."""
    if faults:
        named = [f"{os.path.relpath(file, root)} ({fault})" for file, fault in faults.items()]
        raise bad("data.path", path, f"cannot read {listed(named)}", image_file.KINDS)
