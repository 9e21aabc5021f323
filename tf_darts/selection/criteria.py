"""What an operation or an edge is judged by: from the score of a probe to an importance."""

from tf_darts.models.evaluator import Score


def accuracy(score: Score) -> float:
    """How much a removal hurt, by the correct images without it (paper, section 5); counts are exact."""
    return -score.correct


def loss(score: Score) -> float:
    """How much a removal hurt, by the mean cross-entropy without it."""
    return score.loss
