"""Images of a caller of the library, arrays or a `tf.data.Dataset`, kept in one file of the work directory.

With the file, whatever is resumed and whatever program is run on the work directory later finds the same
images.
"""

import os
import pathlib
import secrets
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tf_darts.data import array_file, npz
from tf_darts.data.arrays import held_out
from tf_darts.errors import UserError

Given: TypeAlias = tuple[np.ndarray, np.ndarray] | tf.data.Dataset
"""Images and labels: two arrays, or a dataset of such pairs, batched or not."""

NAME = "data.npz"


def keep(
    folder: pathlib.Path,
    train: Given,
    test: Given | None,
    class_names: Sequence[str],
    test_fraction: float,
    seed: int,
) -> pathlib.Path:
    """Write the images into a folder, unless they are there; return the file, of source `npz`.

    Args:
      folder: the work directory, made if need be.
      train: training images, uint8 or float in [0, 1], [N, H, W, C] or [N, H, W], and integer labels [N].
      test: test images; None: a share of the training images, of every class, is held out.
      class_names: a name for each label; empty: the labels themselves.
      test_fraction: that share.
      seed: decides which.

    Raises:
      UserError: they are no labelled images, or the folder has others.
    """
    x_train, y_train = _arrays(train, "data")
    if test is None:
        first, second = held_out(y_train, test_fraction, seed)
        x_train, y_train, x_test, y_test = x_train[first], y_train[first], x_train[second], y_train[second]
    else:
        x_test, y_test = _arrays(test, "test")
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    if class_names:
        arrays["class_names"] = np.array([str(name) for name in class_names])
    path = folder.absolute() / NAME
    if path.exists():
        there = npz.read(str(path))
        differ = sorted(
            name
            for name in arrays.keys() | there.keys()
            if name not in arrays or name not in there or not np.array_equal(arrays[name], there[name])
        )
        if differ:
            raise UserError(
                f"workdir: {path} holds other images ({', '.join(differ)} differ); allowed: the same, or"
                " another workdir"
            )
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{NAME}.{secrets.token_hex(4)}.npz")
        np.savez(temporary, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"workdir: {path} cannot be written: {error.strerror}") from None
    return path


def _arrays(given: Given, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images as uint8 [N, H, W, C] and labels as int64 [N]."""
    if isinstance(given, tf.data.Dataset):
        images, labels = _of_dataset(given, what)
    else:
        try:
            images, labels = given
        except (TypeError, ValueError):
            kind = type(given).__name__
            raise UserError(f"{what} is a {kind}; allowed: (images, labels), or a tf.data.Dataset") from None
    images = array_file.images_of(f"{what}: images", np.asarray(images))
    labels = array_file.labels_of(f"{what}: labels", np.asarray(labels)).astype(np.int64)
    if len(images) != len(labels) or not len(images):
        raise UserError(f"{what}: {len(images)} images and {len(labels)} labels; allowed: one for each, some")
    return images, labels


def _of_dataset(dataset: tf.data.Dataset, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all elements of a dataset as two arrays."""
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise UserError(f"{what}: the dataset has no end; allowed: one pass over the images (without repeat)")
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise UserError(f"{what}: the dataset's elements are {spec}; allowed: (images, labels)")
    pairs = list(dataset.as_numpy_iterator())
    if not pairs:
        raise UserError(f"{what}: the dataset is empty; allowed: at least one image")
    images, labels = zip(*pairs, strict=True)
    if spec[1].shape.rank == 0:
        return np.stack(images), np.stack(labels)
    return np.concatenate(images), np.concatenate(labels)
