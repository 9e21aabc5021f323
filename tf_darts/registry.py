"""Things by name that are loaded when they are needed.

An entry is the thing itself, or "module:attribute", which is imported when the thing is asked for: names
can be checked, and others added by a config file, without importing TensorFlow.
"""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from tf_darts.errors import UserError


class Registry(dict[str, Any]):
    """A dictionary of names that says which there are.

    Args:
      field: what a name is the value of, for messages: `search.method`, or `operation`.
      entries: the entries to begin with.
    """

    def __init__(self, field: str, entries: Mapping[str, Any]):
        super().__init__(entries)
        self.field = field

    def check(self, name: str) -> None:
        """Checks that there is an entry.

        Raises:
          UserError: there is none; the message names the nearest, or all.
        """
        if name not in self:
            near = difflib.get_close_matches(name, self, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(self)}"
            raise UserError(f"{self.field}: {name!r} is not known; {hint}")

    def load(self, name: str) -> Any:
        """The thing of this name.

        Raises:
          UserError: there is no entry, or what it names cannot be imported.
        """
        self.check(name)
        entry = self[name]
        if not isinstance(entry, str):
            return entry
        module, _, attribute = entry.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{self.field}: {name!r} cannot be loaded from {entry!r}: {error}") from None
