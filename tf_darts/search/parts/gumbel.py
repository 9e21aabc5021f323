"""Sampler of GDAS: every step trains one sampled architecture (Dong and Yang, CVPR 2019; section `gdas`).

An edge's operation is the largest of alpha plus Gumbel noise; the forward pass has weight exactly 1 on it
and 0 on the others, and gradients reach alpha through the softmax at temperature tau (equations 3 to 5).
tau falls linearly over the search.
"""

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.runtime import draws
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import SAMPLER, Rows, SearchPart, linear


class Gumbel(SearchPart):
    """One-hot rows, drawn for each half of a step anew."""

    kind = SAMPLER

    def sample(self, architecture: Architecture, now: Now, half: str) -> Rows | None:
        return {
            t: straight_through(architecture, t, now.draw_seed(f"gdas/{half}/{t}"), self.temperature(now))
            for t in architecture.alpha
        }

    def temperature(self, now: Now) -> tf.Tensor:
        """Return the temperature tau of a step."""
        gdas = self.config.gdas
        return linear(gdas.temperature_start, gdas.temperature_end, now)


def noisy_logits(architecture: Architecture, cell_type: str, seed: tf.Tensor) -> tf.Tensor:
    """Return logarithms of the probabilities plus Gumbel noise: float [edges, operations].

    The largest open one of an edge is a sample of its distribution.
    """
    logits = tf.math.log(tf.maximum(architecture.probabilities()[cell_type], 1e-30))
    uniform = draws.uniform(logits.shape, seed, 1e-20, 1.0)
    return logits - tf.math.log(-tf.math.log(uniform))


def straight_through(
    architecture: Architecture, cell_type: str, seed: tf.Tensor, temperature: tf.Tensor
) -> tf.Tensor:
    """Return one-hot rows with the gradient of the softmax: float [edges, operations]."""
    mask = architecture.open_operations[cell_type].read_value()
    noisy = noisy_logits(architecture, cell_type, seed) / temperature
    soft = tf.nn.softmax(tf.where(mask, noisy, -1e9))
    hard = tf.one_hot(tf.argmax(soft, -1), soft.shape[-1], dtype=soft.dtype)
    # Not (hard - soft) + soft, which rounding takes off 0 and 1.
    return hard + (soft - tf.stop_gradient(soft))
