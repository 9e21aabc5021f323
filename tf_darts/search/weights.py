"""Mixing weights over the epochs of a search, from what it recorded."""

from collections.abc import Mapping, Sequence

import ml_collections
import numpy as np

from tf_darts.search.describe import recall
from tf_darts.search.methods import METHODS
from tf_darts.selection import perturbation
from tf_darts.spaces import Space


def of_epochs(
    config: ml_collections.ConfigDict,
    space: Space,
    epochs: Sequence[Mapping[str, float]],
    decisions: Sequence[Mapping],
) -> dict[int, dict[str, np.ndarray]]:
    """The mixing weights after every epoch, with what a progressive method had decided by then.

    Args:
      config: of the search.
      space: its space.
      epochs: rows of metrics.jsonl of finished epochs.
      decisions: rows of the search's own decisions.jsonl.

    Returns:
      By the epoch's number, from 1, for each cell type float [edges, operations or more]; epochs whose row
      lacks alpha are left out.
    """
    if not epochs:
        return {}
    architecture = METHODS.load(config.search.method)(config, space).architecture()
    left, found = list(decisions), {}
    for row in epochs:
        # An epoch's row is written before its decisions are made.
        while left and left[0]["epoch"] < row["finished_epoch"]:
            perturbation.apply(architecture, left.pop(0))
        try:
            recall(architecture, row)
        except KeyError:
            continue
        weights = architecture.mixing_weights()
        found[row["finished_epoch"] + 1] = {t: w.numpy() for t, w in weights.items()}
    return found
