"""GDAS: every step trains one sampled architecture (Dong and Yang, CVPR 2019).

An edge's operation is the largest of alpha plus Gumbel noise; the forward pass has weight exactly 1 on it
and 0 on the others, and gradients reach alpha through the softmax at temperature tau (equations 3 to 5).
tau falls linearly over the search.
"""

import ml_collections
import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.optim.losses import Batch
from tf_darts.runtime import draws
from tf_darts.search.bilevel import Bilevel, Evaluated
from tf_darts.search.methods.method import Method
from tf_darts.search.now import Now


class Gdas(Method):
    """Hard Gumbel-softmax in both steps, drawn for each anew."""

    def fit_alpha(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> Evaluated:
        return bilevel.alpha_step(valid, now.valid_total, lambda: self.mix(bilevel, now, "gdas/valid"))

    def fit_weights(self, bilevel: Bilevel, train: Batch, now: Now) -> tuple[Evaluated, tf.Tensor]:
        return bilevel.weight_step(
            train, now.train_total, now.learning_rate, lambda: self.mix(bilevel, now, "gdas/train")
        )

    def temperature(self, now: Now) -> tf.Tensor:
        """Return the temperature tau of a step."""
        return temperature(self.config, now)

    def mix(self, bilevel: Bilevel, now: Now, purpose: str) -> dict[str, tf.Tensor]:
        """Draw the mixing weights of a sampled architecture."""
        architecture, temperature = bilevel.architecture, self.temperature(now)
        return architecture.mixing_weights(
            {
                t: straight_through(architecture, t, now.draw_seed(f"{purpose}/{t}"), temperature)
                for t in architecture.alpha
            }
        )


def temperature(config: ml_collections.ConfigDict, now: Now) -> tf.Tensor:
    """Return the temperature tau of a step."""
    gdas = config.gdas
    return gdas.temperature_start + (gdas.temperature_end - gdas.temperature_start) * now.progress


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
