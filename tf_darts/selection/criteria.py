"""What an operation or an edge is judged by. A new criterion of probes is one function and one entry."""

from typing import Protocol

from tf_darts.registry import Registry


class Score(Protocol):
    """What a probe measured (`tf_darts.evaluation.Score`): correct images, images seen, mean loss."""

    correct: int
    images: int
    loss: float


def accuracy(score: Score) -> float:
    """How much a removal hurt, by the correct images without it (paper, section 5); counts are exact."""
    return -score.correct


def loss(score: Score) -> float:
    """How much a removal hurt, by the mean cross-entropy without it."""
    return score.loss


# Judges by the size of the mixing weight; nothing is probed. With it perturbation-based selection becomes
# the paper's DARTS+PT-Mag: the same events and fine-tuning, decided by magnitude (section 6.2).
MAGNITUDE = "magnitude"

# Importance by name: from the score of a probe without something to how much that hurt, larger is more.
CRITERIA = Registry("selection.criterion", {"accuracy": accuracy, "loss": loss, MAGNITUDE: None})

RACEABLE = ("accuracy", "loss")  # what has a paired test, image by image
