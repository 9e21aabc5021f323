"""What every image source needs: the arrays it returns, its errors, and a stratified hold-out."""

from typing import Any, NamedTuple

import numpy as np
from sklearn import model_selection

from tf_darts.errors import UserError
from tf_darts.runtime import seeds


class Arrays(NamedTuple):
    """What a source function returns; `sources.load` checks it and makes it an `ImageData`.

    Images are uint8 [N, H, W, C], labels are integers [N].
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]


def bad(field: str, value: Any, fault: str, allowed: str) -> UserError:
    """Make the error for a field whose value has the right type but does not lead to usable images."""
    return UserError(f"config: {field} is {value!r}: {fault}; allowed: {allowed}")


def some(items: list[str], most: int = 10) -> str:
    """Join items with commas, cut short after `most` of them."""
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + rest


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
            f"cannot split {len(labels)} images ({error})",
            "a share that leaves an image of every class in both parts",
        ) from error
    return train, test
