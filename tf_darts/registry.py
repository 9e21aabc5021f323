"""Things by name that are loaded when they are needed.

An entry is the thing itself, or "module:attribute", which is imported when the thing is asked for: names
can be checked, and others added by a config, without importing TensorFlow. "FILE.py:attribute" is a thing
of a file that need not be on Python's path.
"""

import difflib
import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from tf_darts.errors import UserError


class Registry(dict[str, Any]):
    """A dictionary of names that says which there are.

    Args:
      field: what a name is the value of, for messages: `search.method`, or `operation`.
      entries: the entries to begin with.

    Attributes:
      built_in: the names of those; all others were added.
    """

    def __init__(self, field: str, entries: Mapping[str, Any]):
        super().__init__(entries)
        self.field = field
        self.built_in = frozenset(entries)

    def register(self, name: str, entry: Any) -> Any:
        """Adds an entry and gives it back.

        Args:
          name: letters, digits and _.
          entry: the thing, or where it is: "module:attribute" or "FILE.py:attribute".

        Raises:
          UserError: the name is none or is another entry's, or the entry leads to no module or file. (To
            replace an entry, assign to it as in any dictionary.)
        """
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
            raise UserError(
                f"{self.field}: the name is {name!r}; allowed: letters, digits and _, not first a digit"
            )
        if name in self and self[name] != entry:
            raise UserError(
                f"{self.field}: the name {name!r} is taken by {self[name]!r}; allowed: another name"
            )
        if isinstance(entry, str):
            try:
                check_reference(entry)
            except ImportError as error:
                raise self._broken(name, entry, error) from None
        self[name] = entry
        return entry

    def check(self, name: str, place: str = "") -> None:
        """Checks that there is an entry.

        Args:
          name: the name.
          place: where it stands, as the beginning of the message; by default the registry's field.

        Raises:
          UserError: there is none; the message names the nearest, or all.
        """
        if name not in self:
            raise UserError(f"{place or self.field}: {name!r} is not known; {hint(name, self)}")

    def load(self, name: str) -> Any:
        """The thing of this name.

        Raises:
          UserError: there is no entry, or what it names cannot be imported.
        """
        self.check(name)
        entry = self[name]
        if not isinstance(entry, str):
            return entry
        try:
            return load_reference(entry)
        except ImportError as error:
            raise self._broken(name, entry, error) from error

    def _broken(self, name: str, entry: str, error: ImportError) -> UserError:
        return UserError(f"{self.field}: {name!r} cannot be loaded from {entry!r}: {error}")


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all that are allowed."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known)}"


def check_reference(reference: str) -> None:
    """Checks that a module or file is there. Nothing is imported but the packages around the module.

    Args:
      reference: "module:attribute" or "FILE.py:attribute".

    Raises:
      ImportError: it is not.
    """
    module, _, attribute = reference.rpartition(":")
    if not module or not attribute.isidentifier():
        raise ImportError("allowed: module:attribute or FILE.py:attribute")
    if _is_file(module):
        if not os.path.isfile(module):
            raise ImportError(f"no such file {module!r}")
        return
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise ImportError(f"no module {module!r} on Python's path")


@functools.cache
def load_reference(reference: str) -> Any:
    """What "module:attribute" or "FILE.py:attribute" stands for.

    Raises:
      ImportError: there is no such module, file or attribute, or the module fails as it is imported.
    """
    check_reference(reference)
    module, _, attribute = reference.rpartition(":")
    try:
        loaded = _module_of(module) if _is_file(module) else importlib.import_module(module)
    except Exception as error:  # the module is a program and may fail in any way
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}, line {frame.lineno}"
        raise ImportError(f"{type(error).__name__}: {error} ({place})") from error
    if not hasattr(loaded, attribute):
        names = [name for name in vars(loaded) if not name.startswith("_")]
        raise ImportError(f"no {attribute!r} there; {hint(attribute, names)}")
    return getattr(loaded, attribute)


def absolute(reference: str) -> str:
    """The same reference from any folder: a file's path made absolute."""
    module, _, attribute = reference.rpartition(":")
    if not _is_file(module):
        return reference
    return f"{os.path.abspath(os.path.expanduser(module))}:{attribute}"


def _is_file(module: str) -> bool:
    return module.endswith(".py")


def _module_of(path: str) -> ModuleType:
    """The module of a file, executed once however often and by whichever path it is asked for."""
    path = os.path.realpath(path)
    stem = os.path.splitext(os.path.basename(path))[0]
    name = f"{stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before it runs: a dataclass looks its module up there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
