"""Kinds of settings: what a field of a config takes, and the check of one value."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection
from typing import Any

import ml_collections

from tf_darts.errors import UserError
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
        return "one of " + ", ".join([*self.more, *self.names])


def integer_field(default: int, doc: str, least: int = 0) -> Field:
    """Make a field for integers from `least` on."""
    return Field(default, doc, f"an integer of at least {least}", lambda v: v >= least)


def number_field(default: float, doc: str, low: float = 0.0, high: float = float("inf")) -> Field:
    """Make a field for finite numbers from `low` to `high`."""
    allowed = f"a number from {low:g}" + ("" if high == float("inf") else f" to {high:g}")
    return Field(default, doc, allowed, lambda v: low <= v <= high and math.isfinite(v))


def one_of_field(default: str, doc: str, *names: str) -> Field:
    """Make a field for one of some names."""
    return Field(default, doc, "one of " + ", ".join(names), lambda v: v in names, names=names)


def name_field(registry: Registry, default: str, doc: str) -> Field:
    """Make a field for a name of a registry, which is looked up when a config is checked."""
    return Field(default, doc, OneOf(registry), lambda v: v in registry, names=registry)


def flag_field(default: bool, doc: str) -> Field:
    """Make a field that is on or off."""
    return Field(default, doc, "True or False", lambda v: True)


def text_field(default: str, doc: str) -> Field:
    """Make a field for a text."""
    return Field(default, doc, "a text", lambda v: True)


def tuple_field(kind: type, doc: str, allowed: str) -> Field:
    """Make a field for a tuple of things of one kind, by default an empty one."""
    return Field((), doc, allowed, lambda v: all(type(item) is kind for item in v))


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
            raise UserError(f"config: {name} is {given!r}; allowed: {field.allowed}")
        return plain
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind or value != value or not field.check(value):
        raise UserError(f"config: {name} is {given!r}; allowed: {field.allowed}{_nearest(value, field)}")
    return value


def _nearest(value: Any, field: Field) -> str:
    """Return the name that may have been meant, for the end of a message; nothing where none is near."""
    near = difflib.get_close_matches(value, field.names, n=1) if isinstance(value, str) else []
    return f"; did you mean {near[0]}?" if near else ""
