"""What is minimised and what is counted: a batch, its cross-entropy, and its correct images."""

import tensorflow as tf

Batch = tuple[tf.Tensor, tf.Tensor]  # images float [B, H, W, C], labels int32 [B]


def loss_and_correct(
    logits: tf.Tensor, labels: tf.Tensor, total: int, label_smoothing: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a replica's share of the mean cross-entropy, and its number of correct images.

    Args:
      logits: float [B, classes].
      labels: int32 [B].
      total: images in the global batch.
      label_smoothing: share of the target that is spread evenly over all classes.

    Returns:
      Sum of the cross-entropies divided by `total`, correct images (int32).
    """
    losses, hits = losses_and_hits(logits, labels)
    if label_smoothing:  # the cross-entropy is linear in the target
        evenly = -tf.reduce_mean(tf.nn.log_softmax(logits), -1)
        losses = (1.0 - label_smoothing) * losses + label_smoothing * evenly
    return tf.reduce_sum(losses) / float(total), tf.reduce_sum(tf.cast(hits, tf.int32))


def count_correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Count the images whose largest logit is that of their label, int32."""
    return tf.reduce_sum(tf.cast(_hits(logits, labels), tf.int32))


def count_in_top(logits: tf.Tensor, labels: tf.Tensor, most: int) -> tf.Tensor:
    """Count the images whose label is among the `most` largest logits (ties in the label's favour), int32."""
    of_label = tf.gather(logits, tf.cast(labels, tf.int32), batch_dims=1)[:, None]
    larger = tf.reduce_sum(tf.cast(logits > of_label, tf.int32), -1)
    return tf.reduce_sum(tf.cast(larger < most, tf.int32))


def losses_and_hits(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return each image's cross-entropy, float [B], and whether its label's logit is largest, bool [B]."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return losses, _hits(logits, labels)


def _hits(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.argmax(logits, -1, output_type=tf.int32) == tf.cast(labels, tf.int32)
