"""Max pooling by comparisons, which XLA compiles where results repeat: TensorFlow's own bits."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.layers import primitives
from tf_darts.layers.max_pool import max_pool
from tf_darts.runtime import xla

CASES = [(8, 6, 3, 1, 1), (8, 8, 3, 2, 1), (7, 9, 3, 2, 1), (8, 6, 2, 2, 0), (9, 7, 3, 2, 0), (1, 5, 3, 1, 1)]


def compiled_strategy():
    strategy = tiny.one_device()
    xla.compile_steps(strategy)
    return strategy


def gradient(x, dy, *how, jit=False):
    """The pooled images and the gradient, on a strategy that compiles or on none."""

    def both(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = max_pool(x, *how)
        return y, tape.gradient(y, x, dy)

    if not jit:
        return both(x, dy)
    compiled = tf.function(both, jit_compile=True, autograph=False)
    return compiled_strategy().run(compiled, args=(x, dy))


@pytest.mark.parametrize(("high", "wide", "size", "stride", "padding"), CASES)
@pytest.mark.parametrize("kind", ["ties", "normal", "relu"])
def test_bits_are_tensorflows_own_in_ties_too(high, wide, size, stride, padding, kind):
    draw = np.random.default_rng(high)
    x = draw.normal(size=[2, high, wide, 3]).astype(np.float32)
    x = {"ties": np.round(x), "normal": x, "relu": np.maximum(x, 0)}[kind]
    rows, columns = ((side + 2 * padding - size) // stride + 1 for side in (high, wide))
    dy = tf.constant(draw.normal(size=[2, rows, columns, 3]).astype(np.float32))
    plain = gradient(tf.constant(x), dy, size, stride, padding)
    compiled = gradient(tf.constant(x), dy, size, stride, padding, jit=True)
    for ours, theirs in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_tie_goes_to_the_first():
    x, dy = tf.zeros([1, 2, 2, 1]), tf.ones([1, 1, 1, 1])
    for jit in (False, True):
        assert gradient(x, dy, 2, 2, jit=jit)[1].numpy().ravel().tolist() == [1, 0, 0, 0]


def test_xla_refuses_tensorflows_own_gradient_where_results_repeat():
    """Else this formulation would not be needed any more."""

    @tf.function(jit_compile=True)
    def own(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.max_pool2d(x, 2, 2, "VALID")
        return tape.gradient(y, x)

    with pytest.raises(tf.errors.UnimplementedError, match="deterministic"):
        own(tf.zeros([1, 2, 2, 1]))


def test_second_derivatives_are_tensorflows_too():
    x = tf.constant(np.random.default_rng(0).normal(size=[2, 6, 6, 2]).astype(np.float32))

    def second():
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(primitives.max_pool_3x3(x, 2) ** 3)
            slope = tf.reduce_sum(inner.gradient(total, x) ** 2)
        return outer.gradient(slope, x)

    np.testing.assert_allclose(compiled_strategy().run(second), second(), rtol=1e-6)
