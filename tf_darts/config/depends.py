"""What the result of a stage depends on, beyond its own section; without TensorFlow."""

import hashlib
import pathlib
from typing import Any

import ml_collections

from tf_darts.registry import (
    DECIDING_METHODS,
    METHOD_PARTS,
    METHOD_SECTIONS,
    METHODS,
    PART_SECTIONS,
    PARTS,
    TAKES_SEVERAL,
)

PRECISION = "runtime.precision"
# Limits of the config, in the order of a cost's entries; programs of 1.0 know the first two.
BUDGET_FIELDS = ("max_parameters", "max_multiply_adds", "max_tflite_kilobytes", "max_latency_ms")
_ALWAYS = BUDGET_FIELDS[:2]
# The same, and a limit that is the same for a network of any size.
LIMIT_FIELDS = (*BUDGET_FIELDS, "max_skips")


def of_budget(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Return the fields of other sections that a selection depends on where the config sets a budget."""
    if not any(config.selection[name] for name in BUDGET_FIELDS):
        return {}
    names = ["channels", "cells"]
    if config.training.stem != "plain":  # recorded by programs that know no other
        names.append("stem")
    found = {f"training.{name}": config.training[name] for name in names}
    selection = config.selection
    if selection.max_latency_ms and selection.latency_table:  # its content: the file may be elsewhere now
        try:
            content = pathlib.Path(selection.latency_table).expanduser().read_bytes()
        except OSError:  # said where it is read
            content = b""
        found["selection.latency_table's sha256"] = hashlib.sha256(content).hexdigest()
    return found


def of_precision(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Return the field of the precision where it is float64: results and checkpoints are then others."""
    # Else weights are float32, and a stage may go on with the other kind of activations.
    return {PRECISION: "float64"} if config.runtime.precision == "float64" else {}


def of_deciding_search(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Return the fields of other sections that a search depends on: the budget's, if it decides within it."""
    limits = {name: config.selection[name] for name in LIMIT_FIELDS}
    if config.search.method not in DECIDING_METHODS or not any(limits.values()):
        return {}
    set_or_old = {name: limit for name, limit in limits.items() if limit or name in _ALWAYS}
    return {f"selection.{name}": limit for name, limit in set_or_old.items()} | of_budget(config)


def parts_of(config: ml_collections.ConfigDict) -> tuple[str, ...]:
    """Return the names of the parts of a config's search: those of its method, then `search.parts`."""
    return (*METHOD_PARTS.get(config.search.method, ()), *config.search.parts)


def runs_strange_code(config: ml_collections.ConfigDict) -> bool:
    """Return whether a config's search has code that data added and the user did not name."""
    strange = PARTS.untrusted()
    return config.search.method in METHODS.untrusted() or any(name in strange for name in parts_of(config))


def search_sections(config: ml_collections.ConfigDict) -> tuple[str, ...]:
    """Return the sections that the result of a search depends on."""
    parts = parts_of(config)
    own = [s for s, users in METHOD_SECTIONS.items() if config.search.method in users]
    own += [s for s, users in PART_SECTIONS.items() if s not in own and any(part in users for part in parts)]
    return ("data", "search", "early_stopping", *own)


def supernets_of(config: ml_collections.ConfigDict) -> int:
    """Return how many supernets a config's selection looks at."""
    return config.selection.supernets if config.selection.method in TAKES_SEVERAL else 1
