"""Arrays from an .npz file, without unpickling anything."""

import zipfile
import zlib

import numpy as np

from tf_darts.errors import UserError


def read(path: str) -> dict[str, np.ndarray]:
    """All arrays of a file, by name.

    Raises:
      UserError: it is missing, damaged, holds one array or a pickle, or something else.
    """
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with file:
            return {key: np.asarray(file[key]) for key in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"file: {path!r} cannot be read as .npz: {error}") from None
