"""Sampler of FairDARTS: every operation's weight is a sigmoid of its own (Chu et al., ECCV 2020, equation 3).

Operations do not compete: a row need not sum to 1. Nothing is drawn. A decided edge has weight 1.
"""

import tensorflow as tf

from tf_darts.search.parts.search_part import SAMPLER, SearchPart


def sigmoids(alpha: tf.Tensor, open_operations: tf.Tensor) -> tf.Tensor:
    """Return the sigmoid of each open operation, 0 of others; exactly 1 for one that is alone."""
    is_open = tf.cast(open_operations, alpha.dtype)
    alone = tf.reduce_sum(is_open, -1, keepdims=True) == 1.0
    return tf.where(alone, is_open, is_open * tf.sigmoid(alpha))


class Sigmoid(SearchPart):
    """Mixing weights that are sigmoids of alpha."""

    kind = SAMPLER
    normalise = staticmethod(sigmoids)
