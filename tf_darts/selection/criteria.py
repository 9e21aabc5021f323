"""What an operation or an edge is judged by: from the score of a probe to an importance."""

from typing import TYPE_CHECKING

from tf_darts.models.evaluator import Score
from tf_darts.registry import CRITERIA, MAGNITUDE
from tf_darts.runtime import moved
from tf_darts.selection.criterion import Criterion


def accuracy(score: Score) -> float:
    """Return how much a removal hurt, by the correct images without it (paper, section 5)."""
    return -score.correct


def measured(name: str) -> Criterion | None:
    """Return the criterion of this name if it looks at more than the score of a probe; None: it does not."""
    entry = None if name == MAGNITUDE else CRITERIA.load(name)
    return entry() if isinstance(entry, type) and issubclass(entry, Criterion) else None


def loss(score: Score) -> float:
    """Return how much a removal hurt, by the mean cross-entropy without it."""
    return score.loss


if not TYPE_CHECKING:  # a type checker need not accept names of version 1.0
    __getattr__ = moved.names_of(__name__)
