"""Regulariser: half the squared length of alpha, an L2 coefficient that may change over the search."""

from collections.abc import Mapping

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import REGULARISER, SearchPart, linear


class AlphaL2(SearchPart):
    """With a constant factor it is `search.alpha_weight_decay`, for edges that alpha still moves."""

    kind = REGULARISER

    def penalty(
        self, architecture: Architecture, alphas: Mapping[str, tf.Variable], now: Now
    ) -> tf.Tensor | None:
        alpha_l2 = self.config.alpha_l2
        factor = linear(alpha_l2.factor_start, alpha_l2.factor_end, now)
        squares = [tf.where(architecture.free(t), alpha, 0.0) ** 2 for t, alpha in alphas.items()]
        return factor / 2.0 * tf.add_n([tf.reduce_sum(square) for square in squares])
