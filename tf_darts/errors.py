"""The one exception that a person can mend: bad input, said in one line; and how a value stands in it."""

import re
from typing import Any


class UserError(ValueError):
    """Bad input: the message names the field, its value, and what is allowed.

    The binaries print the message alone and exit with status 2; it is raised before any long work
    starts and before anything is written.
    """


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
    return line if len(line) <= 400 else f"{line[:200]} ... {line[-200:]}"
