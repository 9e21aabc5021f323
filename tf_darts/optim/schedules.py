"""Learning rates over the epochs."""

import tensorflow as tf


def cosine(first: float, last: float, epoch: tf.Tensor | int, epochs: int) -> tf.Tensor:
    """Learning rate of an epoch (0-based): last + (first - last) * (1 + cos(pi * epoch / epochs)) / 2."""
    angle = 3.141592653589793 * tf.cast(epoch, tf.float32) / float(epochs)
    return last + (first - last) * (1.0 + tf.cos(angle)) / 2.0
