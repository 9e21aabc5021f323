"""What each part's paper says of it, on problems with a known answer."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.search import drawing, tiny
from tests.search.drawing import DECIDED, REMOVED, batch
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.layers.node_output import NodeOutput
from tf_darts.models.supernet import beside_key
from tf_darts.registry import PARTS
from tf_darts.search.parts import aligned_cells, reinmax
from tf_darts.search.parts.sigmoid import sigmoids

FREE = [0, 2, 4]  # edges of `drawing.architecture` that alpha still moves


def part(name, **fields):
    return PARTS.load(name)(tiny.config(search__parts=_beside(name), **fields), drawing.SPACE)


def _beside(name):
    return {"zero_one": ("sigmoid", "zero_one")}.get(name, (name,))


def pull(made, architecture, progress):
    """The value of a penalty, and its gradient in alpha."""
    with tf.GradientTape() as tape:
        value = made.penalty(architecture, dict(architecture.alpha), tiny.now(progress=progress))
    return float(value), tape.gradient(value, architecture.alpha["normal"]).numpy()


def test_beta_decay_pulls_by_lambda_times_the_softmax():
    architecture = drawing.architecture()
    value, gradient = pull(part("beta_decay"), architecture, progress=0.4)
    alpha, softmax = architecture.alpha["normal"].numpy(), architecture.probabilities()["normal"].numpy()
    expected = np.zeros_like(softmax)
    expected[FREE] = 20.0 * softmax[FREE] / 3  # lambda is 50 times 0.4, and three edges are free
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)
    sums = [np.log(np.exp(alpha[e][: 2 if e == 0 else 3]).sum()) for e in FREE]
    assert value == pytest.approx(20.0 * np.mean(sums), rel=1e-5)


def test_alpha_l2_pulls_by_its_coefficient_times_alpha():
    architecture = drawing.architecture()
    made = part("alpha_l2", alpha_l2__factor_start=1.0, alpha_l2__factor_end=3.0)
    _, gradient = pull(made, architecture, progress=0.25)
    expected = 1.5 * np.where(architecture.free("normal"), architecture.alpha["normal"].numpy(), 0.0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_zero_one_drives_every_sigmoid_from_the_middle():
    architecture = drawing.architecture(normalise=sigmoids)
    value, gradient = pull(part("zero_one"), architecture, progress=0.7)
    alpha, free = architecture.alpha["normal"].numpy(), architecture.free("normal").numpy()
    p = 1 / (1 + np.exp(-alpha[free]))
    assert value == pytest.approx(-10 * ((p - 0.5) ** 2).mean(), rel=1e-5)
    assert not gradient[~free].any()
    assert (np.sign(-gradient[free]) == np.sign(alpha[free])).all()  # descent moves alpha away from 0


def test_sigmoids_do_not_compete():
    architecture = drawing.architecture(normalise=sigmoids)
    alpha, before = architecture.alpha["normal"], architecture.mixing_weights()["normal"].numpy()
    np.testing.assert_allclose(before[2], 1 / (1 + np.exp(-alpha.numpy()[2])), rtol=1e-6)
    assert before[0, 2] == 0 and before[DECIDED].tolist() == [0, 0, 1] and not before[REMOVED].any()
    alpha[2, 0].assign(9.0)
    after = architecture.mixing_weights()["normal"].numpy()
    assert after[2, 0] > 0.99 and (after[2, 1:] == before[2, 1:]).all()


def rows_of(made, architecture, number, progress=0.5):
    return made.sample(architecture, tiny.now(number, progress=progress), "train")["normal"]


def test_concrete_rows_are_soft_and_their_largest_is_a_sample():
    architecture, made, draws = drawing.architecture(), part("concrete"), 1500

    @tf.function(autograph=False)
    def run():
        return tf.map_fn(
            lambda n: rows_of(made, architecture, n), tf.range(draws), fn_output_signature=tf.float32
        )

    many = run().numpy()
    np.testing.assert_allclose(many.sum(-1), 1, rtol=1e-5)
    assert (many[:, DECIDED] == [0, 0, 1]).all() and not many[:, 0, 2].any()
    assert (many[:, FREE].max(-1) < 1).mean() > 0.9
    frequency = np.eye(3)[many.argmax(-1)].mean(0)
    p = architecture.probabilities()["normal"].numpy()
    assert (abs(frequency - p)[FREE] <= 4 * np.sqrt(p * (1 - p) / draws)[FREE] + 1e-6).all()


def test_concrete_rows_sharpen_as_the_temperature_falls():
    architecture = drawing.architecture()
    made = part("concrete", snas__temperature_start=5.0, snas__temperature_end=0.01)
    warm, cold = (rows_of(made, architecture, 3, p).numpy()[FREE].max(-1) for p in (0.0, 1.0))
    assert (cold > 0.99).all() and (warm < cold).all()


def test_reinmax_is_exact_in_the_mean_for_a_quadratic_loss():
    alpha, is_open = tf.constant([[0.7, -0.4, 0.1]]), tf.ones([1, 3], bool)
    matrix = tf.constant([[1.0, 2.0, -0.5], [2.0, -3.0, 0.3], [-0.5, 0.3, 0.8]])

    def loss(row):
        return tf.reduce_sum((row @ matrix) * row) + tf.reduce_sum(row * [0.3, -1.0, 2.0])

    p, samples = tf.nn.softmax(alpha)[0], [tf.one_hot([i], 3) for i in range(3)]
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        mean = tf.add_n(
            [q * loss(s) for q, s in zip(tf.unstack(tf.nn.softmax(alpha)[0]), samples, strict=True)]
        )
    exact, found, plain = tape.gradient(mean, alpha).numpy(), 0.0, 0.0
    for i, sample in enumerate(samples):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(alpha)
            row = reinmax.straight_through(alpha, is_open, sample, tf.constant(1.0))
            soft = tf.nn.softmax(alpha)
            first = loss(sample + soft - tf.stop_gradient(soft))
            second = loss(row)
        np.testing.assert_array_equal(row, sample)
        found += float(p[i]) * tape.gradient(second, alpha).numpy()
        plain += float(p[i]) * tape.gradient(first, alpha).numpy()
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert abs(plain - exact).max() > 0.1  # the straight-through estimator of first order is not


def test_reinmax_rows_are_samples():
    architecture, made = drawing.architecture(), part("reinmax")
    for number in range(5):
        rows = rows_of(made, architecture, number).numpy()
        assert np.isin(rows, (0, 1)).all() and (rows.sum(-1) == 1).all()
        assert rows[DECIDED].tolist() == [0, 0, 1] and rows[0, 2] == 0


@pytest.mark.parametrize("stride", [1, 2])
def test_the_auxiliary_skip_stands_beside_the_candidates(stride):
    x, weights = tf.random.stateless_normal([2, 8, 8, 4], [1, 2]), [tf.fill([4], w) for w in (0.3, 0.7)]
    plain, beside = (
        MixedOp(("nor_conv_1x1", "max_pool_3x3"), 4, stride, (), 7, auxiliary_skip=a) for a in (0, 1)
    )
    expected = plain(NodeOutput(x), mixing_weights=weights)
    found = beside(NodeOutput(x), mixing_weights=weights, auxiliary=tf.fill([4], 0.25))
    skipped = beside.auxiliary(NodeOutput(x))
    np.testing.assert_allclose(found, expected + 0.25 * skipped, rtol=1e-5, atol=1e-6)
    assert stride == 2 or np.array_equal(skipped, x)
    np.testing.assert_array_equal(beside(NodeOutput(x), mixing_weights=weights), expected)


def test_the_auxiliary_skip_fades_and_is_gone_where_it_is_decided():
    made, architecture, key = part("auxiliary_skip"), drawing.architecture(), beside_key("normal")
    for progress in (0.0, 0.25, 0.9):
        weights = made.beside(architecture, tiny.now(progress=progress))[key].numpy()
        np.testing.assert_allclose(weights, [1 - progress if e in FREE else 0 for e in range(5)], rtol=1e-6)
    assert made.beside(architecture, tiny.now(progress=1.0)) == {}


def test_darts_minus_trains_with_the_skip_and_is_read_without():
    made = tiny.setup(tiny.config(search__method="darts_minus", search__alpha_scale=1.0))
    plain = tiny.setup(tiny.config(search__alpha_scale=1.0))
    used = drawing.mixing_weights_of(made, progress=0.25)
    assert all(used[half][beside_key("normal")].tolist() == [0.75] * 3 for half in ("alpha", "weights"))
    again = tiny.setup(tiny.config(search__method="darts_minus", search__alpha_scale=1.0))
    logits = [m.bilevel.forward(batch(1)[0], training=True).numpy() for m in (again, plain)]
    np.testing.assert_array_equal(*logits)  # the same supernet, but for the skip connections


CELLS = 3


def alignment_of(g):
    """The mean cosine of pairs of cells."""
    unit = tf.math.l2_normalize(tf.reshape(g, [g.shape[0], -1]), -1)
    pairs = list(itertools.combinations(tf.unstack(unit), 2))
    return tf.add_n([tf.reduce_sum(a * b) for a, b in pairs]) / len(pairs)


@pytest.fixture(scope="module")
def aligned():
    fields = {"search__cells": CELLS, "search__channels": 4, "search__epochs": 5, "search__alpha_scale": 1.0}
    made = tiny.setup(tiny.config(search__method="lambda_darts", **fields))
    made.bilevel.architecture.decide_operation("normal", DECIDED, 1)
    return made


def test_cells_may_have_mixing_weights_of_their_own(aligned):
    bilevel, images = aligned.bilevel, batch(1)[0]
    shared = bilevel.architecture.mixing_weights()
    own = np.stack([shared["normal"]] * CELLS)
    same = bilevel.forward(images, True, {"normal": tf.constant(own)}).numpy()
    np.testing.assert_array_equal(same, bilevel.forward(images, True, shared))
    for cell in range(CELLS):
        other = own.copy()
        other[cell, 2] = other[cell, 2, ::-1]
        assert (bilevel.forward(images, True, {"normal": tf.constant(other)}).numpy() != same).any()


def test_the_direction_is_the_derivative_of_the_alignment():
    g = tf.random.stateless_normal([3, 4, 2], [5, 6])
    with tf.GradientTape() as tape:
        tape.watch(g)
        value = alignment_of(g)
    flat = g.numpy().reshape(3, -1)
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in itertools.combinations(flat, 2)]
    assert float(value) == pytest.approx(np.mean(cosines), abs=1e-6)
    np.testing.assert_allclose(aligned_cells.direction(g), tape.gradient(value, g), atol=1e-5)


def test_lambda_raises_the_alignment_that_it_optimises(aligned):
    made, bilevel, now = aligned.method.parts["aligned_cells"], aligned.bilevel, tiny.now()
    mixing = bilevel.architecture.mixing_weights()

    def alignment():
        _, g = made.of_cells(bilevel, batch(1), now, mixing)
        assert not g.numpy()[:, DECIDED].any()
        return float(alignment_of(g))

    def in_replica(function):
        return aligned.strategy.run(function)

    before = in_replica(alignment)
    correction = in_replica(lambda: made.correction(bilevel, batch(1), now, mixing))
    start, slope = [w.numpy() for w in bilevel.weights], sum(float(tf.reduce_sum(c**2)) for c in correction)
    step = 0.01 * (1.0 - before) / slope  # a hundredth of the way to full alignment, if that were linear
    for w, s, c in zip(bilevel.weights, start, correction, strict=True):
        w.assign(s - step * c)
    raised = in_replica(alignment) - before
    for w, s in zip(bilevel.weights, start, strict=True):
        w.assign(s)
    assert raised == pytest.approx(step * slope, rel=0.05) and raised > 1e-3


def test_lambda_grows_to_its_factor_in_the_last_epoch(aligned):
    made = aligned.method.parts["aligned_cells"]
    factors = [float(made.factor(tiny.now(progress=t / 5))) for t in range(6)]
    np.testing.assert_allclose(factors, 0.125 * np.array([0, 0.25, 0.5, 0.75, 1, 1]), rtol=1e-5)


@pytest.fixture
def freezing():
    made = tiny.setup(tiny.config(search__method="oles", search__channels=4, frozen_operations__checks=2))
    return made, made.method.parts["frozen_operations"]


def rows_of_weights(made, of):
    """The rows of all packed weights that belong to a candidate (or to none), as one vector."""
    values = [w.numpy() for w in made.bilevel.weights]
    return np.concatenate(
        [v[i] for v, owners in zip(values, of._owners, strict=True) for i, o in enumerate(owners) if o == 0]
    ), np.concatenate(
        [v[i] for v, owners in zip(values, of._owners, strict=True) for i, o in enumerate(owners) if o != 0]
    )


def test_a_frozen_operation_does_not_move_by_a_bit(freezing):
    made, oles = freezing
    step = tf.function(lambda: made.method.step(made.bilevel, batch(1), batch(2), tiny.now()))
    made.strategy.run(step)  # momentum is not zero
    oles.state.frozen[0].assign(1.0)
    before = rows_of_weights(made, oles)
    metrics = made.strategy.run(step)
    after = rows_of_weights(made, oles)
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1] != after[1]).mean() > 0.5 and float(metrics["frozen_operations"]) >= 1


def test_what_overfits_is_frozen_after_so_many_checks(freezing):
    made, oles = freezing
    assert [name.rpartition(" ")[2] for name in oles.names] == ["nor_conv_1x1"] * 3
    gradients = [tf.random.stateless_normal(w.shape, [i, 1]) for i, w in enumerate(made.bilevel.weights)]
    # On the validation batch: the same for the first operation, opposite for the second, at angles for the
    # third.
    signs = {0: 1.0, 1: -1.0, 2: 0.0, -1: 1.0}
    other = [
        tf.constant([[signs[o]] for o in owners]) * g
        + tf.constant([[float(o == 2)] for o in owners]) * tf.random.stateless_normal(g.shape, [i, 2])
        for i, (g, owners) in enumerate(zip(gradients, oles._owners, strict=True))
    ]
    similar = oles.similarities(gradients, other).numpy()
    np.testing.assert_allclose(similar[:2], [1, -1], rtol=1e-5)
    (i,) = (i for i, owners in enumerate(oles._owners) if 2 in owners)
    place, shape = oles._owners[i].index(2), oles._shapes[i]
    a, b = (x[i].numpy()[place].reshape(shape) for x in (gradients, other))
    cosine = (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    assert similar[2] == pytest.approx(cosine.mean(), abs=1e-5)
    for expected in ([0, 0, 0], [0, 1, similar[2] < 0.4]):
        made.strategy.run(lambda: oles.check(gradients, other))
        assert oles.state.frozen.numpy().tolist() == expected
    assert int(oles.state.checks) == 0 and not oles.state.similarity.numpy().any()
    for _ in range(2):  # for good
        made.strategy.run(lambda: oles.check(gradients, gradients))
    assert oles.state.frozen.numpy().tolist() == expected
