"""The two gradients, and what a step of a method does with them."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.optim.losses import loss_and_correct
from tf_darts.search.alpha_summary import entropy, skip_share


def batch(number):
    images = tf.random.stateless_normal([8, 8, 8, 1], [number, 0])
    return images, tf.constant([0, 1, 2, 3, 4, 5, 6, 7])


def mean_loss(bilevel, images, labels):
    logits = bilevel.forward(images, training=True)
    return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)))


def test_loss_and_correct_are_shares_of_the_global_batch():
    logits = tf.constant([[0.0, math.log(3.0)], [0.0, math.log(3.0)], [1.0, 0.0]])
    loss, correct = loss_and_correct(logits, tf.constant([1, 0, 0]), 6)
    expected = math.log(4 / 3) + math.log(4) + math.log(1 + math.exp(-1))
    assert float(loss) == pytest.approx(expected / 6, rel=1e-6) and int(correct) == 2


def test_alpha_gradients_are_the_slopes_of_the_validation_loss():
    bilevel = tiny.setup(tiny.config(search__alpha_scale=1.0)).bilevel
    evaluated = bilevel.alpha_gradients(batch(0), 8)
    assert float(evaluated.loss) == pytest.approx(mean_loss(bilevel, *batch(0)), rel=1e-6)
    alpha = bilevel.architecture.alpha["normal"]
    start, slopes = alpha.numpy(), np.zeros(alpha.shape)
    for place in np.ndindex(*alpha.shape):
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * 0.05
            alpha.assign(moved)
            slopes[place] += sign * mean_loss(bilevel, *batch(0)) / 0.1
    (gradient,) = evaluated.gradients
    assert abs(slopes).max() > 1e-3
    np.testing.assert_allclose(gradient.numpy(), slopes, atol=0.02 * abs(slopes).max())


def test_each_update_changes_its_own_variables():
    bilevel = tiny.setup(tiny.config()).bilevel
    steps = {
        "alpha": lambda: bilevel.alpha_step(batch(0), 8),
        "weights": lambda: bilevel.weight_step(batch(0), 8, 0.1),
    }
    for changed in ("alpha", "weights"):
        before = [v.numpy() for v in bilevel.weights], bilevel.architecture.alpha["normal"].numpy()
        tiny.one_device().run(tf.function(steps[changed]))
        weights = all((v.numpy() != b).any() for v, b in zip(bilevel.weights, before[0], strict=True))
        alpha = (bilevel.architecture.alpha["normal"].numpy() != before[1]).all()
        assert (alpha, weights) == (changed == "alpha", changed == "weights")


def test_a_darts_step_fits_alpha_first_and_the_weights_with_the_new_alpha():
    by_hand, made = (tiny.setup(tiny.config()).bilevel for _ in range(2))
    strategy, rate = tiny.one_device(), tf.constant(0.1)
    strategy.run(tf.function(lambda: by_hand.alpha_step(batch(0), 8)))
    expected = mean_loss(by_hand, *batch(1))
    strategy.run(tf.function(lambda: by_hand.weight_step(batch(1), 8, rate)))
    method = tiny.method("darts")
    metrics = strategy.run(tf.function(lambda: method.step(made, batch(1), batch(0), tiny.now())))
    assert float(metrics["train_loss"]) == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(made.weights, by_hand.weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-7)
    assert set(metrics) == {*method.metrics, *method.alpha_metrics}


def test_what_is_described_of_alpha():
    assert entropy(np.array([[0.5, 0.5], [1.0, 0.0]])) == pytest.approx(math.log(2) / 2)
    weights = {"normal": np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])}
    assert skip_share(tiny.SPACE, weights) == 0.5  # edges 0 (skip) and 1 (convolution) are kept
