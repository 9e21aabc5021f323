"""Images from TensorFlow Datasets: prepared on this machine, or downloaded to the default place."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import ml_collections
import numpy as np
from absl import logging

from tf_darts import trust
from tf_darts.data.arrays import Arrays, bad
from tf_darts.errors import UserError

NAME = re.compile(r"(?P<name>\w+)(/(?P<config>[\w.\-]+))?(:(?P<version>\d+\.\d+\.\d+))?")
VERSION = re.compile(r"\d+\.\d+\.\d+")


def load(data: ml_collections.ConfigDict, seed: int) -> Arrays:
    """Read the splits "train" and `data.test_split` of the data set `data.name`, in file order.

    With `data.path` the data set must lie prepared below that folder, in any version (the newest is
    taken), and the network is never tried. Without it, the default folder of tfds is used, and what it
    lacks is downloaded.

    Raises:
      UserError: the data set is not there, not known or cannot be read, has no split "train" or "test", no
        features "image" and "label", images that are not uint8 or not all of one shape.
    """
    del seed  # nothing is drawn
    with quiet():
        found = builder(data)
        train = _read(data, found, "train", data.limit_train)
        test = _read(data, found, data.test_split, data.limit_test)
    names = getattr(found.info.features["label"], "names", None)
    if names is None:
        names = [str(k) for k in range(1 + max(int(y.max()) for y in (train[1], test[1])))]
    return Arrays(*train, *test, tuple(names))


def builder(data: ml_collections.ConfigDict) -> Any:
    """Return the tfds builder of a classification data set with the splits that the config names.

    Raises:
      UserError: the data set is not there, not known, or has not what it must.
    """
    found = _prepared(data) if data.path else _downloaded(data)
    features, splits = found.info.features, found.info.splits
    lacking = [key for key in ("image", "label") if key not in features]
    if lacking:
        fault = f"has no feature {' and '.join(lacking)} (it has {', '.join(sorted(features))})"
        raise bad("data.name", data.name, fault, "an image classification data set")
    wanted = ("train", data.test_split)
    lacking = [split for split in wanted if split not in splits]
    if lacking:
        fault = f"has no split {' and '.join(lacking)} (it has {', '.join(sorted(splits))})"
        raise bad("data.name", data.name, fault, f"a data set with the splits {' and '.join(wanted)}")
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep tfds from progress bars and notes in the log; what it prints goes to standard error."""
    import tensorflow_datasets as tfds  # slow to import, and only this source needs it

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logging.set_verbosity(verbosity)


def _prepared(data: ml_collections.ConfigDict) -> Any:
    """Return the tfds builder of the data set below data.path.

    It is made from the folder itself, not by name: so old versions and data sets that tfds does not know
    can be read, and nothing is looked up elsewhere.
    """
    import tensorflow_datasets as tfds

    match = NAME.fullmatch(data.name)
    if match is None:
        raise bad("data.name", data.name, "not a name of tfds", "NAME, NAME/CONFIG or NAME:VERSION")
    root = os.path.join(os.path.expanduser(data.path), match["name"], match["config"] or "")
    found = _versions(root, match["version"])
    if not found and not match["config"]:
        configs = [name for name in _folders(root) if _versions(os.path.join(root, name), match["version"])]
        if len(configs) > 1:
            fault = f"several configs lie in {root}"
            choices = ", ".join(f"{match['name']}/{name}" for name in configs)
            raise bad("data.name", data.name, fault, choices)
        if configs:
            root = os.path.join(root, configs[0])
            found = _versions(root, match["version"])
    if not found:
        wanted = os.path.join(root, match["version"] or "VERSION", "dataset_info.json")
        raise bad(
            "data.path",
            data.path,
            f"the data set {data.name!r} is not prepared there (no {wanted})",
            "a tfds data directory that holds it (prepare it with tfds.load(name, data_dir=path) where the"
            " network can be reached), or empty, to let tfds download it",
        )
    newest = max(found, key=lambda version: [int(number) for number in version.split(".")])
    _check_features(data, os.path.join(root, newest))
    try:
        return tfds.builder_from_directory(os.path.join(root, newest))
    except Exception as error:  # a damaged folder fails in as many ways as its files can be damaged
        raise _unreadable(data, error) from error


def _check_features(data: ml_collections.ConfigDict, folder: str) -> None:
    """Check that a prepared data set names features of tfds alone: tfds imports the module of any other.

    Raises:
      UserError: it names others, and the user did not; or its features cannot be read.
    """

    def modules(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key in ("type", "pythonClassName", "python_class_name"):
                if isinstance(value.get(key), str):
                    yield value[key].rpartition(".")[0]
            for item in value.values():
                yield from modules(item)
        elif isinstance(value, list):
            for item in value:
                yield from modules(item)

    file = os.path.join(folder, "features.json")
    try:
        with open(file, encoding="utf-8") as text:
            found = sorted(set(modules(json.load(text))))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(data, error) from error
    for module in found:
        if module and module.partition(".")[0] != "tensorflow_datasets":
            trust.demand(f"{module}:feature", f"{file}: a feature")


def _folders(path: str) -> list[str]:
    if not os.path.isdir(path):
        return []
    return sorted(entry.name for entry in os.scandir(path) if entry.is_dir())


def _versions(path: str, version: str | None) -> list[str]:
    """Return the version folders in `path` that are fully prepared (tfds writes dataset_info.json last)."""
    return [
        name
        for name in _folders(path)
        if VERSION.fullmatch(name)
        and version in (None, name)
        and os.path.isfile(os.path.join(path, name, "dataset_info.json"))
    ]


def _downloaded(data: ml_collections.ConfigDict) -> Any:
    """Return the tfds builder of the data set in the default place, downloaded if it is not there."""
    import tensorflow_datasets as tfds

    allowed = "an image classification data set of tfds"
    if NAME.fullmatch(data.name) is None:  # tfds would look elsewhere, and run what it finds there
        raise bad("data.name", data.name, "not a name of tfds", "NAME, NAME/CONFIG or NAME:VERSION")
    try:
        builder = tfds.builder(data.name)
    except tfds.core.DatasetNotFoundError as error:
        raise bad("data.name", data.name, "tfds knows no such data set", allowed) from error
    except (ValueError, AssertionError, TypeError) as error:  # malformed name, unknown config or version
        raise bad("data.name", data.name, _line(error), allowed) from error
    try:
        builder.download_and_prepare()  # does nothing where it has been prepared before
    except Exception as error:  # network, disk, checksums, manual steps: each has its own exceptions
        fault = f"tfds cannot download and prepare it ({_line(error)})"
        raise bad("data.name", data.name, fault, allowed + ", or data.path with a prepared copy") from error
    return builder


def _line(error: Exception) -> str:
    """Return an exception in one line: its message up to the first line break, or its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _unreadable(data: ml_collections.ConfigDict, error: Exception) -> UserError:
    fault = f"the data set {data.name!r} there cannot be read ({_line(error)})"
    return bad("data.path", data.path, fault, "a data directory that tfds prepared, undamaged")


def _read(
    data: ml_collections.ConfigDict, builder: Any, split: str, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read a split, or its first `limit` images: uint8 [N, H, W, C] and integer labels [N]."""
    import tensorflow_datasets as tfds

    shape = builder.info.features["image"].shape
    try:
        # One file after the other: the order of the images is then that of the data set.
        dataset = builder.as_dataset(split=split, read_config=tfds.ReadConfig(interleave_cycle_length=1))
        dataset = dataset.map(lambda example: (example["image"], example["label"]))
        dataset = dataset.take(limit) if limit else dataset
        batches = list(tfds.as_numpy(dataset.batch(1 if None in shape else 1024)))
    except Exception as error:  # missing or broken record files, images that do not decode
        raise _unreadable(data, error) from error
    shapes = sorted({images.shape[1:] for images, _ in batches})
    if not shapes:
        raise bad("data.name", data.name, f"the split {split} has no images", "at least one image")
    if len(shapes) > 1:
        fault = f"images of the split {split} differ in shape, such as {shapes[0]} and {shapes[-1]}"
        raise bad("data.name", data.name, fault, "images of one shape (source folder resizes)")
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    if images.dtype != np.uint8 or images.ndim != 4:
        fault = f"the split {split} has images of type {images.dtype} and shape {images.shape[1:]}"
        raise bad("data.name", data.name, fault, "uint8 images [H, W, C]")
    return images, labels
