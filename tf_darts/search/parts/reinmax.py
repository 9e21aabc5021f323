"""Sampler of ReinMax: one operation an edge, with a gradient of second order (Liu et al., NeurIPS 2023).

With p the probabilities and D the sampled one-hot row, the gradient is that of

    2 softmax at (D + p at the temperature) / 2  -  p / 2

instead of p: by Heun's rule for the differences of the loss between operations, where the plain
straight-through estimator has Euler's. At temperature 1 its mean is exact for a loss that is quadratic in D.
"""

import tensorflow as tf

from tf_darts.models.architecture import Architecture, softmax
from tf_darts.search.now import Now
from tf_darts.search.parts.gumbel import noisy_logits
from tf_darts.search.parts.search_part import SAMPLER, Rows, SearchPart, linear


class ReinMax(SearchPart):
    """Rows with weight exactly 1 on a sampled operation, drawn for each half of a step anew."""

    kind = SAMPLER

    def sample(self, architecture: Architecture, now: Now, half: str) -> Rows | None:
        reinmax, rows = self.config.reinmax, {}
        temperature = linear(reinmax.temperature_start, reinmax.temperature_end, now)
        for t, alpha in architecture.alpha.items():
            mask = architecture.open_operations[t].read_value()
            noisy = noisy_logits(architecture, t, now.draw_seed(f"reinmax/{half}/{t}"))
            hard = tf.one_hot(tf.argmax(tf.where(mask, noisy, -1e9), -1), noisy.shape[-1], dtype=noisy.dtype)
            rows[t] = straight_through(tf.convert_to_tensor(alpha), mask, hard, temperature)
        return rows


def straight_through(alpha: tf.Tensor, mask: tf.Tensor, hard: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    """Return the sampled rows with ReinMax's gradient in alpha: float [edges, operations].

    Args:
      alpha: float [edges, operations].
      mask: bool, which operations are open.
      hard: the sampled rows, one-hot.
      temperature: of the probabilities between which and the sample the second gradient is taken.
    """
    middle = (hard + softmax(alpha / temperature, mask)) / 2.0
    away = tf.stop_gradient(tf.math.log(tf.maximum(middle, 1e-30)) - alpha)
    second = 2.0 * softmax(alpha + away, mask) - softmax(alpha, mask) / 2.0
    return hard + (second - tf.stop_gradient(second))
