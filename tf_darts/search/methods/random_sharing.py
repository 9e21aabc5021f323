"""Random search with weight sharing: every step trains one random architecture (Li and Talwalkar, 2019).

There is no alpha; an architecture is then chosen by `selection.method=supernet_ranking`, which evaluates
random ones with the shared weights (their algorithm RSWS), or by perturbation.
"""

import tensorflow as tf

from tf_darts.objective import Batch
from tf_darts.search.bilevel import Bilevel, Evaluated
from tf_darts.search.methods.base import Method, Now


class RandomSharing(Method):
    """Uniform one-hot mixing weights in every step of the weights."""

    alpha_metrics = ()
    alpha_scale = "fixed_alpha_scale"

    def fit_weights(self, bilevel: Bilevel, train: Batch, now: Now) -> tuple[Evaluated, tf.Tensor]:
        architecture, rows = bilevel.architecture, {}
        for cell_type, mask in architecture.open_operations.items():
            seed = now.draw_seed(f"random_sharing/{cell_type}")
            keys = tf.random.stateless_uniform(mask.shape, seed, alg="philox")
            rows[cell_type] = tf.one_hot(tf.argmax(tf.where(mask, keys, -1.0), -1), mask.shape[-1])
        mixing = architecture.mixing_weights(rows)
        return bilevel.weight_step(train, now.train_total, now.learning_rate, lambda: mixing)
