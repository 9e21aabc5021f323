"""What every image source needs: the arrays it returns, their check, errors, and a stratified hold-out."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn import model_selection

from tf_darts.errors import UserError, listed
from tf_darts.runtime import seeds


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a caller's images were read, for those that come later (`image_arrays`).

    Attributes:
      float_range: what white is among floats, 1 or 255; 0: there were none.
      resized: whether they were of several sizes.
    """

    float_range: int = 0
    resized: bool = False


class Arrays(NamedTuple):
    """What a source function returns; `sources.load` checks it and makes it an `ImageData`.

    Images are uint8 [N, H, W, C], labels are integers [N]; `reading` is of those that a caller gave. `files`
    are what training and test images were read from, where each was a file.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    reading: Reading = Reading()
    files: tuple[list[str], list[str]] | None = None


def bad(field: str, value: Any, fault: str, allowed: str) -> UserError:
    """Make the error for a field whose value has the right type but does not lead to usable images."""
    return UserError(f"config: {field} is {value!r}: {fault}; allowed: {allowed}")


def check(arrays: Arrays, error: Callable[[str, str], UserError]) -> None:
    """Check what has to hold whatever the source is.

    Args:
      arrays: of a source.
      error: makes the exception from what is wrong and what is allowed.

    Raises:
      UserError: it does not hold.
    """
    for part in ("train", "test"):
        images, labels = getattr(arrays, f"x_{part}"), getattr(arrays, f"y_{part}")
        if images.dtype != np.uint8 or images.ndim != 4:
            fault = f"x_{part} has the type {images.dtype} and the shape {images.shape}"
            raise error(fault, "uint8 images [N, H, W, C]")
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise error(
                f"y_{part} has the type {labels.dtype} and the shape {labels.shape}", "integer labels [N]"
            )
        if len(images) != len(labels):
            fault = f"x_{part} has {len(images)} images and y_{part} has {len(labels)} labels"
            raise error(fault, "one label for each image")
        if not images.size:
            raise error(f"no pixels in the {part} part", "at least one image in each part")
        if labels.min() < 0 or labels.max() >= len(arrays.class_names):
            fault = f"{part} labels go from {labels.min()} to {labels.max()}"
            raise error(fault, f"0 to {len(arrays.class_names) - 1}, as there are class names")
    if len(arrays.class_names) < 2:
        raise error(f"{len(arrays.class_names)} class", "at least 2 classes")
    if arrays.x_train.shape[1:] != arrays.x_test.shape[1:]:
        fault = f"training images {arrays.x_train.shape[1:]}, test images {arrays.x_test.shape[1:]}"
        raise error(fault, "one shape for all images")


def without_images(labels: np.ndarray, class_names: tuple[str, ...]) -> list[str]:
    """Return the names of the classes that have no label."""
    present = np.bincount(labels, minlength=len(class_names)) > 0
    return [name for name, there in zip(class_names, present, strict=True) if not there]


def held_out(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split image indices at random into training and test, with equal class shares in both.

    Args:
      labels: integer [N].
      fraction: share of the images that become test images.
      seed: the run's seed.

    Returns:
      Indices of the training images and of the test images, each in random order.

    Raises:
      UserError: a class is too small to be in both parts.
    """
    counts = np.bincount(labels)
    present = np.count_nonzero(counts)
    fault = f"cannot split {len(labels)} images"
    if single := [str(label) for label in np.flatnonzero(counts == 1)]:
        fault = f"{fault}, with one image of class {listed(single)}"
        raise bad("data.test_fraction", fraction, fault, "two images of every class, or separate test images")
    try:
        train, test = model_selection.train_test_split(
            np.arange(len(labels)),
            test_size=fraction,
            stratify=labels,
            random_state=seeds.fold(seed, "held out"),
        )
    except ValueError as error:
        raise bad(
            "data.test_fraction",
            fraction,
            f"{fault} of {present} classes",
            "a share that leaves an image of every class in both parts, here from"
            f" {present / max(len(labels), 1):.2g} to {1 - present / max(len(labels), 1):.2g}; or separate"
            " test images",
        ) from error
    return train, test
