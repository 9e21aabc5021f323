"""One image file as an array."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
MODES = {1: "L", 3: "RGB"}  # by number of channels: Pillow's name for grey values and for colours
ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # of files that are no such images


def names_in(folder: str) -> list[str]:
    """Return the names of the visible image files of a folder, sorted."""
    return sorted(name for name in os.listdir(folder) if name.lower().endswith(SUFFIXES) and name[0] != ".")


def decode(path: str, shape: Sequence[int]) -> np.ndarray:
    """Decode the image in a file to uint8 [H, W, C], resized where it has another size.

    Args:
      path: a file, 8-bit PNG or JPEG.
      shape: H, W and C; C is one of `MODES`.

    Raises:
      One of ERRORS: it cannot be read, or has more than 8 bits.
    """
    height, width, channels = shape
    if not os.path.isfile(path):  # opening a pipe would wait for ever
        raise ValueError("not a file")
    with Image.open(path) as image:
        if image.mode[0] in "IF":
            # Pillow would clip 16-bit grey values at 255 instead of scaling them.
            raise ValueError("more than 8 bits")
        converted = image.convert(MODES[channels])
        if converted.size != (width, height):
            converted = converted.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(converted).reshape(shape)
