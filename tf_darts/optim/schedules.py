"""Learning rates over the epochs."""

import keras
import tensorflow as tf


def cosine(first: float, last: float, epoch: tf.Tensor | int, epochs: int) -> tf.Tensor:
    """Return the learning rate last + (first - last) * (1 + cos(pi * epoch / epochs)) / 2; epoch from 0."""
    angle = 3.141592653589793 * tf.cast(epoch, keras.config.floatx()) / float(epochs)
    return last + (first - last) * (1.0 + tf.cos(angle)) / 2.0
