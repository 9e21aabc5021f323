"""A budget as people say it, "200k parameters, 300 kB, 2 ms", as fields of the config."""

import re

from tf_darts.errors import UserError, show

# By unit: the field, and how many of its units one is.
_UNITS = {
    "parameters": ("max_parameters", 1.0),
    "multiply-adds": ("max_multiply_adds", 1.0),
    "kB": ("max_tflite_kilobytes", 1.0),
    "MB": ("max_tflite_kilobytes", 1000.0),
    "ms": ("max_latency_ms", 1.0),
}
_OTHER_NAMES = {"": "parameters", "params": "parameters", "madds": "multiply-adds", "macs": "multiply-adds"}
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_COUNTED = ("parameters", "multiply-adds")
_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kKMG]?)\s*([A-Za-z-]*)")
_FIELD = "config: own_images.budget"
ALLOWED = "limits with commas between them, as 200k parameters, 40M multiply-adds, 300 kB, 2 ms"


def parse(text: str) -> dict[str, int | float]:
    """Return the limits of a budget by the names of their fields in `selection`.

    Args:
      text: limits with commas between them. Each is a number, with k, M or G for parameters and
        multiply-adds, and a unit: parameters (may be left out), multiply-adds, kB or MB (of the float TFLite
        file), ms (of one image through it).

    Raises:
      UserError: a part is no such limit, or two are of one kind.

    Examples:
      >>> parse("200k, 2 ms")
      {'max_parameters': 200000, 'max_latency_ms': 2.0}
    """
    limits: dict[str, int | float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, value = _limit(part, text)
        if field in limits:
            raise UserError(f"{_FIELD} is {show(text)}, with two limits of one kind; allowed: {ALLOWED}")
        limits[field] = value
    return limits


def _limit(part: str, text: str) -> tuple[str, int | float]:
    """Return field and value of one limit; `text` is the whole budget, for messages."""
    found = _LIMIT.fullmatch(part)
    number, factor, name = found.groups() if found else ("0", "", "?")
    if factor + name in _UNITS:  # kB, MB: the letter belongs to the unit
        factor, name = "", factor + name
    unit = name if name in _UNITS else _OTHER_NAMES.get(name.lower(), name.lower())
    if unit not in _UNITS or (factor and unit not in _COUNTED) or not float(number):
        raise UserError(f"{_FIELD} is {show(text)}, with {show(part)}; allowed: {ALLOWED}")
    field, one = _UNITS[unit]
    value = float(number) * _FACTORS[factor.lower()] * one
    if unit == "ms":
        return field, value
    if value < 1:
        raise UserError(f"{_FIELD} is {show(text)}, with {show(part)}; allowed: at least 1")
    return field, int(value)
