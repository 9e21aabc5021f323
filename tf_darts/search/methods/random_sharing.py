"""Random search with weight sharing: every step trains one random architecture (Li and Talwalkar, 2019).

There is no alpha; an architecture is then chosen by `selection.method=supernet_ranking`, which evaluates
random ones with the shared weights (their algorithm RSWS), or by perturbation.
"""

import numpy as np
import tensorflow as tf

from tf_darts.genotypes.derive import candidates_mask
from tf_darts.models.architecture import Architecture
from tf_darts.optim.losses import Batch
from tf_darts.runtime import draws
from tf_darts.search.bilevel import Bilevel, Evaluated
from tf_darts.search.methods.method import Method
from tf_darts.search.now import Now


class RandomSharing(Method):
    """Weights are fitted at the mixing weights of a random architecture, drawn for each step anew."""

    alpha_metrics = ()
    alpha_scale = "fixed_alpha_scale"

    def fit_weights(self, bilevel: Bilevel, train: Batch, now: Now) -> tuple[Evaluated, tf.Tensor]:
        architecture = bilevel.architecture
        rows = {t: draw(architecture, t, now.draw_seed(f"random_sharing/{t}")) for t in architecture.alpha}
        mixing = architecture.mixing_weights(rows)
        return bilevel.weight_step(train, now.train_total, now.learning_rate, lambda: mixing)


def draw(architecture: Architecture, cell_type: str, seed: tf.Tensor) -> tf.Tensor:
    """Draw an architecture of what is still open: as many input edges of a node as a genotype keeps.

    Returns:
      Float [edges, operations]; one-hot rows, zeros where an edge is left out.
    """
    space, is_open = architecture.space, architecture.open_operations[cell_type].read_value()
    may_hold = is_open & candidates_mask(space, cell_type)
    # An edge that was decided for `none` has nothing else.
    may_hold = tf.where(tf.reduce_any(may_hold, -1, keepdims=True), may_hold, is_open)
    edges, operations = may_hold.shape
    keys = draws.uniform([edges, operations + 1], seed)
    rows = tf.one_hot(tf.argmax(tf.where(may_hold, keys[:, :-1], -1.0), -1), operations, dtype=keys.dtype)
    if space.kept_edges is None:
        return rows
    # Of the edges into a node, those of the largest keys.
    key = tf.where(architecture.open_edges[cell_type].read_value(), keys[:, -1], -1.0)
    targets = np.array([edge.target for edge in space.edges])
    larger = (targets[:, None] == targets) & (key[None, :] > key[:, None])
    kept = tf.reduce_sum(tf.cast(larger, tf.int32), -1) < space.kept_edges
    return tf.where(kept[:, None], rows, 0.0)
