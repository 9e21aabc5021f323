"""What an operation or an edge is judged by: from the score of a probe to an importance."""

from typing import TYPE_CHECKING

from tf_darts.models.evaluator import Score
from tf_darts.runtime import moved


def accuracy(score: Score) -> float:
    """Return how much a removal hurt, by the correct images without it (paper, section 5)."""
    return -score.correct


def loss(score: Score) -> float:
    """Return how much a removal hurt, by the mean cross-entropy without it."""
    return score.loss


if not TYPE_CHECKING:  # a type checker need not accept names of version 1.0
    __getattr__ = moved.names_of(__name__)
