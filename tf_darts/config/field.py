"""Kinds of settings: what a field of a config takes, and the check of one value.

Every number has two ends. Where the upper one does not follow from what the number is, a `Bound` says why it
is where it is (`tf_darts.config.limits`).
"""

import dataclasses
import difflib
from collections.abc import Callable, Collection
from typing import Any

import ml_collections

from tf_darts.config import limits
from tf_darts.config.bound import Bound
from tf_darts.errors import UserError, listed, show
from tf_darts.registry import Registry


@dataclasses.dataclass(frozen=True)
class Field:
    """One setting.

    Attributes:
      default: default value, whose type every value has.
      doc: meaning.
      allowed: what is allowed, for messages.
      check: the test that a value has to pass.
      plain: for a field that takes values of several types: the value as tuples, dictionaries and scalars,
        or None where it cannot be one.
      names: for a field that takes one of some names: these.
    """

    default: Any
    doc: str
    allowed: "str | OneOf"
    check: Callable[[Any], bool]
    plain: Callable[[Any], Any] | None = None
    names: Collection[str] = ()


@dataclasses.dataclass(frozen=True)
class OneOf:
    """The text "one of ...", made when it is needed: a config file may have added names since."""

    names: Collection[str]
    more: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "one of " + listed([*self.more, *self.names])


def integer_field(default: int, doc: str, least: int = 0, limit: Bound = limits.COUNT) -> Field:
    """Make a field for integers from `least` to a limit."""
    allowed = f"an integer of at least {least} and at most {limit}"
    return Field(default, doc, allowed, lambda v: least <= v <= limit.most)


def number_field(default: float, doc: str, low: float = 0.0, high: float | Bound = limits.NUMBER) -> Field:
    """Make a field for numbers from `low` to `high`."""
    most = high.most if isinstance(high, Bound) else high
    allowed = f"a number from {low:g} to {high if isinstance(high, Bound) else format(high, 'g')}"
    return Field(default, doc, allowed, lambda v: low <= v <= most)


def one_of_field(default: str, doc: str, *names: str) -> Field:
    """Make a field for one of some names."""
    return Field(default, doc, "one of " + ", ".join(names), lambda v: v in names, names=names)


def name_field(registry: Registry, default: str, doc: str) -> Field:
    """Make a field for a name of a registry, which is looked up when a config is checked."""
    return Field(default, doc, OneOf(registry), lambda v: v in registry, names=registry)


def flag_field(default: bool, doc: str) -> Field:
    """Make a field that is on or off."""
    return Field(default, doc, "True or False", lambda v: True)


def text_field(default: str, doc: str, limit: Bound = limits.TEXT) -> Field:
    """Make a field for a text that a file's name or path can be."""

    def check(value: str) -> bool:
        try:
            return len(value.encode("utf-8", "surrogateescape")) <= limit.most and "\0" not in value
        except UnicodeEncodeError:
            return False

    return Field(default, doc, f"a text without the character 0, in UTF-8, of at most {limit}", check)


def tuple_field(kind: type, doc: str, allowed: str, limit: Bound) -> Field:
    """Make a field for a tuple of so many things of one kind, by default an empty one."""

    def check(value: tuple) -> bool:
        return len(value) <= limit.most and all(type(item) is kind for item in value)

    return Field((), doc, f"{allowed}, of at most {limit}", check)


def value_of(config: ml_collections.ConfigDict, name: str) -> Any:
    """Return the value of a field by its whole name, as `seed` or `search.epochs`."""
    section, _, field = name.rpartition(".")
    return config[section][field] if section else config[field]


def checked(name: str, value: Any, field: Field) -> Any:
    """Check a value and return it as the field has it.

    Args:
      name: of the field, for messages.
      value: as the user gave it.
      field: the field.

    Raises:
      UserError: it is of another type, or not allowed.
    """
    kind = type(field.default)
    given = value.to_dict() if isinstance(value, ml_collections.ConfigDict) else value  # for one line
    if field.plain is not None:
        plain = None if given is None else field.plain(given)
        if plain is None and (given is not None or field.default is not None):
            raise UserError(f"config: {name} is {show(given)}; allowed: {field.allowed}")
        return plain
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind or value != value or not field.check(value):
        raise UserError(f"config: {name} is {show(given)}; allowed: {field.allowed}{_nearest(value, field)}")
    return value


def _nearest(value: Any, field: Field) -> str:
    """Return the name that may have been meant, for the end of a message; nothing where none is near."""
    short = isinstance(value, str) and len(value) <= limits.NAME.most  # comparing takes its length squared
    near = difflib.get_close_matches(value, field.names, n=1) if short else []
    return f"; did you mean {near[0]}?" if near else ""
