"""The config files that come with tf_darts: `configs/` of the repository, or inside the installed package.

A program takes `--config=configs/NAME.py` from any folder: a file of that name in the current folder, else
the one that came with tf_darts. Your own config file builds on one of them by `load`.
"""

import os
import pathlib
import runpy

import ml_collections

from tf_darts.errors import UserError

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# setup.py puts the repository's folder into the package; in a checkout it is beside it.
INSTALLED = (_PACKAGE / "configs").is_dir()
FOLDER = (_PACKAGE if INSTALLED else _PACKAGE.parent) / "configs"


def names() -> list[str]:
    """Return the names of the files, without `.py`."""
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def find(path: str) -> str:
    """Find the file that a path means.

    Args:
      path: of any file; `configs/quickstart.py` is that of the current folder, else the one of tf_darts.

    Returns:
      A path; the same if there is no such file anywhere.
    """
    given = pathlib.PurePath(path)
    ours = FOLDER / given.name
    if given.parts[:-1] == ("configs",) and not os.path.exists(path) and ours.is_file():
        return str(ours)
    return path


def load(name: str, *arguments: str) -> ml_collections.ConfigDict:
    """Make the config of a file that came with tf_darts, anew at each call.

    Args:
      name: as `quickstart` for `configs/quickstart.py`.
      arguments: what stands behind the colon, as the row of `configs/paper.py:ROW`.

    Raises:
      UserError: there is no such file.
    """
    if name not in names():
        raise UserError(f"configs/{name}.py: no such file comes with tf_darts; allowed: {', '.join(names())}")
    return runpy.run_path(str(FOLDER / f"{name}.py"))["get_config"](*arguments)
