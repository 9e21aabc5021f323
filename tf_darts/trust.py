"""What may run: code that the user named, on this command line or in this process.

A work directory, a study and an exported model may come from anywhere, and may name Python files: these are
imported only where `allow` was told of them: by the flag --trust, by a config file or flag that names them,
or by `tf_darts.extend.trust`. Nothing is imported here.
"""

import csv
import importlib.util
import io
import os
import shlex
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from typing import Any

from tf_darts.errors import UserError, show_path

_named: dict[str, None] = {}  # real paths of files and folders, and names of modules, in their order


def allow(*places: str | os.PathLike[str]) -> None:
    """Let data name code, and files that run what is in them, from some places from now on.

    Args:
      places: Python files, other files, folders with all that is below them, and names of modules, or of
        packages with all that is in them.

    Raises:
      UserError: there is no such file, folder or module.
    """
    for place in places:
        path, name = os.path.expanduser(place), os.fspath(place)
        if os.path.exists(path):
            _named[os.path.realpath(path)] = None
        elif is_file(name) or find_module(name) is None:
            raise UserError(
                f"--trust: {show_path(name)} is not there; allowed: a file, a folder, or a module on Python's"
                " path"
            )
        else:
            _named[name] = None


def allow_reference(reference: str) -> None:
    """Let "FILE.py:attribute" or "module:attribute" be loaded; whether it is there is not asked."""
    _named[place_of(reference)] = None


def named() -> tuple[str, ...]:
    """Return all places that may be loaded from, as they are handed on to a worker process."""
    return tuple(_named)


def flag(places: Iterable[str]) -> str:
    """Return the flag that allows some places, as a shell takes it; empty where there are none."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(places)  # as the flag library reads a list
    return f"--trust={shlex.quote(row.getvalue())}" if row.getvalue() else ""


def allows(reference: str) -> bool:
    """Return whether "FILE.py:attribute" or "module:attribute" may be loaded."""
    place = place_of(reference)
    if is_file(place):
        return allows_path(place)
    parts = place.split(".")
    if any(".".join(parts[: i + 1]) in _named for i in range(len(parts))):
        return True
    found = find_module(place)
    return found is not None and found.has_location and allows_path(found.origin or "")


def allows_path(path: str | os.PathLike[str]) -> bool:
    """Return whether a file or folder, or a folder above it, was named."""
    real = os.path.realpath(os.path.expanduser(path))
    while real not in _named:
        above = os.path.dirname(real)
        if above == real:
            return False
        real = above
    return True


def demand(reference: Any, asked_by: str) -> None:
    """Check that what some data ask for may be loaded.

    Args:
      reference: "FILE.py:attribute" or "module:attribute".
      asked_by: what asks for it, and as what, for the message.

    Raises:
      UserError: nobody named it, or it is no text.
    """
    if not isinstance(reference, str) or not allows(reference):
        raise refusal(asked_by, [str(reference)])


def refusal(asked_by: str, references: Iterable[str]) -> UserError:
    """Return the error about code that nobody named.

    Args:
      asked_by: what asks for the first of it, and as what.
      references: to all of it.
    """
    places = list(dict.fromkeys(map(place_of, references)))
    return UserError(
        f"{asked_by} is code in {show_path(places[0])}, which a file asks for and you did not; allowed: code"
        f" that you name yourself, by {flag(places)} or in Python tf_darts.extend.trust(...)"
    )


def place_of(reference: str) -> str:
    """Return the real path of a reference's file, or the name of its module."""
    module = reference.rpartition(":")[0]
    return os.path.realpath(os.path.expanduser(module)) if is_file(module) else module


def is_file(module: str) -> bool:
    """Return whether a reference's first part is a file, and not a module on Python's path."""
    return module.endswith(".py")


def find_module(name: str) -> ModuleSpec | None:
    """Find a module on Python's path; `importlib.util.find_spec` would import the packages around it."""
    found, path = None, None
    parts = name.split(".")
    for i in range(len(parts)):
        full = ".".join(parts[: i + 1])
        try:
            found = importlib.util.find_spec(full) if i == 0 else _find_below(full, path)
        except (ImportError, ValueError):
            return None
        if found is None:
            return None
        loaded = sys.modules.get(full)
        path = getattr(loaded, "__path__", None) or found.submodule_search_locations
        if path is None and i + 1 < len(parts):
            return None
    return found


def _find_below(name: str, path: Any) -> ModuleSpec | None:
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    return next((found for find in finders if find and (found := find(name, path))), None)
