"""Arrays from an .npz file, without unpickling anything."""

import struct
import tokenize
import zipfile
import zlib

import numpy as np

from tf_darts.errors import UserError

# What reading a damaged file may raise: a zip archive of arrays has many places to be damaged at.
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,  # encrypted, or (NotImplementedError) compressed otherwise, it seems
    OverflowError,
    MemoryError,  # a shape of a size that cannot be
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read(path: str) -> dict[str, np.ndarray]:
    """Read all arrays of a file, by name.

    Raises:
      UserError: it is missing, damaged, holds one array or a pickle, or something else.
    """
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with file:
            return {key: np.asarray(file[key]) for key in file.files}
    except DAMAGED as error:
        raise UserError(f"file: {path!r} cannot be read as .npz: {error}") from None
