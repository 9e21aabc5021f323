"""Regulariser of beta-DARTS: it decays the mixing weights instead of alpha (Ye et al., CVPR 2022).

The term is the mean over edges of logsumexp(alpha of the edge), whose gradient in alpha is the softmax over
the number of edges: what is largest is pulled down most, whatever alpha's scale is.
"""

from collections.abc import Mapping

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import REGULARISER, SearchPart, linear


class BetaDecay(SearchPart):
    """Factor times the mean of logsumexp over the edges, of all cell types, that alpha still moves."""

    kind = REGULARISER

    def penalty(
        self, architecture: Architecture, alphas: Mapping[str, tf.Variable], now: Now
    ) -> tf.Tensor | None:
        beta_decay = self.config.beta_decay
        factor = linear(beta_decay.factor_start, beta_decay.factor_end, now)
        total, edges = 0.0, 0.0
        for t, alpha in alphas.items():
            free = architecture.free(t)
            is_free = tf.cast(tf.reduce_any(free, -1), alpha.dtype)
            total += tf.reduce_sum(is_free * tf.reduce_logsumexp(tf.where(free, alpha, -1e9), -1))
            edges += tf.reduce_sum(is_free)
        return factor * total / tf.maximum(edges, 1.0)
