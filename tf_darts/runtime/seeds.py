"""Every random draw is a function of (seed, purpose, step): stateless, so a run can be continued anywhere.

`fold` returns Python integers (initial weights, NumPy generators); `draw_seed` the seed tensor of a
TensorFlow stateless operation inside a compiled step.
"""

import hashlib

import tensorflow as tf


def fold(seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2**31) for one purpose; equal arguments have equal seeds on every machine."""
    text = "/".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") & 0x7FFFFFFF


def draw_seed(seed: int, purpose: str, step: tf.Tensor | int) -> tf.Tensor:
    """Return the seed of a stateless draw.

    Args:
      seed: the run's seed.
      purpose: what is drawn; draws with different purposes are independent.
      step: integer scalar, may be a tensor; draws of different steps are independent.

    Returns:
      int32 [2], as `tf.random.stateless_*` take it.
    """
    return tf.stack([tf.constant(fold(seed, purpose), tf.int32), tf.cast(step, tf.int32)])
