"""Regulariser of FairDARTS: it drives sigmoids to 0 and 1 (Chu et al., ECCV 2020, equation 5)."""

from collections.abc import Mapping

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import REGULARISER, SearchPart, linear


class ZeroOne(SearchPart):
    """Factor times -mean (sigmoid(alpha) - 1/2)^2, over the operations that alpha still moves."""

    kind = REGULARISER
    needs = "sigmoid", "it drives sigmoids to 0 and 1, and mixing weights are none"

    def penalty(
        self, architecture: Architecture, alphas: Mapping[str, tf.Variable], now: Now
    ) -> tf.Tensor | None:
        zero_one = self.config.zero_one
        factor = linear(zero_one.factor_start, zero_one.factor_end, now)
        total, number = 0.0, 0.0
        for t, alpha in alphas.items():
            free = tf.cast(architecture.free(t), alpha.dtype)
            total += tf.reduce_sum(free * (tf.sigmoid(alpha) - 0.5) ** 2)
            number += tf.reduce_sum(free)
        return -factor * total / tf.maximum(number, 1.0)
