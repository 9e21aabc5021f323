"""DrNAS: mixing weights are drawn from a Dirichlet distribution that alpha shapes (Chen et al., ICLR 2021).

An edge's concentration is elu(alpha) + 1 (section 3.2); both steps draw mixing weights from it, and alpha
gets the pathwise gradient of the draw, plus that of the distance to the uniform Dirichlet distribution
(equation 5). What alpha says of an operation is its mean weight, concentration over sum. The paper's
progressive scheme is not here.
"""

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.optim.losses import Batch
from tf_darts.optim.optimizers import sum_over_replicas
from tf_darts.runtime import draws
from tf_darts.search.bilevel import Bilevel, Evaluated
from tf_darts.search.methods.method import Method
from tf_darts.search.now import Now


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


def draw_all(architecture: Architecture, now: Now, purpose: str) -> dict[str, tf.Tensor]:
    """Draw the rows of every cell type; a decided edge's are one-hot."""
    return {
        t: draw(alpha, architecture.open_operations[t].read_value(), now.draw_seed(f"{purpose}/{t}"))
        for t, alpha in architecture.alpha.items()
    }


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


class DrNAS(Method):
    """Dirichlet draws in both steps."""

    normalise = staticmethod(mean)

    def fit_alpha(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> Evaluated:
        architecture = bilevel.architecture
        evaluated = bilevel.alpha_gradients(
            valid, now.valid_total, lambda: self.mix(architecture, now, "drnas/valid")
        )
        gradients = sum_over_replicas(evaluated.gradients)
        pull = self._regularization_gradients(bilevel)
        bilevel.alpha_optimizer.apply([g + p for g, p in zip(gradients, pull, strict=True)])
        return evaluated

    def fit_weights(self, bilevel: Bilevel, train: Batch, now: Now) -> tuple[Evaluated, tf.Tensor]:
        mixing = self.mix(bilevel.architecture, now, "drnas/train")
        return bilevel.weight_step(train, now.train_total, now.learning_rate, lambda: mixing)

    @staticmethod
    def mix(architecture: Architecture, now: Now, purpose: str) -> dict[str, tf.Tensor]:
        """Draw the mixing weights of this step; a decided edge's are one-hot."""
        return architecture.mixing_weights(draw_all(architecture, now, purpose))

    def _regularization_gradients(self, bilevel: Bilevel) -> list[tf.Tensor]:
        alphas, masks = bilevel.alphas, bilevel.architecture.open_operations
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(alphas.values()))
            terms = [distance(alpha, masks[t].read_value()) for t, alpha in alphas.items()]
            value = self.config.drnas.regularization * tf.add_n(terms)
        return tape.gradient(value, list(alphas.values()))
