"""Floats drawn in a plain function and in a compiled one are the same, and are what they are said to be."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.search import drawing, tiny
from tf_darts.runtime import draws
from tf_darts.search.methods import random_sharing
from tf_darts.search.parts import dirichlet, gumbel
from tf_darts.search.parts.perturbation import perturbed
from tf_darts.selection.finetune import dropped
from tf_darts.training.step import drop_path_factors

SEED = (3, 7)


def plain_and_compiled(function):
    seed = tf.constant(SEED)
    return (tf.function(function, autograph=False, jit_compile=xla)(seed).numpy() for xla in (False, True))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (1e-20, 1.0)])
def test_uniform_is_bit_for_bit_tensorflows_own_and_that_under_xla(low, high):
    plain, compiled = plain_and_compiled(lambda seed: draws.uniform([37, 5], seed, low, high))
    np.testing.assert_array_equal(plain, compiled)
    expected = tf.random.stateless_uniform([37, 5], SEED, low, high, alg="philox")
    np.testing.assert_array_equal(plain, expected)


def test_normal_agrees_with_tensorflows_own_and_under_xla():
    plain, compiled = plain_and_compiled(lambda seed: draws.normal([37, 5], seed))
    np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)
    expected = tf.random.stateless_normal([37, 5], SEED, alg="philox")
    np.testing.assert_allclose(plain, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 2.5, 40.0])
def test_gamma_has_its_distribution_and_agrees_under_xla(alpha):
    plain, compiled = plain_and_compiled(lambda seed: draws.gamma(tf.fill([4000], alpha), seed))
    np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-30)
    # Draws below what float32 holds are 0: they are as many as there should be.
    assert stats.kstest(plain, stats.gamma(alpha).cdf).pvalue > 0.01


def test_gammas_gradient_is_that_of_the_quantile():
    alpha = tf.constant([0.3, 0.9, 1.7, 12.0])
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        drawn = draws.gamma(alpha, tf.constant(SEED))
    level, a = stats.gamma(alpha.numpy()).cdf(drawn), alpha.numpy().astype(float)
    slope = (stats.gamma(a + 1e-4).ppf(level) - stats.gamma(a - 1e-4).ppf(level)) / 2e-4
    np.testing.assert_allclose(tape.gradient(drawn, alpha), slope, rtol=2e-3)


def test_a_gamma_of_nothing_has_a_finite_gradient():
    alpha = tf.constant([1e-6, 1e-4])
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        drawn = draws.gamma(alpha, tf.constant(SEED))
    assert not drawn.numpy().all() and np.isfinite(tape.gradient(drawn, alpha)).all()


MASK = tf.constant([[True, True], [True, False]])
USERS = {
    "gdas": lambda seed: gumbel.straight_through(drawing.architecture(), "normal", seed, tf.constant(1.0)),
    "random_sharing": lambda seed: random_sharing.draw(drawing.architecture(), "normal", seed),
    "sdarts": lambda seed: perturbed(tf.constant([[0.3, 0.7], [1.0, 0.0]]), MASK, 0.2, seed),
    "drnas": lambda seed: dirichlet.draw(tf.constant([[0.3, -2.0], [1.0, 0.0]]), MASK, seed),
    "drop_path": lambda seed: drop_path_factors(seed, tf.constant(0.3), 5, 16, 8, tf.constant(8)),
    "finetuning": lambda seed: dropped([[True, False, True]] * 8, 0.5, seed),
}


@pytest.mark.parametrize("name", USERS)
def test_what_steps_draw_is_the_same_under_xla(name, monkeypatch):
    architecture = drawing.architecture()
    monkeypatch.setattr(drawing, "architecture", lambda: architecture)  # variables are made outside
    plain, compiled = plain_and_compiled(USERS[name])
    np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)


def test_a_batch_is_the_same_under_xla():
    images = tiny.setup(tiny.config(data__flip=True)).train.with_cutout(3)
    plain, compiled = plain_and_compiled(lambda seed: images.fresh_batch("x", seed[0], 8)[0])
    np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)
