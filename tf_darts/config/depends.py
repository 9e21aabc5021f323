"""What the result of a stage depends on, beyond its own section; without TensorFlow."""

from typing import Any

import ml_collections

from tf_darts.registry import DECIDING_METHODS, METHOD_SECTIONS, TAKES_SEVERAL

BUDGET_FIELDS = ("max_parameters", "max_multiply_adds")  # of the config, in the order of a cost's entries


def of_budget(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Return the fields of other sections that a selection depends on where the config sets a budget."""
    if not any(config.selection[name] for name in BUDGET_FIELDS):
        return {}
    names = ["channels", "cells"]
    if config.training.stem != "plain":  # recorded by programs that know no other
        names.append("stem")
    return {f"training.{name}": config.training[name] for name in names}


def of_deciding_search(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Return the fields of other sections that a search depends on: the budget's, if it decides within it."""
    network = of_budget(config)
    if config.search.method not in DECIDING_METHODS or not network:
        return {}
    return {f"selection.{name}": config.selection[name] for name in BUDGET_FIELDS} | network


def search_sections(config: ml_collections.ConfigDict) -> tuple[str, ...]:
    """Return the sections that the result of a search depends on."""
    own = [s for s, users in METHOD_SECTIONS.items() if config.search.method in users]
    return ("data", "search", "early_stopping", *own)


def supernets_of(config: ml_collections.ConfigDict) -> int:
    """Return how many supernets a config's selection looks at."""
    return config.selection.supernets if config.selection.method in TAKES_SEVERAL else 1
