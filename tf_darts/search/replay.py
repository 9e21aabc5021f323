"""alpha and mixing weights over the epochs of a search, from what it recorded."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import ml_collections
import numpy as np

from tf_darts.models import decision_state
from tf_darts.models.architecture import Architecture
from tf_darts.registry import METHODS
from tf_darts.search.alpha_summary import recall
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import Decision, OperationDecision, TopologyDecision

Row = Mapping[str, float]


def replayed(
    config: ml_collections.ConfigDict,
    space: Space,
    epochs: Sequence[Row],
    decisions: Sequence[Decision],
    read: Callable[[Architecture, Row], None] = recall,
) -> Iterator[tuple[Row, Architecture]]:
    """Yield the architecture as it was after every epoch, with what a progressive method had decided by then.

    Args:
      config: of the search.
      space: its space.
      epochs: rows of metrics.jsonl of finished epochs.
      decisions: the search's own.
      read: sets alpha to what an epoch's row says.

    Yields:
      Each row, and the same architecture at that time.
    """
    architecture = METHODS.load(config.search.method)(config, space).architecture()
    left = [d for d in decisions if isinstance(d, OperationDecision | TopologyDecision)]
    for row in epochs:
        # An epoch's row is written before its decisions are made.
        while left and left[0].epoch < row["finished_epoch"]:
            decision_state.apply(architecture, left.pop(0))
        read(architecture, row)
        yield row, architecture


def of_epochs(
    config: ml_collections.ConfigDict, space: Space, epochs: Sequence[Row], decisions: Sequence[Decision]
) -> dict[int, dict[str, np.ndarray]]:
    """Return the mixing weights after every epoch.

    Args:
      config: of the search.
      space: its space.
      epochs: rows of metrics.jsonl of finished epochs; those without alpha are left out.
      decisions: the search's own.

    Returns:
      By the epoch's number, from 1, for each cell type float [edges, operations or more].
    """
    with_alpha = [row for row in epochs if any(name.startswith("alpha/") for name in row)]
    return {
        int(row["finished_epoch"]) + 1: architecture.current_weights()
        for row, architecture in replayed(config, space, with_alpha, decisions)
    }
