"""What a search method is."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import tensorflow as tf

from tf_darts.data.image_data import ImageData
from tf_darts.models.architecture import Architecture, Normalise, softmax
from tf_darts.models.budget import Budget
from tf_darts.optim.losses import Batch
from tf_darts.runtime.seeds import draw_seed
from tf_darts.search.bilevel import Bilevel, Evaluated
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import Decision

WEIGHT_METRICS = ("train_loss", "train_accuracy", "gradient_norm")
ALPHA_METRICS = ("valid_loss", "valid_accuracy")


@dataclasses.dataclass(frozen=True)
class Now:
    """Where a step is: what it needs to know besides its batches.

    Attributes:
      number: of the step in its stage, int32 scalar.
      progress: share of the search's epochs that are over, a scalar; 1 in the selection's fine-tuning.
      learning_rate: of the weights, a scalar.
      train_total: images in the global training batch.
      valid_total: images in the global validation batch.
      trains_alpha: whether the method may train alpha yet (`search.alpha_warmup_epochs`).
      seed: of what the method draws in this stage.
    """

    number: tf.Tensor
    progress: tf.Tensor
    learning_rate: tf.Tensor
    train_total: int
    valid_total: int
    trains_alpha: bool
    seed: int

    def draw_seed(self, purpose: str) -> tf.Tensor:
        """Return the seed of a stateless draw of this step, the same on every replica: int32 [2]."""
        return draw_seed(self.seed, purpose, self.number)


class Method:
    """A search method; the loops of search and fine-tuning call it by name.

    A method changes as much of this as it needs to: the whole `step`, or one of its two halves.

    Args:
      config: the whole config, valid.
      space: the search space.

    Attributes:
      metrics: names of what a step measures of the training batch.
      alpha_metrics: and of the validation batch, where it trains alpha; empty: it never does.
      alpha_scale: name of the config's field for the standard deviation of alpha's start.
      normalise: makes probabilities of alpha.
      weighs_edges: whether edges have alpha of their own (`Architecture.weighs_edges`).
      partial_channels: as `Supernet.partial_channels`.
      whole_passes: whether training batches are passes over the training half, not fresh draws.
      alpha_passes: batches that a step of alpha passes forward and backward (`report.spent`).
      weight_passes: the same of a step of the weights.
      budget: what a selected network has to keep to; None: no budget. The set-up sets it before `check`.
    """

    metrics: tuple[str, ...] = WEIGHT_METRICS
    alpha_metrics: tuple[str, ...] = ALPHA_METRICS
    alpha_scale = "alpha_scale"
    normalise: Normalise = staticmethod(softmax)
    weighs_edges = False
    partial_channels = 1
    whole_passes = False
    alpha_passes: float = 1
    weight_passes: float = 1
    budget: Budget | None = None

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        self.config, self.space = config, space

    @property
    def epochs(self) -> int:
        """Epochs that are searched, of the `search.epochs` that schedules are made for."""
        return self.config.search.stop_after or self.config.search.epochs

    def step(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> dict[str, tf.Tensor]:
        """Do a step of alpha, then a step of the weights with the new alpha (DARTS, algorithm 1).

        Called in replica context.

        Returns:
          This replica's share of every metric.
        """
        values = {}
        if self.alpha_metrics and now.trains_alpha:
            evaluated = self.fit_alpha(bilevel, train, valid, now)
            values = _shares("valid", evaluated, now.valid_total)
            # The training batch waits for the new alpha: what does not depend on alpha would otherwise be
            # computed ahead, and be held in memory meanwhile.
            with tf.control_dependencies([alpha.read_value() for alpha in bilevel.alphas.values()]):
                train = tf.identity(train[0]), train[1]
        evaluated, norm = self.fit_weights(bilevel, train, now)
        replicas = float(tf.distribute.get_replica_context().num_replicas_in_sync)
        values |= _shares("train", evaluated, now.train_total)
        # The norm is the same on every replica, and metrics are summed over them.
        return values | {"gradient_norm": norm / replicas}

    def fit_alpha(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> Evaluated:
        """Do one update of alpha."""
        return bilevel.alpha_step(valid, now.valid_total)

    def fit_weights(self, bilevel: Bilevel, train: Batch, now: Now) -> tuple[Evaluated, tf.Tensor]:
        """Do one update of the weights; also return the gradients' global norm before clipping."""
        return bilevel.weight_step(train, now.train_total, now.learning_rate)

    def architecture(self, seed: int = 0) -> Architecture:
        """Return a new architecture as the method searches it.

        Args:
          seed: of alpha's start.
        """
        scale = self.config.search[self.alpha_scale]
        return Architecture(self.space, scale, seed, self.normalise, self.weighs_edges)

    def batch_size(self, epoch: int) -> int:
        """Return the global batch of both halves in an epoch of the search, from 0."""
        return self.config.search.batch_size

    def check(self, data: ImageData | None = None) -> None:
        """Check, before any work, that the config suits the method and the space.

        Args:
          data: the data, where they are loaded by then.

        Raises:
          UserError: it does not.
        """

    def decide(self, setup: Any, epoch: int, epochs: list[dict]) -> Sequence[Decision | Mapping[str, Any]]:
        """Decide edges at the end of an epoch of the search (progressive methods).

        Args:
          setup: supernet and data (`search.setup.SearchSetup`).
          epoch: the epoch, from 0.
          epochs: rows of metrics.jsonl of all finished epochs, this one last.

        Returns:
          The decisions, or rows of decisions.jsonl; the architecture's masks hold them.
        """
        return []


def _shares(half: str, evaluated: Evaluated, total: int) -> dict[str, tf.Tensor]:
    accuracy = tf.cast(evaluated.correct, evaluated.loss.dtype) / total
    return {f"{half}_loss": evaluated.loss, f"{half}_accuracy": accuracy}
