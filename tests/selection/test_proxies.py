"""The zero-cost proxies against computations by hand, on the tiny supernet as it starts."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts import registry
from tf_darts.data.batches import of_passes
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import proxies
from tf_darts.selection.criterion import View
from tf_darts.selection.measurer import Measurer
from tf_darts.selection.probe_steps import PURPOSE

NAMES = ("nwot", "snip", "gradient_norm", "synflow", "fisher", "grasp", "jacobian_covariance")


@pytest.fixture(scope="module")
def made():
    return tiny.setup(tiny.config(seed=3, search__alpha_scale=1.0, selection__order="index"))


@pytest.fixture(scope="module")
def batch(made):
    return of_passes(made.valid, PURPOSE, 8, 8, 1, True)(tf.constant(0), tf.constant(0))


def scored(made, batch, proxy):
    weights = made.bilevel.architecture.mixing_weights
    return float(tf.function(lambda: proxy.score(View(made.bilevel, *batch, weights())))())


@pytest.fixture
def moved(made):
    """Returns what computes something with the weights moved; they are put back."""
    variables = made.bilevel.weights
    start = [v.numpy() for v in variables]

    def at(values, compute):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        try:
            return compute()
        finally:
            for variable, value in zip(variables, start, strict=True):
                variable.assign(value)

    return start, at


def gradients(made, batch):
    bilevel: Bilevel = made.bilevel
    with bilevel.untracked():
        return [np.array(g, np.float64) for g in bilevel.gradients(batch, 8, bilevel.weights).gradients]


def test_nwot_is_the_log_determinant_of_how_alike_the_codes_are(made, batch):
    supernet = made.bilevel.supernet
    with supernet.packed.unpacked():
        entering = supernet.body.start(batch[0], training=False)[0].x.numpy()
    codes = (entering.reshape(8, -1) > 0).astype(float)  # the one ReLU, which all edges share
    alike = [[(a == b).sum() for b in codes] for a in codes]
    assert scored(made, batch, proxies.Nwot()) == pytest.approx(np.log(np.linalg.det(alike)), rel=1e-5)


def test_nwot_of_images_that_are_alike_is_the_lowest_there_is(made, batch):
    twice = tf.repeat(batch[0][:4], 2, axis=0), batch[1]
    assert scored(made, twice, proxies.Nwot()) < -20


def test_snip_and_the_gradient_norm(made, batch):
    found = gradients(made, batch)
    weights = [v.numpy() for v in made.bilevel.weights]
    snip = sum(np.abs(w * g).sum() for w, g in zip(weights, found, strict=True))
    assert scored(made, batch, proxies.Snip()) == pytest.approx(snip, rel=1e-4)
    # A row for each kernel; the classifier's kernel and bias are variables of one row each.
    norm = sum(np.linalg.norm(row) for g in found for row in g)
    assert scored(made, batch, proxies.GradientNorm()) == pytest.approx(norm, rel=1e-4)


def test_synflow_is_how_the_logits_of_ones_grow_with_the_size_of_all_weights(made, batch, moved):
    start, at = moved

    def total(scale):
        ones = tf.ones([1, *batch[0].shape[1:]])
        compute = lambda: float(tf.reduce_sum(made.bilevel.forward(ones, training=False)))  # noqa: E731
        return at([scale * np.abs(w) for w in start], compute)

    step = 1e-2
    expected = (total(1 + step) - total(1 - step)) / (2 * step)
    assert scored(made, batch, proxies.SynFlow()) == pytest.approx(expected, rel=1e-2)


def test_fisher_is_how_the_loss_depends_on_the_size_of_each_channel_of_each_image(made, batch, monkeypatch):
    expected = scored(made, batch, proxies.Fisher())
    scale, relu = tf.Variable(tf.ones([8, 1, 1, 2])), tf.nn.relu
    monkeypatch.setattr(tf.nn, "relu", lambda x: scale * relu(x))
    with made.bilevel.untracked(), tf.GradientTape() as tape:
        logits = made.bilevel.forward(batch[0], training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch[1], logits)
        loss = tf.reduce_mean(losses)
    slopes = tape.gradient(loss, scale).numpy().reshape(8, 2)
    assert expected == pytest.approx((slopes**2).mean(0).sum() / 2, rel=1e-4) and expected > 0


def test_a_network_without_relus_has_the_lowest_score(batch):
    made = tiny.setup(tiny.config(seed=3))
    architecture = made.bilevel.architecture
    architecture.restrict({"normal": np.eye(2, dtype=np.float32)[[0, 0, 0]]})  # skip connections alone
    architecture.compact()
    assert scored(made, batch, proxies.Fisher()) == 0
    assert scored(made, batch, proxies.Nwot()) == np.finfo(np.float32).min


def test_grasp_is_how_the_gradient_along_the_weights_changes_along_the_gradient(made, batch, moved):
    start, at = moved
    direction = gradients(made, batch)
    step = 1e-2 / np.sqrt(sum((g**2).sum() for g in direction))

    def along(sign):
        values = [w + sign * step * g for w, g in zip(start, direction, strict=True)]
        found = at(values, lambda: gradients(made, batch))
        return sum((w * g).sum() for w, g in zip(start, found, strict=True))

    expected = -(along(1) - along(-1)) / (2 * step)
    assert scored(made, batch, proxies.Grasp()) == pytest.approx(expected, rel=2e-2)


def test_jacobian_covariance_is_of_the_correlations_between_images(made, batch):
    images = tf.Variable(batch[0])
    with made.bilevel.untracked(), tf.GradientTape() as tape:
        total = tf.reduce_sum(made.bilevel.forward(images, training=True))
    rows = tape.gradient(total, images).numpy().reshape(8, -1).astype(float)
    values = np.linalg.eigvalsh(np.corrcoef(rows)) + 1e-5
    expected = -(np.log(values) + 1 / values).sum()
    assert scored(made, batch, proxies.JacobianCovariance()) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_criterion_that_says_minus_the_score_without_what_is_removed(made, batch, name):
    proxy = registry.CRITERIA.load(name)()
    measures = Measurer(made, made.valid, True)(proxy, "normal", [(0, 1), (1, None)], 0)
    for value, (edge, columns) in zip(measures.values, ((0, [1]), (1, [0, 1])), strict=True):
        mask = np.ones((3, 2), np.float32)
        mask[edge, columns] = 0
        weights = {"normal": made.bilevel.architecture.mixing_weights()["normal"] * mask}
        score = tf.function(lambda weights=weights: proxy.score(View(made.bilevel, *batch, weights)))()
        assert value == pytest.approx(-float(score), rel=1e-4)
    assert (measures.images, measures.passes) == (8, 2 * 8 * proxy.passes)


def test_the_hessian_is_symmetric_and_takes_the_gradient_by_default(made, batch):
    """That the default is right GraSP's test shows, by a difference."""
    shapes = [variable.shape for variable in made.bilevel.weights]
    first, second = (
        [np.random.default_rng([seed, i]).normal(size=shape) for i, shape in enumerate(shapes)]
        for seed in (0, 1)
    )

    @tf.function(autograph=False)
    def times(*vectors):
        view = View(made.bilevel, *batch, made.bilevel.architecture.mixing_weights())
        return view.hessian_times([tf.cast(v, tf.float32) for v in vectors] or None)

    def dot(a, b):
        return sum((np.float64(x) * np.float64(y)).sum() for x, y in zip(a, b, strict=True))

    assert dot(second, times(*first)) == pytest.approx(dot(first, times(*second)), rel=1e-3)
    own = times(*gradients(made, batch))
    for found, expected in zip(times(), own, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
