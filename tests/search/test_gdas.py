"""GDAS: sampled one-hot mixing weights with the gradient of the softmax."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.search import drawing, tiny
from tests.search.drawing import DECIDED, REMOVED
from tf_darts.search.parts.gumbel import straight_through


def rows_of(architecture, number, temperature):
    seed = tf.stack([tf.constant(5), tf.convert_to_tensor(number)])
    return straight_through(architecture, "normal", seed, tf.constant(temperature))


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_forward_rows_are_exactly_one_hot(temperature):
    architecture = drawing.architecture()
    for number in range(30):
        rows = rows_of(architecture, number, temperature).numpy()
        assert set(np.unique(rows)) == {0.0, 1.0}
        assert (rows.sum(1) == 1).all() and rows[0, 2] == 0
        assert rows[DECIDED].tolist() == [0, 0, 1]


@pytest.mark.parametrize("temperature", [5.0, 0.5])
def test_the_gradient_is_that_of_the_soft_weights_with_the_same_noise(temperature):
    architecture = drawing.architecture()
    alpha, factors = architecture.alpha["normal"], np.float32([[1, -2, 3]] * 5)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(rows_of(architecture, 4, temperature) * factors)
    gradient = tape.gradient(total, alpha).numpy()

    uniform = tf.random.stateless_uniform([5, 3], [5, 4], 1e-20, 1.0, alg="philox").numpy()
    gumbel = -np.log(-np.log(uniform.astype(np.float64)))
    for edge in (0, 2, 4):
        count = 2 if edge == 0 else 3
        logits = (alpha.numpy()[edge, :count] + gumbel[edge, :count]) / temperature
        soft = np.exp(logits - logits.max())
        soft /= soft.sum()
        f = factors[edge, :count]
        # Of sum(f * softmax(alpha + noise, temperature)); the softmax's own normalisation drops out.
        expected = soft * (f - (soft * f).sum()) / temperature
        np.testing.assert_allclose(gradient[edge, :count], expected, rtol=1e-3, atol=1e-6)
        assert rows_of(architecture, 4, temperature).numpy()[edge].argmax() == soft.argmax()
    assert not gradient[DECIDED].any() and gradient[0, 2] == 0


def test_operations_are_sampled_as_often_as_alpha_says():
    architecture, draws = drawing.architecture(), 4000
    numbers = tf.range(draws)
    many = tf.function(
        lambda: tf.map_fn(lambda n: rows_of(architecture, n, 3.0), numbers, fn_output_signature=tf.float32)
    )
    counts = many().numpy().sum(0)
    expected = draws * architecture.probabilities()["normal"].numpy()
    for edge in (0, 2, 4):
        there = expected[edge] > 0
        assert stats.chisquare(counts[edge][there], expected[edge][there]).pvalue > 1e-3
    assert expected[2:].max() > 3 * expected[4].min() > 0  # not uniform
    assert counts[DECIDED].tolist() == [0, 0, draws]


@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 10.0), (0.5, 5.05), (1.0, 0.1)])
def test_the_temperature_falls_linearly(progress, temperature):
    found = tiny.method("gdas").parts["gumbel"].temperature(tiny.now(progress=progress))
    assert float(found) == pytest.approx(temperature, rel=1e-5)


def test_both_halves_of_a_step_train_an_architecture_of_their_own():
    halves = []
    for number in range(8):
        used = drawing.mixing_weights_of(drawing.setup(search__method="gdas"), number)
        for rows in (used["alpha"]["normal"], used["weights"]["normal"]):
            assert set(np.unique(rows)) == {0.0, 1.0}
            assert rows.sum(1).tolist() == [0 if e == REMOVED else 1 for e in range(5)]
        halves.append((used["alpha"]["normal"].tobytes(), used["weights"]["normal"].tobytes()))
    assert sum(a != b for a, b in halves) > 4 and len(set(halves)) > 4


def test_alpha_of_operations_that_were_not_sampled_is_trained_too():
    made = drawing.setup(search__method="gdas", search__alpha_weight_decay=0.0)
    before = made.bilevel.architecture.alpha["normal"].numpy()
    drawing.mixing_weights_of(made)
    moved = made.bilevel.architecture.alpha["normal"].numpy() != before
    assert moved[[2, 4]].all() and moved[0, :2].all() and not moved[[DECIDED, REMOVED]].any()
