"""SGD, Adam and the cosine schedule against the formulas, written out in NumPy at double precision."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.optim.optimizers import SGD, Adam, sum_over_replicas
from tf_darts.optim.schedules import cosine

START = [np.array([1.0, -2.0, 0.5]), np.array([[0.3], [-0.7]])]
GRADIENTS = [
    [np.array([0.2, -0.1, 0.4]), np.array([[1.0], [-2.0]])],
    [np.array([6.0, 2.0, -3.0]), np.array([[4.0], [0.5]])],  # norm about 8.1: clipped at 5
    [np.array([-0.3, 0.0, 0.1]), np.array([[0.0], [0.2]])],
]
RATES = [0.1, 0.05, 0.2]


def variables():
    return [tf.Variable(value, dtype=tf.float32) for value in START]


def tensors(gradients):
    return [tf.constant(g, tf.float32) for g in gradients]


def sgd_by_hand(momentum, decay, clip):
    weights, velocities, norms = [w.copy() for w in START], [0.0 * w for w in START], []
    for gradients, rate in zip(GRADIENTS, RATES, strict=True):
        norms.append(np.sqrt(sum((g**2).sum() for g in gradients)))
        scale = min(1.0, clip / (norms[-1] + 1e-6)) if clip else 1.0
        for i, g in enumerate(gradients):
            d = scale * g + decay * weights[i]
            velocities[i] = momentum * velocities[i] + d
            weights[i] = weights[i] - rate * velocities[i]
    return weights, velocities, norms


def adam_by_hand(gradients, rate, b1, b2, epsilon, decay):
    weights = [w.copy() for w in START]
    m, s = [0.0 * w for w in START], [0.0 * w for w in START]
    for t, step in enumerate(gradients, 1):
        for i, g in enumerate(step):
            d = g + decay * weights[i]
            m[i] = b1 * m[i] + (1 - b1) * d
            s[i] = b2 * s[i] + (1 - b2) * d**2
            denominator = np.sqrt(s[i]) / np.sqrt(1 - b2**t) + epsilon
            weights[i] = weights[i] - rate / (1 - b1**t) * m[i] / denominator
    return weights


def assert_close(ours, wanted, rtol=2e-6):
    for a, b in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("momentum", "decay", "clip"), [(0.9, 3e-4, 5.0), (0.9, 0.1, 5.0), (0.9, 0.0, 0.0), (0.0, 0.1, 0.0)]
)
def test_three_steps_of_sgd(momentum, decay, clip, compiled):
    weights = variables()
    optimizer = SGD(weights, momentum, decay, clip)
    apply = tf.function(optimizer.apply) if compiled else optimizer.apply
    norms = [apply(tensors(g), tf.constant(rate)).numpy() for g, rate in zip(GRADIENTS, RATES, strict=True)]
    wanted, velocities, wanted_norms = sgd_by_hand(momentum, decay, clip)
    assert_close(weights, wanted)
    assert_close(optimizer.velocity, velocities)
    np.testing.assert_allclose(norms, wanted_norms, rtol=1e-6)


def test_the_decay_is_added_after_clipping_and_not_in_the_norm():
    weights = [tf.Variable([1000.0])]
    norm = SGD(weights, momentum=0.9, weight_decay=0.1, clip_norm=5.0).apply([tf.constant([50.0])], 0.01)
    assert norm == 50
    # 50 is clipped to 5, then 0.1 * 1000 is added: 105, far beyond the clip.
    np.testing.assert_allclose(weights[0], [1000 - 0.01 * 105], rtol=1e-6)


def test_a_gradient_below_the_clip_is_left_alone():
    weights = [tf.Variable([0.0])]
    SGD(weights, 0.0, 0.0, clip_norm=5.0).apply([tf.constant([4.9])], 1.0)
    np.testing.assert_allclose(weights[0], [-4.9], rtol=1e-6)


def test_where_an_unclipped_step_would_go_is_where_it_goes():
    weights = variables()
    optimizer = SGD(weights, momentum=0.9, weight_decay=0.1, clip_norm=0.0)
    for gradients, rate in zip(GRADIENTS, RATES, strict=True):
        before = [w.numpy() for w in weights]
        expected = optimizer.after_step(tensors(gradients), rate)
        assert_close(weights, before, rtol=0)  # nothing has changed
        optimizer.apply(tensors(gradients), rate)
        assert_close(weights, expected)


def test_the_learning_rate_is_not_in_the_momentum():
    # With it inside, a smaller rate would leave the older, larger velocity at work.
    weights = [tf.Variable([0.0])]
    optimizer = SGD(weights, 0.9, 0.0, 0.0)
    optimizer.apply([tf.constant([1.0])], 1.0)
    optimizer.apply([tf.constant([0.0])], 0.001)
    np.testing.assert_allclose(weights[0], [-1 - 0.001 * 0.9], rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("b1", "b2", "epsilon", "decay"),
    [(0.5, 0.999, 1e-8, 1e-3), (0.9, 0.99, 1e-2, 0.0), (0.0, 0.999, 1e-8, 0.1), (0.5, 0.0, 1e-8, 0.0)],
)
def test_three_steps_of_adam(b1, b2, epsilon, decay, compiled):
    weights = variables()
    optimizer = Adam(weights, 3e-2, b1, b2, epsilon, decay)
    apply = tf.function(optimizer.apply) if compiled else optimizer.apply
    for gradients in GRADIENTS:
        apply(tensors(gradients))
    assert_close(weights, adam_by_hand(GRADIENTS, 3e-2, b1, b2, epsilon, decay), rtol=1e-5)
    assert optimizer.step.numpy() == 3


@pytest.mark.parametrize(("gradient", "change"), [(1e-6, 2.97e-4), (1e-3, 3.0e-4)])
def test_adams_epsilon_stands_outside_the_bias_correction(gradient, change):
    weights = [tf.Variable([0.0])]
    Adam(weights, 3e-4, 0.5, 0.999, 1e-8, 0.0).apply([tf.constant([gradient])])
    assert -weights[0].numpy()[0] == pytest.approx(change, rel=2e-3)


def test_adams_bias_correction_is_exact_after_many_steps():
    weights = [tf.Variable([0.0])]
    optimizer = Adam(weights, 1e-3, 0.5, 0.999, 1e-8, 0.0)
    optimizer.step.assign(100_000)
    optimizer.apply([tf.constant([1.0])])
    # m = 0.5, s = 0.001, both corrections 1.
    np.testing.assert_allclose(weights[0], [-1e-3 * 0.5 / np.sqrt(1e-3)], rtol=1e-5)


@pytest.mark.parametrize(("epoch", "rate"), [(0, 0.025), (25, 0.013), (49, 0.00102367), (50, 0.001)], ids=str)
def test_cosine(epoch, rate):
    assert cosine(0.025, 0.001, epoch, 50).numpy() == pytest.approx(rate, rel=1e-4)
    assert cosine(0.025, 0.001, tf.constant(epoch), 50).numpy() == pytest.approx(rate, rel=1e-4)


def test_cosine_to_zero():
    rates = [cosine(0.025, 0.0, epoch, 600).numpy() for epoch in (0, 150, 300, 450, 599)]
    wanted = [0.0125 * (1 + np.cos(np.pi * epoch / 600)) for epoch in (0, 150, 300, 450, 599)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-5, atol=3e-9)


# Two replicas, each with its share of every gradient.


def shares(gradients, replica):
    """Shares that differ between the replicas and add up to the gradients."""
    return [g * (0.75 if replica == 0 else 0.25) + (0.5 if replica == 0 else -0.5) for g in gradients]


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_two_replicas_make_the_update_of_one(name):
    strategy = tiny.two_replicas()
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        weights = variables()
        if name == "sgd":
            optimizer = SGD(weights, 0.9, 3e-4, 5.0)
        else:
            optimizer = Adam(weights, 3e-2, 0.5, 0.999, 1e-8, 1e-3)

    @tf.function
    def step(first, second, rate):
        def on_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            mine = [tf.where(tf.equal(replica, 0), a, b) for a, b in zip(first, second, strict=True)]
            total = sum_over_replicas(mine)
            if name == "sgd":
                return optimizer.apply(total, rate)
            optimizer.apply(total)
            return tf.zeros([])

        return strategy.run(on_replica)

    norms = []
    for gradients, rate in zip(GRADIENTS, RATES, strict=True):
        result = step(tensors(shares(gradients, 0)), tensors(shares(gradients, 1)), tf.constant(rate))
        norms.append([value.numpy() for value in strategy.experimental_local_results(result)])

    if name == "sgd":
        wanted, _, wanted_norms = sgd_by_hand(0.9, 3e-4, 5.0)
        np.testing.assert_allclose(norms, np.array(wanted_norms)[:, None] * [1, 1], rtol=1e-5)
    else:
        wanted = adam_by_hand(GRADIENTS, 3e-2, 0.5, 0.999, 1e-8, 1e-3)
        assert optimizer.step.numpy() == 3
    for variable, value in zip(weights, wanted, strict=True):
        for copy in strategy.experimental_local_results(variable):
            np.testing.assert_allclose(copy, value, rtol=1e-5, atol=1e-6)


def test_one_replica_sums_nothing():
    gradients = tensors(GRADIENTS[0])
    assert sum_over_replicas(gradients) is gradients
