"""Arrays that somebody made, as what a source returns: images and labels of both parts, in agreement."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_darts.data.arrays import Arrays, without_images
from tf_darts.data.class_labels import Names, classes_of, labels_of
from tf_darts.data.image_arrays import BYTE, UNIT, Side, images_of
from tf_darts.errors import UserError, listed

Named = tuple[str, Any]
"""What something is called in messages, and what it is."""


def arrays_of(
    x_train: Named, y_train: Named, x_test: Named, y_test: Named, names: Names | None, side: Side = 0
) -> Arrays:
    """Read images and labels of two parts alike.

    Args:
      x_train: training images, as `image_arrays.images_of` takes them.
      y_train: their labels, as `class_labels.labels_of` takes them.
      x_test: test images.
      y_test: their labels.
      names: of the classes.
      side: what images of several sizes are resized to; 0: they may not be.

    Raises:
      UserError: something of them is of no use, or the parts contradict each other.
    """
    images, reading = images_of(*x_train, side)
    test_images, test_reading = images_of(*x_test, side, reading, images.shape[1:])
    top = _top(x_test[1])
    if reading.float_range == BYTE and top is not None and 0 < top <= UNIT:
        fault = f"{x_test[0]} has values to {top:g}, and {x_train[0]} beyond"
        raise UserError(f"{fault}; allowed: the same range for both")
    labels, test_labels, class_names = classes_of(labels_of(*y_train), labels_of(*y_test), names)
    if class_names is None:
        number = 1 + max(int(y.max(initial=0)) for y in (labels, test_labels))
        class_names = tuple(map(str, range(number)))
    return Arrays(images, labels, test_images, test_labels, class_names, test_reading)


def check_classes(arrays: Arrays, names: str, error: Callable[[str, str], UserError]) -> None:
    """Fail where a class has no training image.

    Args:
      arrays: of a source.
      names: what would name the classes.
      error: makes the exception from what is wrong and what is allowed.

    Raises:
      UserError: there is such a class.
    """
    if missing := without_images(arrays.y_train, arrays.class_names):
        fault = f"no training image of class {listed(missing)}"
        raise error(fault, f"labels from 0 without gaps, or {names} too")


def _top(images: Any) -> float | None:
    """Return the largest value of an array of floats; None for anything else."""
    floats = isinstance(images, np.ndarray) and images.dtype.kind == "f" and images.size
    return float(images.max()) if floats else None
