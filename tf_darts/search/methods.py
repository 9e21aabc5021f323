"""Search methods: what one step of the search does with its two batches.

A method is one function and one entry in `METHODS`; the loops of search and fine-tuning call it by name.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_darts.objective import Batch
from tf_darts.search.bilevel import Bilevel


@dataclasses.dataclass(frozen=True)
class Method:
    """A search method.

    Attributes:
      step: (bilevel, training batch, validation batch, learning rate, images in the global training
        batch, images in the global validation batch) -> this replica's share of each metric.
      metrics: names of the metrics that `step` gives.
      alpha_scale: name of the config's field for the standard deviation of alpha's start.
    """

    step: Callable[[Bilevel, Batch, Batch, tf.Tensor, int, int], dict[str, tf.Tensor]]
    metrics: tuple[str, ...]
    alpha_scale: str = "alpha_scale"


def _weights(bilevel: Bilevel, batch: Batch, learning_rate: tf.Tensor, total: int) -> dict[str, tf.Tensor]:
    evaluated, norm = bilevel.weight_step(batch, total, learning_rate)
    replicas = float(tf.distribute.get_replica_context().num_replicas_in_sync)
    return {
        "train_loss": evaluated.loss,
        "train_accuracy": tf.cast(evaluated.correct, tf.float32) / total,
        "gradient_norm": norm / replicas,  # the same on every replica, and metrics are summed over them
    }


def darts(bilevel, train, valid, learning_rate, train_total, valid_total):
    """DARTS, first order: a step of alpha, then a step of the weights with the new alpha."""
    evaluated = bilevel.alpha_step(valid, valid_total)
    # The training batch waits for the new alpha: what does not depend on alpha would otherwise be computed
    # ahead, and be held in memory meanwhile.
    with tf.control_dependencies([alpha.read_value() for alpha in bilevel.alphas.values()]):
        train = tf.identity(train[0]), train[1]
    return {
        **_weights(bilevel, train, learning_rate, train_total),
        "valid_loss": evaluated.loss,
        "valid_accuracy": tf.cast(evaluated.correct, tf.float32) / valid_total,
    }


def fixed_alpha(bilevel, train, valid, learning_rate, train_total, valid_total):
    """Alpha stays as it started (paper, section 6.1: "fix alpha"); only the weights are trained."""
    return _weights(bilevel, train, learning_rate, train_total)


_WEIGHT_METRICS = ("train_loss", "train_accuracy", "gradient_norm")

METHODS: dict[str, Method] = {
    "darts": Method(darts, (*_WEIGHT_METRICS, "valid_loss", "valid_accuracy")),
    "fixed_alpha": Method(fixed_alpha, _WEIGHT_METRICS, alpha_scale="fixed_alpha_scale"),
}
