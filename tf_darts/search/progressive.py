"""The stages of a progressive search before the last, each a search in a folder of its own."""

import pathlib
from collections.abc import Callable

import numpy as np

from tf_darts.models import widen
from tf_darts.models.architecture import Architecture
from tf_darts.search import loop
from tf_darts.search.methods.method import Method
from tf_darts.search.setup import SearchSetup
from tf_darts.workdir import search_stages


def prepare(
    setup: SearchSetup,
    folder: pathlib.Path,
    make: Callable[[Method], SearchSetup],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Search the stages before the last, and begin the last with what they found.

    Of a method that has none nothing is done. What a stage has done is continued, or taken as it is.

    Args:
      setup: of the last stage.
      folder: of the search; stages are in its folders stage_1, stage_2 and so on.
      make: makes the set-up of another stage.
      stop: as of `loop.run`.
    """
    before: SearchSetup | None = None
    for number, method in enumerate(setup.method.earlier(), 1):
        stage, own = make(method), search_stages.earlier(folder, number)
        own.mkdir(exist_ok=True)
        if before is not None:
            hand_over(before, stage)
        loop.run(stage, own, stop)
        before = stage
    if before is not None:
        hand_over(before, setup)


def hand_over(before: SearchSetup, after: SearchSetup) -> None:
    """Copy into a stage: weights widened, alpha, and of each edge the operations of largest mean weight.

    Alpha's optimizer goes on, and so do variables of parts, such as which operations are frozen. The weights'
    momentum begins anew.

    Args:
      before: the stage that is over.
      after: the one that begins.
    """
    widen.hand_over(before.bilevel.supernet, after.bilevel.supernet)
    old, new = before.bilevel.architecture, after.bilevel.architecture
    for cell_type, alpha in old.alpha.items():
        new.alpha[cell_type].assign(alpha)
        new.open_edges[cell_type].assign(old.open_edges[cell_type])
    keep_largest(old, new, after.method.operations)
    pairs = [(before.bilevel.alpha_optimizer, after.bilevel.alpha_optimizer)]
    states = after.method.part_states()
    pairs += [(state, states[name]) for name, state in before.method.part_states().items()]
    for earlier, later in pairs:
        for source, target in zip(earlier.variables, later.variables, strict=True):
            target.assign(source)


def keep_largest(of: Architecture, to: Architecture, count: int) -> None:
    """Leave open in an architecture the operations of each edge that have the largest mean weight in another.

    Args:
      of: the one that says their weights, and which are open.
      to: the one that is changed; it may be the same.
      count: how many stay, at most.
    """
    for cell_type, probabilities in of.probabilities().items():
        kept = largest(probabilities.numpy(), of.open_operations[cell_type].numpy(), count)
        to.open_operations[cell_type].assign(kept)


def largest(weights: np.ndarray, is_open: np.ndarray, count: int) -> np.ndarray:
    """Return which open operations of each edge have the largest weights, bool [edges, operations].

    Args:
      weights: float [edges, operations].
      is_open: bool [edges, operations].
      count: how many stay, at most; of equal ones the first.
    """
    kept = np.zeros_like(is_open)
    for edge, row in enumerate(np.where(is_open, weights, -np.inf)):
        best = np.argsort(-row, kind="stable")[:count]
        kept[edge, best] = is_open[edge, best]
    return kept
