"""The one exception that a person can mend: bad input, said in one line; and how a value stands in it."""

import re
from collections.abc import Iterable
from typing import Any

LONGEST = 1000  # characters of a message: what a person still reads


class UserError(ValueError):
    """Bad input: the message names the field, its value, and what is allowed.

    The binaries print the message alone and exit with status 2; it is raised before any long work
    starts and before anything is written. Of a message longer than `LONGEST` the middle is left out.

    Args:
      message: the message.
    """

    def __init__(self, message: str = ""):
        super().__init__(_cut(str(message), LONGEST, LONGEST // 4))


def _cut(text: str, longest: int, end: int) -> str:
    """Leave out the middle of a text that is too long, all but the last `end` characters of it."""
    return text if len(text) <= longest else f"{text[: longest - end - 5]} ... {text[len(text) - end :]}"


def listed(names: Iterable[Any], most: int = 12, between: str = ", ") -> str:
    """Return names for a message, with commas between them: the first `most`, and how many there are."""
    all_names = [str(name) for name in names]
    if len(all_names) <= most + 2:  # to cut less would save nothing
        return between.join(all_names)
    return f"{between.join(all_names[:most])}{between}... ({len(all_names)} in all)"


def show(value: Any, longest: int = 80) -> str:
    """Return `repr` for a message: short, on one line, and never failing."""
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # Integers of thousands of digits; very deep lists.
        shown = f"a very large {type(value).__name__}"
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def show_path(path: Any) -> str:
    """Return a path for a message: whole, unless it is longer than any that a file system takes."""
    return show(path, longest=1024)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, without TensorFlow's notes for programmers; else its kind."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    line = re.sub(r"\{\{function_node [^}]*\}\} ?", "", line)  # nothing to a reader
    return _cut(line, 405, 200)
