"""The fields of a selection's budget, and what depends on them; without TensorFlow."""

from typing import Any

import ml_collections

from tf_darts.search.methods import DECIDING

FIELDS = ("max_parameters", "max_multiply_adds")  # of the config, in the order of a cost's entries


def depends_on(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Fields of other sections that a selection depends on where the config sets a budget."""
    if not any(config.selection[name] for name in FIELDS):
        return {}
    names = ["channels", "cells"]
    if config.training.stem != "plain":  # recorded by programs that know no other
        names.append("stem")
    return {f"training.{name}": config.training[name] for name in names}


def of_search(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Fields of other sections that a search depends on: those of the budget, where it decides within it."""
    network = depends_on(config)
    if config.search.method not in DECIDING or not network:
        return {}
    return {f"selection.{name}": config.selection[name] for name in FIELDS} | network
