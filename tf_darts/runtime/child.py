"""Python processes that this one starts: in every folder they find this package, and Python's own modules.

Python puts the current folder first where it looks for modules: a `random.py` there would be imported in
place of Python's. Here, and nowhere else in this package, is how Python is started without that.
"""

import os
import pathlib
import sys
from collections.abc import Mapping

import tf_darts

ROOT = str(pathlib.Path(tf_darts.__file__).parents[1])


def command(*arguments: str) -> list[str]:
    """Return the command that runs Python with some arguments, as "-m", "MODULE"; it takes `environment`."""
    return [sys.executable, "-P", *arguments]


def environment(given: Mapping[str, str] = os.environ, package: bool = True) -> dict[str, str]:
    """Return the environment of such a process, and of all that it starts.

    Args:
      given: this process's environment.
      package: whether tf_darts is to be found.
    """
    path = os.pathsep.join(filter(None, [ROOT if package else "", given.get("PYTHONPATH")]))
    return {**given, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
