"""Second order: alpha's gradient through a step of the weights, against differences of the whole thing."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tests.search.replicas import TOTAL, on_first, whole
from tf_darts import spaces
from tf_darts.layers import depthwise
from tf_darts.optim.losses import loss_and_correct
from tf_darts.search.methods import second_order
from tf_darts.spaces import darts

RATE = 0.5  # so that the second derivative is a good part of the gradient
MIXED = {"finite": second_order.finite_difference, "exact": second_order.nested_gradients}


def space_of(*operations):
    """`tiny.SPACE` with other operations. Without ReLU, as pooling and skips are, all is smooth."""
    candidates = {"normal": (operations,) * 3}
    return dataclasses.replace(tiny.SPACE, candidates=candidates, batch_norm_after=darts.POOLS)


SMOOTH = space_of("skip_connect", "avg_pool_3x3")


def batch(number, size=8):
    images = tf.random.stateless_normal([size, 8, 8, 1], [number, 0])
    return images, tf.range(size) % 10


def setup(space=SMOOTH, **fields):
    """A supernet in the middle of a search: alpha and momentum are something; clipping would be seen."""
    fields = {"search__alpha_scale": 1.0, "search__clip_norm": 1e-3, "search__weight_decay": 0.01, **fields}
    made = tiny.setup(tiny.config(**fields), space)
    for i, velocity in enumerate(made.bilevel.weight_optimizer.velocity):
        velocity.assign(0.03 * tf.random.stateless_normal(velocity.shape, [5, i]))
    return made


def gradients(bilevel, mixed, rate=RATE):
    """alpha's gradients with one of the two formulations, as arrays."""
    now = tiny.now(learning_rate=rate)
    evaluated = tiny.one_device().run(
        lambda: second_order.second_order_gradients(bilevel, batch(1), batch(2), now, MIXED[mixed])
    )
    return [g.numpy() for g in evaluated.gradients]


def loss(bilevel, images, labels, label_smoothing=0.0, disturb=lambda mixing: mixing):
    mixing = disturb(bilevel.architecture.mixing_weights())
    logits = bilevel.forward(images, training=True, mixing_weights=mixing)
    return loss_and_correct(logits, labels, len(labels), label_smoothing)[0]


def loss_after_a_step(bilevel, **regularised):
    """L_valid(w'(alpha), alpha), with w' = w - rate (momentum v + gradient + decay w)."""
    start = [w.numpy() for w in bilevel.weights]
    with tf.GradientTape() as tape:
        value = loss(bilevel, *batch(1), **regularised)
    of_train = tape.gradient(value, bilevel.weights)
    for w, g, v in zip(bilevel.weights, of_train, bilevel.weight_optimizer.velocity, strict=True):
        w.assign_sub(RATE * (0.9 * v + g + 0.01 * w))
    result = float(loss(bilevel, *batch(2)))
    for w, value in zip(bilevel.weights, start, strict=True):
        w.assign(value)
    return result


@pytest.fixture(scope="module")
def slopes():
    """Differences of `loss_after_a_step` in every alpha."""
    return slopes_of()


def slopes_of(**regularised):
    bilevel = setup().bilevel
    (alpha,) = bilevel.alphas.values()
    start, found = alpha.numpy(), np.zeros(alpha.shape)
    for place in np.ndindex(*alpha.shape):
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * 0.05
            alpha.assign(moved)
            found[place] += sign * loss_after_a_step(bilevel, **regularised) / 0.1
    return found


@pytest.mark.parametrize("mixed", MIXED)
def test_the_gradient_is_that_of_the_validation_loss_after_the_step(slopes, mixed):
    (gradient,) = gradients(setup().bilevel, mixed)
    largest = abs(slopes).max()
    assert largest > 1e-3
    np.testing.assert_allclose(gradient, slopes, atol=0.02 * largest)


def test_the_step_is_that_of_regularised_fine_tuning(slopes):
    factors = tf.constant([[2.0, 0.5], [0.0, 1.0], [1.0, 3.0]])

    def disturb(mixing):
        return {t: factors * rows for t, rows in mixing.items()}

    regularised = slopes_of(label_smoothing=0.4, disturb=disturb)
    largest = abs(regularised).max()
    assert abs(regularised - slopes).max() > 0.1 * largest
    for mixed in MIXED:
        bilevel = setup().bilevel
        bilevel.label_smoothing = 0.4
        with bilevel.disturbed(disturb):
            (gradient,) = gradients(bilevel, mixed)
        np.testing.assert_allclose(gradient, regularised, atol=0.02 * largest)


def test_first_order_is_not_enough_there(slopes):
    bilevel = setup().bilevel
    (first,) = bilevel.alpha_gradients(batch(2), 8).gradients
    assert abs(first.numpy() - slopes).max() > 0.2 * abs(slopes).max()


def test_without_a_learning_rate_it_is_first_order():
    bilevel = setup().bilevel
    (first,) = bilevel.alpha_gradients(batch(2), 8).gradients
    for mixed in MIXED:
        np.testing.assert_allclose(gradients(bilevel, mixed, 0.0)[0], first, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("mixed", MIXED)
def test_everything_is_as_before_afterwards(mixed):
    made = setup(space_of("noise", "avg_pool_3x3"))  # with a counter of draws
    before = tiny.state(made)
    gradients(made.bilevel, mixed)
    tiny.assert_equal(tiny.state(made), before)


def test_the_difference_is_of_one_function_where_operations_draw():
    bilevel = setup(space_of("noise", "avg_pool_3x3")).bilevel
    finite, exact = (gradients(bilevel, mixed)[0] for mixed in MIXED)
    np.testing.assert_allclose(finite, exact, atol=0.02 * abs(exact).max())


def test_along_nothing_the_difference_is_nothing():
    bilevel = setup().bilevel
    zeros = [tf.zeros_like(w) for w in bilevel.weights]
    made = tiny.one_device().run(lambda: second_order.finite_difference(bilevel, batch(1), tiny.now(), zeros))
    assert all(not part.numpy().any() for part in made)


@pytest.mark.parametrize("stride", [1, 2])
def test_exact_derivatives_of_all_operations_are_tensorflows_own(monkeypatch, stride):
    # Depthwise convolutions have gradients of their own on CPU, which are differentiated once more here.
    every = spaces.get("darts").candidates["normal"][0]
    space, cells = space_of(*every), 1
    if stride == 2:
        cells, candidates = 2, dict.fromkeys(("normal", "reduce"), (every,) * 2)  # two reductions
        space = dataclasses.replace(
            space, input_nodes=2, candidates=candidates, output_nodes=(2,), stacking=darts.STACKING
        )
    bilevel = setup(space, search__cells=cells, search__channels=4).bilevel
    alpha = gradients(bilevel, "exact")
    monkeypatch.setitem(depthwise.FORMULATIONS, "CPU", depthwise.plain)
    expected = gradients(bilevel, "exact")
    largest = max(abs(g).max() for g in expected)
    assert len(alpha) == len(expected) > 0 and largest > 1e-3
    for ours, theirs in zip(alpha, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * largest)
    first = gradients(bilevel, "exact", 0.0)
    assert max(abs(a - b).max() for a, b in zip(first, alpha, strict=True)) > 0.01 * largest


@pytest.mark.parametrize("name", ["darts_second_order", "darts_second_order_exact"])
def test_a_step_moves_alpha_by_the_gradient_and_then_the_weights(name):
    made = setup(search__method=name, search__clip_norm=5.0)
    method, bilevel, applied = made.method, made.bilevel, []
    expected = gradients(bilevel, "exact" if name.endswith("exact") else "finite")
    bilevel.alpha_optimizer.apply = applied.append
    values = tiny.one_device().run(
        lambda: method.step(bilevel, batch(1), batch(2), tiny.now(learning_rate=RATE))
    )
    tiny.assert_equal([g.numpy() for g in applied[0]], expected)
    assert set(values) == {*method.metrics, *method.alpha_metrics}


@pytest.mark.parametrize("mixed", [pytest.param("finite", marks=pytest.mark.slow), "exact"])
def test_two_replicas_have_the_gradient_of_the_whole_batch(mixed):
    found = {}
    for replicas, strategy in {1: tiny.one_device(), 2: tiny.two_replicas()}.items():
        bilevel = tiny.setup(tiny.config(search__alpha_scale=1.0), SMOOTH, strategy).bilevel

        def on_replica(bilevel=bilevel, replicas=replicas):
            train, valid = whole(0, replicas), whole(1, replicas)
            now = tiny.now(learning_rate=RATE, total=TOTAL)
            made = second_order.second_order_gradients(bilevel, train, valid, now, MIXED[mixed])
            return second_order.sum_over_replicas(made.gradients)

        function = tf.function(lambda s=strategy, f=on_replica: s.run(f), autograph=False)
        (found[replicas],) = on_first(strategy, function())
    np.testing.assert_allclose(found[2], found[1], atol=1e-3 * abs(found[1]).max())
