"""alpha and mixing weights over the epochs of a search, from what it recorded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from tf_darts.models import decision_state
from tf_darts.models.architecture import Architecture
from tf_darts.registry import METHODS
from tf_darts.search.alpha_summary import recall
from tf_darts.search.progressive import keep_largest
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import Decision, OperationDecision, TopologyDecision

Row = Mapping[str, Any]


def replayed(
    config: ml_collections.ConfigDict,
    space: Space,
    epochs: Sequence[Row],
    decisions: Sequence[Decision],
    read: Callable[[Architecture, Row], None] = recall,
    *,
    own_decisions: bool = False,
) -> Iterator[tuple[Row, Architecture]]:
    """Yield the architecture as it was after every epoch, with what the search had decided by then.

    In a search of several stages it has the operations that were left in the stage.

    Args:
      config: of the search.
      space: its space.
      epochs: rows of finished epochs (`workdir.search_stages.rows`), from the first on.
      decisions: the search's own.
      read: sets alpha to what an epoch's row says.
      own_decisions: whether those made right after an epoch count in it, as a selection then sees them.

    Yields:
      Each row, and the same architecture at that time.
    """
    method = METHODS.load(config.search.method)(config, space)
    architecture, stages, stage = method.architecture(), [*method.earlier(), method], 1
    left = [d for d in decisions if isinstance(d, OperationDecision | TopologyDecision)]
    for row in epochs:
        while stage < row.get("stage", stage):
            keep_largest(architecture, architecture, stages[stage].operations)
            stage += 1
        # An epoch's row is written before its decisions are made.
        while left and left[0].epoch < row["finished_epoch"] + own_decisions:
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
      epochs: as of `replayed`; those without alpha are left out.
      decisions: the search's own.

    Returns:
      By the epoch's number, from 1, for each cell type float [edges, operations or more].
    """
    with_alpha = [row for row in epochs if any(name.startswith("alpha/") for name in row)]
    return {
        int(row["finished_epoch"]) + 1: architecture.current_weights()
        for row, architecture in replayed(config, space, with_alpha, decisions)
    }
