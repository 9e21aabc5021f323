"""Image files: where they are below a folder, and one as an array. Every reader of files uses this one.

An image is turned as its EXIF orientation says, as every viewer shows it. Of several frames the first counts.
"""

import collections
import dataclasses
import io
import os
import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm"),
)
KINDS = "8-bit images, .png, .jpg, .webp, .bmp, .gif, .tif or .ppm"  # for messages
MODES = {1: "L", 3: "RGB"}  # by number of channels: Pillow's name for grey values and for colours
ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # of files that are no such images

# Left by systems that show folders; nobody needs to be told.
_NOISE = (
    *("thumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "@recycle"),
    *("lost+found", "$recycle.bin", "system volume information"),
)
_ORIENTATION = 0x0112  # EXIF's number for it
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG, _JPEG_END, _PNG = b"\xff\xd8\xff", b"\xff\xd9", b"\x89PNG\r\n\x1a\n"


def is_visible(name: str) -> bool:
    """Return whether an entry of a folder is one that people put there."""
    return not name.startswith(".") and name.lower() not in _NOISE


@dataclasses.dataclass
class Aside:
    """What `names_in` found beside plain image files.

    Attributes:
      links: image files that are links.
      skipped: how many other files there are, by how their names end.
    """

    links: list[str] = dataclasses.field(default_factory=list)
    skipped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


def names_in(folder: str, aside: Aside | None = None) -> list[str]:
    """Return the visible image files of a folder and its sub-folders, relative to it, sorted.

    Args:
      folder: the folder; of the links in it, those to folders are not followed.
      aside: what is found else is added to it.

    Raises:
      OSError: it, or a sub-folder, cannot be listed.
    """
    images: list[str] = []
    aside = Aside() if aside is None else aside

    def walk(below: str) -> None:
        with os.scandir(os.path.join(folder, below)) as found:
            entries = sorted((e for e in found if is_visible(e.name)), key=lambda e: e.name)
        for entry in entries:
            name = os.path.join(below, entry.name)
            if entry.name.lower().endswith(SUFFIXES):  # whatever it is: what is no image is named later
                images.append(name)
                if entry.is_symlink():
                    aside.links.append(name)
            elif not entry.is_dir():
                aside.skipped[os.path.splitext(entry.name)[1].lower() or "without an ending"] += 1
            elif entry.is_symlink():
                aside.skipped["links to folders"] += 1
            else:
                walk(name)

    walk("")
    return sorted(images)


def size(path: str) -> tuple[int, int] | None:
    """Return width and height of an image, pixels, as its header says; None: it is no image."""
    try:
        with Image.open(path) as image:
            return image.size
    except ERRORS:
        return None


def count_text(counts: collections.Counter[str]) -> str:
    """Return how many files are of which kind: "12 (10 .heic, 2 .txt)"."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common(8))
    more = ", ..." if len(counts) > 8 else ""
    return f"{counts.total()} ({kinds}{more})"


def decode(
    path: str, shape: Sequence[int], animated: list[str] | None = None, fit: str = "squeeze"
) -> np.ndarray:
    """Decode the image in a file to uint8 [H, W, C], upright, resized where it has another size.

    Args:
      path: a file of `KINDS`, whatever its name.
      shape: H, W and C; C is one of `MODES`.
      animated: the path is appended where the image has more than one frame.
      fit: what becomes of an image of another shape, as `data.fit`.

    Raises:
      One of ERRORS: it cannot be read, or has more than 8 bits.
    """
    height, width, channels = shape
    _check_file(path)
    with Image.open(path) as image:
        if animated is not None and has_frames(image):
            animated.append(path)
        return np.asarray(_FITS[fit](_upright(image, MODES[channels]), height, width)).reshape(shape)


def pixels(content: bytes) -> np.ndarray:
    """Decode an encoded image to uint8 [H, W, 3], upright, of its own size.

    Raises:
      ValueError: it cannot be read, or has more than 8 bits.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(_upright(image, "RGB"))
    except ERRORS as error:
        raise ValueError(reason(error)) from error


def is_upright_jpeg(content: bytes) -> bool:
    """Return whether an encoded image is a JPEG that is shown as it is stored."""
    if not content.startswith(_JPEG):
        return False
    if b"Exif\0" not in content and b"Orientation" not in content:  # in the metadata called XMP
        return True
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _orientation(image) not in _TURNS
    except ERRORS:
        return True  # for the decoder to refuse


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize uint8 [h, w, C], of any C, to [height, width, C], as `decode` does."""
    if image.shape[:2] == (height, width):
        return image
    channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(image, -1, 0)]
    return np.stack([np.asarray(_sized(channel, height, width)) for channel in channels], -1)


def fault(path: str) -> str | None:
    """Say why a file cannot be read as an image; None: it can, as far as its head and its end tell.

    Of a JPEG the pixels in between are not decoded, and of a PNG only checksums are compared, unless
    something is odd about it; other files are decoded.
    """
    try:
        _check_file(path)
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                _upright(image, "RGB")  # refuses it
            if _looks_whole(path, image):
                return None
        decode(path, (1, 1, 3))
    except ERRORS as error:
        return reason(error)
    return None


def reason(error: Exception) -> str:
    """Return in a few words why an image was not read, from one of `ERRORS`."""
    if isinstance(error, UnidentifiedImageError):
        return "no image, or of an unknown kind"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0][:60]


def has_frames(image: Image.Image) -> bool:
    """Return whether an image moves, or has several pages; a photograph's second picture (MPO) is none."""
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _check_file(path: str) -> None:
    if not os.path.isfile(path):  # opening a pipe would wait for ever
        raise ValueError("not a file" if os.path.exists(path) else "no such file")
    if not os.path.getsize(path):
        raise ValueError("empty")


def _looks_whole(path: str, image: Image.Image) -> bool:
    with open(path, "rb") as file:
        head = file.read(len(_PNG))
        if head.startswith(_JPEG):
            file.seek(-len(_JPEG_END), os.SEEK_END)
            return file.read() == _JPEG_END
    if head != _PNG:
        return False
    try:
        image.verify()
    except ERRORS:
        return False
    return True


def _upright(image: Image.Image, mode: str) -> Image.Image:
    if image.mode[0] in "IF":
        # Pillow would clip 16-bit grey values at 255 instead of scaling them.
        raise ValueError("more than 8 bits")
    try:
        image.load()
    except struct.error as error:  # Pillow lets some through
        raise ValueError(str(error)) from error
    turn = _TURNS.get(_orientation(image))
    image.info.pop("transparency", None)  # left out anyway; Pillow would warn of some
    converted = image.convert(mode)
    return converted if turn is None else converted.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except (*ERRORS, struct.error, TypeError, KeyError, EOFError):  # broken metadata of a good image
        return 1


def _sized(image: Image.Image, height: int, width: int) -> Image.Image:
    return (
        image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BILINEAR)
    )


def _middle(image: Image.Image, height: int, width: int) -> Image.Image:
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)


def _between_bars(image: Image.Image, height: int, width: int) -> Image.Image:
    return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR)


# By the values of `data.fit`.
_FITS = {"squeeze": _sized, "crop": _middle, "pad": _between_bars}
