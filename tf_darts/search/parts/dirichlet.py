"""Sampler of DrNAS: rows drawn from a Dirichlet distribution that alpha shapes (Chen et al., ICLR 2021).

An edge's concentration is elu(alpha) + 1 (section 3.2); alpha gets the pathwise gradient of the draw. What
alpha says of an operation is its mean weight, concentration over sum.
"""

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.runtime import draws
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import SAMPLER, Rows, SearchPart


def concentration(alpha: tf.Tensor, open_operations: tf.Tensor) -> tf.Tensor:
    """Return elu(alpha) + 1 of each operation, float [edges, operations]; 0 where not open."""
    # Not tf.nn.elu, which is exactly -1 from alpha = -17 on: a row of zeros has no mean.
    positive = tf.where(alpha > 0.0, alpha + 1.0, tf.exp(tf.clip_by_value(alpha, -20.0, 0.0)))
    return tf.where(open_operations, positive, 0.0)


def mean(alpha: tf.Tensor, open_operations: tf.Tensor) -> tf.Tensor:
    """Return the mean of each edge's Dirichlet distribution: rows that sum to 1."""
    shape = concentration(alpha, open_operations)
    return shape / tf.reduce_sum(shape, -1, keepdims=True)


def draw(alpha: tf.Tensor, open_operations: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw a row from each edge's Dirichlet distribution, differentiable in alpha."""
    shape = tf.where(open_operations, concentration(alpha, open_operations), 1.0)
    gamma = draws.gamma(shape, seed)
    gamma = tf.where(open_operations, tf.maximum(gamma, 1e-20), 0.0)
    return gamma / tf.reduce_sum(gamma, -1, keepdims=True)


class Dirichlet(SearchPart):
    """Draws in both halves of a step; a decided edge's row is one-hot."""

    kind = SAMPLER
    normalise = staticmethod(mean)

    def sample(self, architecture: Architecture, now: Now, half: str) -> Rows | None:
        return {
            t: draw(alpha, architecture.open_operations[t].read_value(), now.draw_seed(f"drnas/{half}/{t}"))
            for t, alpha in architecture.alpha.items()
        }
