"""Images of a caller of the library, arrays or a dataset, kept in one file of the work directory.

With the file, whatever is resumed and whatever program is run on the work directory later finds the same
images.
"""

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tf_darts.data import array_file, image_pairs, npz
from tf_darts.data.arrays import Arrays, check, held_out
from tf_darts.data.class_labels import are_given, classes_of, labels_of, names_of
from tf_darts.data.image_arrays import BYTE, Side, images_of
from tf_darts.data.image_pairs import Given
from tf_darts.data.own_arrays import arrays_of, check_classes
from tf_darts.errors import UserError

ClassNames = Sequence[str] | Mapping[Any, Any]
"""A name for each label: in their order, or by label, or labels by name."""

NAME = "data.npz"


def keep(
    folder: pathlib.Path,
    train: Given,
    test: Given | None,
    class_names: ClassNames,
    test_fraction: float,
    seed: int,
    side: Side = 0,
) -> pathlib.Path:
    """Write the images into a folder, unless they are there; return the file, of source `npz`.

    Args:
      folder: the work directory, made if need be.
      train: training images and labels, or these and test images and labels.
      test: test images; None: a share of the training images, of every class, is held out.
      class_names: a name for each label; empty: the labels themselves.
      test_fraction: that share.
      seed: decides which.
      side: what images of several sizes are resized to; 0: they give an error.

    Raises:
      UserError: they are no labelled images, or the folder has others that something was made of.
    """
    arrays = _arrays(train, test, class_names, test_fraction, seed, side)
    path = folder.absolute() / NAME
    if path.exists():
        there = npz.read(str(path))
        differ = sorted(
            name
            for name in arrays.keys() | there.keys()
            if name not in arrays or name not in there or not np.array_equal(arrays[name], there[name])
        )
        if not differ:
            return path
        if not _is_alone(path):
            raise UserError(
                f"workdir: {path} holds other images ({', '.join(differ)} differ); allowed: the same, or"
                " another workdir"
            )
    temporary = path.with_name(f".{NAME}.{secrets.token_hex(4)}.npz")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"workdir: {path} cannot be written: {error.strerror}") from None
    return path


@contextlib.contextmanager
def taken_back(folder: str | pathlib.Path | None) -> Iterator[None]:
    """Remove the file of images again where a `UserError` comes before anything else lies in the folder.

    Args:
      folder: the work directory; if it is made within, it goes too, with folders above it. None: a temporary
        one, which goes anyway.
    """
    if folder is None:
        yield
        return
    path = pathlib.Path(folder).expanduser().absolute() / NAME
    had = path.exists()
    above = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
    try:
        yield
    except UserError:
        if not had and path.exists() and _is_alone(path):
            path.unlink()
            for made in above:
                with contextlib.suppress(OSError):  # there is something in it
                    made.rmdir()
        raise


def _is_alone(path: pathlib.Path) -> bool:
    """Return whether a folder has nothing but a file of images, and hidden files."""
    return all(entry == path or entry.name.startswith(".") for entry in path.parent.iterdir())


def _arrays(
    train: Given, test: Given | None, class_names: ClassNames, test_fraction: float, seed: int, side: Side
) -> dict[str, np.ndarray]:
    """Return what the file holds: the images, some of them held out."""
    train, test = image_pairs.parts_of(train, test)
    pairs = image_pairs.read(train, "data")
    names = names_of(class_names if are_given(class_names) else pairs.class_names, unique=True)
    if test is None:
        images, reading = images_of("data: images", pairs.images, side)
        labels, _, found = classes_of(labels_of("data: labels", pairs.labels), None, names)
        _check_count("data", images, labels)
        found = found or tuple(map(str, range(1 + int(labels.max()))))
        if len(np.unique(labels)) < 2:
            raise UserError("data: 1 class; allowed: at least 2 classes")
        if labels.max() < len(found):  # else the check below says so
            check_given(Arrays(images, labels, images, labels, found), names is None)
        first, second = held_out(labels, test_fraction, seed)
        arrays = Arrays(images[first], labels[first], images[second], labels[second], found, reading)
    else:
        others = image_pairs.read(test, "test")
        arrays = arrays_of(
            ("data: images", pairs.images),
            ("data: labels", pairs.labels),
            ("test: images", others.images),
            ("test: labels", others.labels),
            names,
            side,
        )
        _check_count("data", arrays.x_train, arrays.y_train)
        _check_count("test", arrays.x_test, arrays.y_test)
    check_given(arrays, names is None)
    return _content(arrays, names is not None)


def check_given(arrays: Arrays, unnamed: bool) -> None:
    """Check all that does not depend on the config; `unnamed`: whether classes have no names.

    Raises:
      UserError: something does not hold.
    """

    def error(fault: str, allowed: str) -> UserError:
        return UserError(f"data: {fault}; allowed: {allowed}")

    check(arrays, error)
    if unnamed:
        check_classes(arrays, "class_names", error)


def _check_count(what: str, images: np.ndarray, labels: np.ndarray) -> None:
    if len(images) != len(labels) or not len(images):
        raise UserError(f"{what}: {len(images)} images and {len(labels)} labels; allowed: one for each, some")


def _content(arrays: Arrays, named: bool) -> dict[str, np.ndarray]:
    content = {key: getattr(arrays, key) for key in array_file.KEYS}
    if named or arrays.class_names != tuple(map(str, range(len(arrays.class_names)))):
        content["class_names"] = np.array(arrays.class_names)
    if arrays.reading.float_range == BYTE:
        content[array_file.FLOAT_RANGE] = np.array(BYTE)
    if arrays.reading.resized:
        content[array_file.RESIZED] = np.array(True)
    return content
