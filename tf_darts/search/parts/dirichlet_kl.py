"""Regulariser of DrNAS: the distance to the uniform Dirichlet distribution (equation 5; section `drnas`)."""

from collections.abc import Mapping

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.search.now import Now
from tf_darts.search.parts.dirichlet import concentration
from tf_darts.search.parts.search_part import REGULARISER, SearchPart

_REASON = "it is the distance between Dirichlet distributions, and alpha shapes none"


def distance(alpha: tf.Tensor, open_operations: tf.Tensor) -> tf.Tensor:
    """Return KL(Dir(concentration) || Dir(1)), summed over edges: a scalar."""
    mask = tf.cast(open_operations, alpha.dtype)
    shape = tf.where(open_operations, concentration(alpha, open_operations), 1.0)
    total, number = tf.reduce_sum(mask * shape, -1), tf.reduce_sum(mask, -1)
    apart = tf.math.digamma(shape) - tf.math.digamma(total)[:, None]
    return tf.reduce_sum(
        tf.math.lgamma(total)
        - tf.math.lgamma(number)
        + tf.reduce_sum(mask * ((shape - 1.0) * apart - tf.math.lgamma(shape)), -1)
    )


class DirichletKL(SearchPart):
    """`drnas.regularization` times the distance, summed over edges and cell types."""

    kind = REGULARISER
    needs = "dirichlet", _REASON

    def penalty(
        self, architecture: Architecture, alphas: Mapping[str, tf.Variable], now: Now
    ) -> tf.Tensor | None:
        masks = architecture.open_operations
        terms = [distance(alpha, masks[t].read_value()) for t, alpha in alphas.items()]
        return self.config.drnas.regularization * tf.add_n(terms)
