"""One global batch on one, two or four replicas."""

import numpy as np
import tensorflow as tf

SHARE, MOST = 2, 4
TOTAL = MOST * SHARE  # images of the global batch


def shared(number):
    images = tf.random.stateless_normal([SHARE, 8, 8, 1], [number, 0])
    return images, tf.random.stateless_uniform([SHARE], [number, 1], 0, 10, tf.int32)


def whole(number, replicas):
    """A replica's part of a batch whose quarters are equal."""
    images, labels = shared(number)
    parts = MOST // replicas
    return tf.tile(images, [parts, 1, 1, 1]), tf.tile(labels, [parts])


def on_first(strategy, values):
    return [np.asarray(strategy.experimental_local_results(v)[0]) for v in values]
