"""Random floats inside compiled steps: the same numbers plain and under XLA, on CPU, GPU and TPU.

TensorFlow's stateless integers agree everywhere, its stateless floats do not: XLA makes other floats of
the same bits, so that a step drawn on a TPU would be another one than on a CPU. Here floats are made of
integers in one place. `uniform` draws bit for bit what `tf.random.stateless_uniform` draws on a CPU;
`normal` and `gamma` agree to the rounding of logarithms and sines. In float64 the same numbers are drawn,
in the steps of float32, and all that is made of them is float64.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

_MANTISSA, _ONE = np.uint32(0x007FFFFF), np.uint32(0x3F800000)  # of a float32, and the bits of 1.0
GAMMA_TRIES = 16  # each is accepted with more than 95 %: all fail once in 1e21 draws


def uniform(
    shape: Sequence[int] | tf.TensorShape | tf.Tensor, seed: tf.Tensor, low: float = 0.0, high: float = 1.0
) -> tf.Tensor:
    """Draw uniformly from [low, high), in steps of (high - low) / 2^23.

    Args:
      shape: of the result.
      seed: int32 [2], as `seeds.draw_seed` returns it.
      low: least value.
      high: upper bound.

    Returns:
      Floats of that shape (Keras's floatx).
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    # The low bits as the mantissa of a number in [1, 2), as TensorFlow does it on a CPU.
    bits = tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(bits, _MANTISSA), _ONE)
    return tf.cast(tf.bitcast(bits, tf.float32) - 1.0, keras.config.floatx()) * (high - low) + low


def normal(shape: Sequence[int] | tf.TensorShape | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw standard normal numbers (Box and Muller, 1958); arguments as for `uniform`."""
    shape = tf.convert_to_tensor(shape, tf.int32)
    count = tf.reduce_prod(shape)
    u = uniform(tf.stack([(count + 1) // 2, 2]), seed)
    radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(u[:, 0], 1e-7)))
    angle = 2.0 * np.pi * u[:, 1]
    pairs = tf.stack([radius * tf.sin(angle), radius * tf.cos(angle)], 1)
    return tf.reshape(tf.reshape(pairs, [-1])[:count], shape)


@tf.custom_gradient
def gamma(alpha: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw Gamma(alpha) of rate 1, differentiable in alpha (Marsaglia, Tsang, 2000; Figurnov et al., 2018).

    A fixed number of proposals takes the place of a loop: XLA has no operation for it.

    Args:
      alpha: shape of each distribution, above 0.
      seed: int32 [2].

    Returns:
      Of alpha's shape and type; 0 where a draw is below what the type holds.
    """
    proposal, acceptance, boost = (
        tf.random.experimental.stateless_fold_in(seed, kind, alg="philox") for kind in range(3)
    )
    below = alpha < 1.0  # there Gamma(alpha) is Gamma(alpha + 1) * U^(1/alpha)
    d = tf.where(below, alpha + 1.0, alpha) - 1.0 / 3.0
    tries = [GAMMA_TRIES, *alpha.shape]
    x = normal(tries, proposal)
    cube = (1.0 + x / tf.sqrt(9.0 * d)) ** 3
    positive = tf.maximum(cube, 1e-30)
    bound = 0.5 * x * x + d * (1.0 - positive + tf.math.log(positive))
    accepted = (cube > 0.0) & (tf.math.log1p(-uniform(tries, acceptance)) < bound)
    first = tf.one_hot(tf.argmax(tf.cast(accepted, tf.int32), 0), GAMMA_TRIES, axis=0, dtype=x.dtype)
    drawn = d * tf.reduce_sum(first * positive, 0)
    drawn *= tf.where(below, tf.exp(tf.math.log1p(-uniform(alpha.shape, boost)) / alpha), 1.0)

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, None]:
        slope = tf.raw_ops.RandomGammaGrad(alpha=alpha, sample=tf.maximum(drawn, 1e-30))
        return dy * slope, None

    return drawn, gradient
