"""The learning rate of each epoch of training a network."""

import keras
import ml_collections
import tensorflow as tf

from tf_darts.optim import schedules


def learning_rate(training: ml_collections.ConfigDict, epoch: tf.Tensor | int) -> tf.Tensor:
    """Return the learning rate of an epoch, a scalar.

    A factor that rises in equal steps over the first `warmup_epochs` and reaches 1 with the last of them,
    times the schedule: cosine and linear go from `learning_rate` to `learning_rate_min`, where the epoch
    after the last would be; exponential multiplies by `decay` after every epoch.

    Args:
      training: the config's `training`.
      epoch: number of the epoch, from 0.
    """
    first, last, epochs = training.learning_rate, training.learning_rate_min, training.epochs
    done = tf.cast(epoch, keras.config.floatx())
    if training.schedule == "cosine":
        rate = schedules.cosine(first, last, epoch, epochs)
    elif training.schedule == "linear":
        rate = first + (last - first) * done / float(epochs)
    else:
        rate = first * training.decay**done
    if training.warmup_epochs:
        rate *= tf.minimum(tf.constant(1.0, done.dtype), (done + 1.0) / float(training.warmup_epochs))
    return rate
