"""Batch normalisation, with PyTorch's running estimates."""

import contextlib
import contextvars
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_darts.layers.constants import constant
from tf_darts.layers.layer import Layer
from tf_darts.runtime.scoped import holding

BATCH_NORM_MOMENTUM = 0.9  # weight of the old running estimate; PyTorch calls its complement momentum


BATCH_NORM_EPSILON = 1e-5


# Whether batch norms that are made now take statistics over all replicas, and whether those that are traced
# now may not: see `synchronized_batch_norms` and `own_statistics`.
_SYNCHRONIZED: contextvars.ContextVar[bool] = contextvars.ContextVar("synchronized", default=False)


_OWN: contextvars.ContextVar[bool] = contextvars.ContextVar("own statistics", default=False)


def synchronized_batch_norms(wanted: bool = True) -> contextlib.AbstractContextManager[None]:
    """Let batch norms made in this block normalise, in training, by the statistics of the global batch.

    Args:
      wanted: False: by those of each replica's own images.
    """
    return holding(_SYNCHRONIZED, wanted)


_VECTORIZED: contextvars.ContextVar[bool] = contextvars.ContextVar("vectorized", default=False)


def vectorized() -> contextlib.AbstractContextManager[None]:
    """Let passes traced in this block be vectorised (`tf.vectorized_map`): each has its own statistics."""
    return holding(_VECTORIZED, True)


def _fused(x: tf.Tensor) -> Callable[..., Any]:
    """Return TensorFlow's operation for an input.

    For float32 it is the first version, which computes the same as the third: the tape makes gradients of
    zeros for four outputs of that, a fifth of a supernet's graph. Only the third can be vectorised.
    """
    first = x.dtype == tf.float32 and not _VECTORIZED.get()
    return tf.raw_ops.FusedBatchNorm if first else tf.raw_ops.FusedBatchNormV3


def own_statistics() -> contextlib.AbstractContextManager[None]:
    """Let every replica normalise, in passes traced in this block, by the statistics of its own batch."""
    return holding(_OWN, True)


class BatchNorm(Layer):
    """Batch normalisation over [B, H, W] per channel, fused, with PyTorch's running estimates.

    Keras's own layer is not used here: it keeps the biased variance (PyTorch the unbiased one) and
    computes moments in separate steps, three to four times slower on CPU.

    In training the batch's own mean and biased variance normalise, per replica or (if made in
    `synchronized_batch_norms`) over all replicas, and the running estimates move; otherwise the running
    estimates normalise.
    """

    def __init__(self, channels: int, affine: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels, self.affine = channels, affine
        self.synchronized = _SYNCHRONIZED.get()
        if affine:
            self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="ones")
            self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")
        else:
            self.gamma = self.beta = None
        self.moving_mean = self._running("moving_mean", np.zeros)
        self.moving_variance = self._running("moving_variance", np.ones)

    def _running(self, name: str, initializer: Callable[..., np.ndarray]) -> keras.Variable:
        # Each replica keeps its own estimate and reading from outside returns their mean: no
        # communication in a step.
        return keras.Variable(
            initializer,
            shape=(self.channels,),
            dtype=keras.config.floatx(),
            trainable=False,
            autocast=False,
            aggregation="mean",
            synchronization="on_read",
            name=name,
        )

    def call(self, x: tf.Tensor, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Normalise x [B, H, W, C]; statistics have the type of variables, whatever that of x.

        Args:
          x: [B, H, W, C].
          weight: float [C] that scale and offset are multiplied with, or None.
          training: whether the batch's statistics normalise, and move the running ones.
        """
        floats = self.moving_mean.dtype
        if self.affine:
            scale, offset = (tf.cast(v.value, floats) for v in (self.gamma, self.beta))
        else:
            scale, offset = (constant(f(self.channels), tf.as_dtype(floats)) for f in (np.ones, np.zeros))
        if weight is not None:
            weight = tf.cast(weight, floats)
            scale, offset = (weight * scale, weight * offset) if self.affine else (weight, offset)
        if x.dtype == tf.float64 or (training and self.shares_statistics()):
            return self._by_formula(x, scale, offset, training)
        # In training the operation returns the moved running estimates (with the unbiased variance).
        y, mean, variance, *_ = _fused(x)(
            x=x,
            scale=scale,
            offset=offset,
            mean=self.moving_mean.value,
            variance=self.moving_variance.value,
            epsilon=BATCH_NORM_EPSILON,
            exponential_avg_factor=1.0 - BATCH_NORM_MOMENTUM if training else 1.0,
            is_training=training,
        )
        if training:
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return y

    def shares_statistics(self) -> bool:
        """Return whether a pass that is traced now takes statistics over all replicas, in training."""
        several = tf.distribute.get_replica_context().num_replicas_in_sync > 1
        return self.synchronized and several and not _OWN.get()

    def _by_formula(self, x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, training: bool) -> tf.Tensor:
        """Normalise where the fused operation cannot: by all replicas' statistics, or in float64."""
        mean, variance = self.moving_mean.value, self.moving_variance.value
        whole = tf.cast(x, mean.dtype)
        if training:
            mean, variance, count = _moments(whole, self.shares_statistics())
            _move(self, mean, _unbiased(variance, count))
        y = tf.nn.batch_normalization(whole, mean, variance, offset, scale, BATCH_NORM_EPSILON)
        return tf.cast(y, x.dtype)


def _moments(x: tf.Tensor, shared: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return mean and biased variance of each channel, and how many numbers they are of.

    Args:
      x: [B, H, W, C].
      shared: whether they are of all replicas' images.
    """
    count, mean = tf.size(x) // x.shape[-1], tf.reduce_mean(x, [0, 1, 2])
    if not shared:
        # Not tf.nn.moments, whose second derivatives are wrong: it stops the mean's gradient.
        return mean, tf.reduce_mean(tf.square(x - mean), [0, 1, 2]), tf.cast(count, x.dtype)
    context = tf.distribute.get_replica_context()  # replicas have as many images each
    moments = [mean, tf.reduce_mean(tf.square(x), [0, 1, 2])]
    mean, of_square = context.all_reduce(tf.distribute.ReduceOp.MEAN, moments)
    variance = tf.maximum(of_square - tf.square(mean), 0.0)
    return mean, variance, tf.cast(count * context.num_replicas_in_sync, x.dtype)


def _unbiased(variance: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    return variance * count / tf.maximum(count - 1.0, 1.0)


def _move(norm: BatchNorm, mean: tf.Tensor, variance: tf.Tensor) -> None:
    """Move a norm's running estimates towards a batch's mean and unbiased variance."""
    for running, now in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
        running.assign(BATCH_NORM_MOMENTUM * running.value + (1.0 - BATCH_NORM_MOMENTUM) * now)


# Several norms in one pass, in training; none is affine.


def side_by_side(norms: Sequence[BatchNorm], x: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
    """Normalise the channels of several norms at once, each by its own statistics.

    Args:
      norms: of C channels each.
      x: [B, H, W, len(norms) * C].
      weight: float [len(norms) * C] that the result is multiplied with; None: ones.
    """
    y, mean, variance = _by_batch(x, weight, norms[0].shares_statistics())
    parts = zip(norms, tf.split(mean, len(norms)), tf.split(variance, len(norms)), strict=True)
    for norm, own_mean, own_variance in parts:
        _move(norm, own_mean, own_variance)
    return y


def in_common(norms: Sequence[BatchNorm], x: tf.Tensor) -> tf.Tensor:
    """Normalise x [B, H, W, C] once where several norms of C channels would do it alike."""
    y, mean, variance = _by_batch(x, None, norms[0].shares_statistics())
    for norm in norms:
        _move(norm, mean, variance)
    return y


def _by_batch(x: tf.Tensor, weight: tf.Tensor | None, shared: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalise by the batch; return its mean and unbiased variance too."""
    channels, floats = x.shape[-1], tf.as_dtype(keras.config.floatx())
    scale = constant(np.ones(channels), floats) if weight is None else tf.cast(weight, floats)
    if shared or x.dtype == tf.float64:
        whole = tf.cast(x, floats)
        mean, variance, count = _moments(whole, shared)
        y = tf.nn.batch_normalization(whole, mean, variance, None, scale, BATCH_NORM_EPSILON)
        return tf.cast(y, x.dtype), mean, _unbiased(variance, count)
    nothing = constant(np.zeros([0]), floats)
    y, mean, variance, *_ = _fused(x)(
        x=x,
        scale=scale,
        offset=constant(np.zeros(channels), floats),
        mean=nothing,
        variance=nothing,
        epsilon=BATCH_NORM_EPSILON,
        exponential_avg_factor=1.0,
        is_training=True,
    )
    return y, mean, variance
