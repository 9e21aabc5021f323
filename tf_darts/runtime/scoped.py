"""What holds while something is built or traced: context variables, each set for a block."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def holding(variable: contextvars.ContextVar[T], value: T) -> Iterator[None]:
    """Set the variable to the value for this block.

    A context variable, not an attribute of some object: each replica is traced by a thread of its own, and
    they take turns.
    """
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
