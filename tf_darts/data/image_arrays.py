"""Images as people hold them, as uint8 [N, H, W, C]: arrays of any type and range, lists of several sizes.

What was found out about the training images, a `Reading`, is how all later images are taken: the same values
mean the same, whatever else is in a call.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_darts.data import image_file
from tf_darts.data.arrays import Reading
from tf_darts.errors import UserError

UNIT, BYTE = 1, 255  # what white is in images of floats
LEAST_BYTE = 4  # floats from 0 to 255 reach this; a little above 1 is neither range
PLAUSIBLE = (1, 2, 3, 4)  # channels that make a last axis one of channels
Side = int | Callable[[list[int]], int]
"""Pixels of the square that images of several sizes become, or what makes it of their shorter sides."""
SHAPES = "[N, H, W, C] or [N, H, W]"


def images_of(
    name: str,
    images: Any,
    side: Side = 0,
    reading: Reading | None = None,
    shape: tuple[int, int, int] | None = None,
) -> tuple[np.ndarray, Reading]:
    """Check images and return them as uint8 [N, H, W, C], and how they were read.

    Args:
      name: what they are called in messages.
      images: an array [N, H, W, C] or [N, H, W] (one channel), or a list of images; uint8 or another integer
        type with values from 0 to 255, bool, or floats in [0, 1] or from 0 to 255. Channels may come first.
      side: what images are resized to where their sizes differ; 0: they may not.
      reading: of the images that these belong to; None: these are the first.
      shape: (H, W, C) of those.

    Raises:
      UserError: another shape or type, or other values.
    """
    given = _array_or_list(name, images)
    if isinstance(given, np.ndarray):
        if reading is not None and reading.resized and shape is not None and given.ndim in (3, 4):
            given = list(given)
        else:
            whole = _with_channels(name, given, shape)
            kept = _range_of(name, [whole], reading)
            return _as_bytes(whole, kept.float_range), kept
    depths = {image.shape[2] if image.ndim == 3 else 1 for image in given}
    if len(depths) > 1 and len({image.shape[:2] for image in given}) == 1:
        fault = f"{name} are of {' and '.join(map(str, sorted(depths)))} channels"
        raise UserError(f"{fault}; allowed: one number of channels")
    if not side:
        sizes = sorted({image.shape[:2] for image in given})
        raise UserError(f"{name} are of several sizes, as {sizes[0]} and {sizes[-1]}; allowed: one size")
    given = [_with_channels(name, image[None], None, said=k == 0)[0] for k, image in enumerate(given)]
    if len(channels := sorted({image.shape[-1] for image in given})) > 1:
        fault = f"{name} are of {' and '.join(map(str, channels))} channels"
        raise UserError(f"{fault}; allowed: one number of channels")
    kept = _range_of(name, given, reading)
    if callable(side):
        side = side([min(image.shape[:2]) for image in given])
    if reading is None:
        _say(name, f"are of several sizes: resized to {side}x{side} (data.image_size)")
    height, width = shape[:2] if shape else (side, side)
    made = [image_file.resized(_as_bytes(image, kept.float_range), height, width) for image in given]
    return np.stack(made), dataclasses.replace(kept, resized=True)


def _say(name: str, text: str) -> None:
    print(f"{'' if ':' in name else 'data: '}{name} {text}", file=sys.stderr)


def _array_or_list(name: str, images: Any) -> np.ndarray | list[np.ndarray]:
    """Return images as one array, or as a list where their sizes differ."""
    if isinstance(images, np.ndarray) and images.dtype != object:
        return images
    if not isinstance(images, np.ndarray | Sequence) or isinstance(images, str | bytes):
        try:
            array = np.asarray(images)  # as a tensor of TensorFlow or PyTorch
        except Exception as error:  # whatever the object does
            raise UserError(f"{name} is a {type(images).__name__}; allowed: an array {SHAPES}") from error
        if array.ndim == 0:
            raise UserError(f"{name} is a {type(images).__name__}; allowed: an array {SHAPES}")
        return array
    try:
        singles = [np.asarray(image) for image in images]
    except Exception as error:  # an image of rows of several lengths, or any object
        raise UserError(
            f"{name} hold what is no image ({type(error).__name__}); allowed: {SHAPES}"
        ) from error
    shapes, types = {image.shape for image in singles}, {image.dtype for image in singles}
    if len({dtype.kind for dtype in types}) > 1 or any(dtype.kind not in "biuf" for dtype in types):
        shown = " and ".join(sorted(map(str, types))[:3])
        raise UserError(f"{name} has the type {shown}; allowed: one of numbers for all images")
    if len(shapes) <= 1:
        return np.stack(singles) if singles else np.zeros((0, 1, 1, 1), np.uint8)
    if odd := [s for s in shapes if len(s) not in (2, 3) or not all(s)]:
        raise UserError(f"{name} has an image of the shape {odd[0]}; allowed: [H, W, C] or [H, W]")
    return singles


def _with_channels(
    name: str, images: np.ndarray, shape: tuple[int, int, int] | None, said: bool = True
) -> np.ndarray:
    """Return images [N, H, W, C], of the given (H, W, C) if any; channels may have been first or left out.

    Args:
      name: for messages.
      images: of any shape.
      shape: as `images_of`.
      said: whether to tell what was found out.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not all(images.shape[1:]):
        raise UserError(f"{name} has the shape {images.shape}; allowed: {SHAPES}{_cure(images.shape)}")
    first, height, width = images.shape[1:]
    if shape is not None:
        wanted = tuple(shape)
        turned = images.shape[1:] != wanted and (height, width, first) == wanted
        return np.moveaxis(images, 1, -1) if turned else images
    if width in PLAUSIBLE or first > min(height, width):
        return images
    square = height == width
    if first in (1, 3, 4) and height > first and (square or (first > 1 and min(height, width) >= 16)):
        if said:
            _say(
                name,
                f"{images.shape} have channels first: read as {height}x{width} pixels of {first} channels",
            )
        return np.moveaxis(images, 1, -1)
    return images


def doubt_of(shape: tuple[int, ...]) -> str | None:
    """Say where images [N, H, W, C] may well have their channels first, though they need not; else None."""
    number, first, height, width = shape
    if width in PLAUSIBLE or height != width or first >= height:
        return None
    return (
        f"{number} images of {first}x{height} pixels and {width} channels; if their channels come first,"
        " transpose them: np.moveaxis(images, 1, -1)"
    )


def _cure(shape: tuple[int, ...]) -> str:
    """Return what to do about images of one axis each."""
    if len(shape) != 2:
        return ""
    side = round(shape[1] ** 0.5)
    size = f"{side}, {side}" if side * side == shape[1] else "H, W"
    return f"; flat images: images.reshape(-1, {size})"


def _range_of(name: str, images: Sequence[np.ndarray], reading: Reading | None) -> Reading:
    """Check types and values; return how they are read, as the first images were if there were some."""
    images = [image for image in images if image.size]
    if not images:
        return reading or Reading()
    kind, dtype = images[0].dtype.kind, images[0].dtype
    if kind not in "biuf":
        raise UserError(f"{name} has the type {dtype}; allowed: uint8 images, or floats in [0, 1]")
    low, high = min(image.min() for image in images), max(image.max() for image in images)
    allowed = "uint8 images, or floats in [0, 1] or from 0 to 255"
    fault = f"{name} has values from {low:g} to {high:g}" if kind != "b" else ""
    if kind in "iu" and not (low >= 0 and high <= BYTE):
        cure = "; divide 16-bit values by 257" if low >= 0 else ""
        raise UserError(f"{fault}; allowed: {allowed}{cure}")
    if kind != "f":
        return reading or Reading()
    known = reading.float_range if reading else 0
    if not (low >= 0 and high <= (known or BYTE)) or (not known and UNIT < high < LEAST_BYTE):
        if known == UNIT and low >= 0:
            allowed = "uint8 images, or floats in [0, 1], as in training"
        # Written so that NaN fails too.
        cure = "; undo the normalisation first" if low < 0 else ""
        raise UserError(f"{fault}; allowed: {allowed}{cure}")
    found = known or (UNIT if high <= UNIT else BYTE)
    if not known:
        _say(name, f"are {dtype} from {low:g} to {high:g}: 0 is taken for black, {found} for white")
    return dataclasses.replace(reading or Reading(), float_range=found)


def _as_bytes(images: np.ndarray, float_range: int) -> np.ndarray:
    """Return checked images as uint8."""
    if images.dtype.kind == "b":
        return images.astype(np.uint8) * np.uint8(BYTE)
    if images.dtype.kind == "f":
        return np.rint(images * (BYTE // (float_range or UNIT))).astype(np.uint8)
    return images.astype(np.uint8, copy=False)
