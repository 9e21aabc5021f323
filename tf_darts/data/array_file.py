"""Images from one .npz file."""

import os

import ml_collections
import numpy as np

from tf_darts.data import npz
from tf_darts.data.arrays import Arrays, bad, some, without_images
from tf_darts.errors import UserError

KEYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CLASSES = 65536  # beyond it the labels are surely something else, and the classifier would not fit


def load(data: ml_collections.ConfigDict, seed: int) -> Arrays:
    """Read `data.path`, a .npz file with x_train, y_train, x_test, y_test and maybe class_names.

    Images are [N, H, W, C] or [N, H, W] (one channel), uint8 or floats in [0, 1]; labels are
    integers [N] from 0 on. Without class_names there are as many classes as the largest label says.

    Raises:
      UserError: the file or a key of it is missing, or an array has the wrong rank, type or values.
    """
    del seed  # nothing is drawn
    found = _read(data.path)
    try:
        x_train, x_test = (images_of(key, found[key]) for key in ("x_train", "x_test"))
        y_train, y_test = (labels_of(key, found[key]) for key in ("y_train", "y_test"))
    except UserError as error:
        raise UserError(f"config: data.path is {data.path!r}: {error}") from None
    if "class_names" in found:
        names = tuple(str(name) for name in found["class_names"].ravel())
    else:
        names = tuple(str(k) for k in range(1 + max(int(y.max(initial=0)) for y in (y_train, y_test))))
        if missing := without_images(y_train, names):
            fault = f"no training image of class {some(missing)}"
            allowed = "labels from 0 without gaps, or the key class_names too"
            raise bad("data.path", data.path, fault, allowed)
    return Arrays(x_train, y_train, x_test, y_test, names)


def _read(path: str) -> dict[str, np.ndarray]:
    """Return all arrays of the file that matter, by key."""
    allowed = f"a .npz file with the keys {', '.join(KEYS)}"
    full = os.path.expanduser(path)
    if not os.path.isfile(full):
        raise bad("data.path", path, "no such file", allowed)
    try:
        # Pickled arrays are refused: reading one runs code from the file.
        file = np.load(full, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise bad("data.path", path, "not a .npz file", allowed)
        with file:
            missing = [key for key in KEYS if key not in file.files]
            if missing:
                fault = f"lacks the key {', '.join(missing)} (it has {', '.join(file.files) or 'none'})"
                raise bad("data.path", path, fault, allowed)
            return {key: file[key] for key in (*KEYS, "class_names") if key in file.files}
    except UserError:
        raise
    except npz.DAMAGED as error:
        raise bad("data.path", path, f"cannot be read ({error})", allowed + ", none pickled") from error


def images_of(name: str, images: np.ndarray) -> np.ndarray:
    """Check images and return them as uint8 [N, H, W, C].

    Args:
      name: what they are called in messages.
      images: [N, H, W, C] or [N, H, W] (one channel), uint8 or floats in [0, 1].

    Raises:
      UserError: another shape or type, or other values.
    """
    if images.ndim not in (3, 4):
        raise UserError(f"{name} has the shape {images.shape}; allowed: [N, H, W, C] or [N, H, W]")
    if np.issubdtype(images.dtype, np.floating):
        # Written so that NaN fails too.
        if images.size and not (images.min() >= 0 and images.max() <= 1):
            fault = f"{name} has values from {images.min():g} to {images.max():g}"
            raise UserError(f"{fault}; allowed: uint8 images, or floats in [0, 1]")
        images = np.rint(images * 255).astype(np.uint8)
    if images.dtype != np.uint8:
        raise UserError(f"{name} has the type {images.dtype}; allowed: uint8 images, or floats in [0, 1]")
    return images if images.ndim == 4 else images[..., None]


def labels_of(name: str, labels: np.ndarray) -> np.ndarray:
    """Check labels and return them as they are: integers [N] from 0 on.

    Raises:
      UserError: another shape, no integers, or values that are surely something else.
    """
    if labels.ndim != 1:
        raise UserError(f"{name} has the shape {labels.shape}; allowed: [N]")
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{name} has the type {labels.dtype}; allowed: integer labels")
    if labels.size and not (labels.min() >= 0 and labels.max() < MOST_CLASSES):
        fault = f"{name} has labels from {labels.min()} to {labels.max()}"
        raise UserError(f"{fault}; allowed: labels from 0 to {MOST_CLASSES - 1}")
    return labels
