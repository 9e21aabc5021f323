"""The loss of a network, drop path, and one training step."""

import ml_collections
import tensorflow as tf

from tf_darts.models.network import Network
from tf_darts.optim.losses import Batch, count_correct
from tf_darts.optim.optimizers import SGD, sum_over_replicas
from tf_darts.runtime import draws


def network_loss(
    logits: tf.Tensor,
    auxiliary_logits: tf.Tensor | None,
    labels: tf.Tensor,
    total: int,
    auxiliary_weight: float,
    label_smoothing: float = 0.0,
) -> tf.Tensor:
    """Return this replica's share of: mean cross-entropy + auxiliary_weight * the auxiliary head's.

    Args:
      logits: float [B, classes].
      auxiliary_logits: float [B, classes] or None.
      labels: int32 [B].
      total: images in the global batch, by which sums are divided.
      auxiliary_weight: weight of the auxiliary loss.
      label_smoothing: share of the target spread evenly over all classes, in both losses.

    Returns:
      A scalar.
    """
    classes = logits.shape[-1]
    targets = (
        tf.one_hot(labels, classes, dtype=logits.dtype) * (1.0 - label_smoothing) + label_smoothing / classes
    )
    loss = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    if auxiliary_logits is not None:
        loss += auxiliary_weight * tf.nn.softmax_cross_entropy_with_logits(targets, auxiliary_logits)
    return tf.reduce_sum(loss) / float(total)


def drop_path_factors(
    seed: tf.Tensor, probability: tf.Tensor, edges: int, total: int, share: int, offset: tf.Tensor
) -> tf.Tensor:
    """Drop path: per edge and image 0 with the given probability p, else 1/(1-p).

    Drawn for the global batch, so that the draw does not depend on the number of replicas.

    Args:
      seed: int32 [2].
      probability: p, a scalar in [0, 1).
      edges: number of edges.
      total: images in the global batch.
      share: images of this replica.
      offset: its first image, int32 scalar.

    Returns:
      Float [edges, share, 1, 1, 1].
    """
    uniform = draws.uniform([edges, total], seed)
    keep = tf.cast(uniform >= probability, uniform.dtype) / (1.0 - probability)
    return tf.slice(keep, [0, offset], [edges, share])[:, :, None, None, None]


def training_step(
    network: Network,
    optimizer: SGD,
    training: ml_collections.ConfigDict,
    batch: Batch,
    total: int,
    learning_rate: tf.Tensor,
    keep: tf.Tensor | None,
) -> dict[str, tf.Tensor]:
    """Do one update in replica context; return this replica's share of loss, accuracy, gradient norm."""
    images, labels = batch
    weights = [v.value for v in network.trainable_variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        logits, auxiliary_logits = network(images, keep, training=True)
        loss = network_loss(
            logits,
            auxiliary_logits,
            labels,
            total,
            training.auxiliary_weight,
            training.label_smoothing,
        )
    gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    norm = optimizer.apply(sum_over_replicas(gradients), learning_rate)
    return {
        "train_loss": loss,
        "train_accuracy": tf.cast(count_correct(logits, labels), loss.dtype) / float(total),
        "gradient_norm": norm / float(tf.distribute.get_replica_context().num_replicas_in_sync),
    }
