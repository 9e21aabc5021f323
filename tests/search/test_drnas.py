"""DrNAS: Dirichlet draws, their means and gradients, and the distance to the uniform distribution."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from tests.search import drawing, tiny
from tests.search.drawing import DECIDED, REMOVED, batch
from tf_darts.search.parts import dirichlet
from tf_darts.search.parts.dirichlet_kl import distance

ALPHA = np.float32([[1.0, -0.5, 0.3], [0.0, 0.0, 0.0], [2.0, 1.0, -2.0]])
OPEN = np.array([[True, True, True], [True, True, False], [True, True, True]])
DRAWS = 6000


def concentrations(alpha=ALPHA):
    alpha = alpha.astype(np.float64)
    return np.where(OPEN, np.where(alpha > 0, alpha + 1, np.exp(np.minimum(alpha, 0))), 0)


@pytest.fixture(scope="module")
def many():
    """Many draws, float32 [draws, 3, 3], and the gradient of the mean of each row's first entry in alpha."""

    @tf.function
    def run():
        alpha = tf.constant(ALPHA)
        with tf.GradientTape() as tape:
            tape.watch(alpha)
            rows = tf.map_fn(
                lambda n: dirichlet.draw(alpha, tf.constant(OPEN), tf.stack([3, n])),
                tf.range(DRAWS),
                fn_output_signature=tf.float32,
            )
            first = tf.reduce_sum(tf.reduce_mean(rows, 0)[:, 0])
        return rows, tape.gradient(first, alpha)

    rows, gradient = run()
    return rows.numpy(), gradient.numpy()


def test_rows_are_distributions_over_what_is_open(many):
    rows, _ = many
    np.testing.assert_allclose(rows.sum(-1), 1, rtol=1e-5)
    assert (rows >= 0).all() and not rows[:, ~OPEN].any()


def test_means_and_variances_are_those_of_the_distribution(many):
    rows, _ = many
    c = concentrations()
    total = c.sum(1, keepdims=True)
    mean = c / total
    variance = mean * (1 - mean) / (total + 1)
    np.testing.assert_allclose(dirichlet.mean(tf.constant(ALPHA), tf.constant(OPEN)), mean, rtol=1e-5)
    assert (abs(rows.mean(0) - mean) <= 4 * np.sqrt(variance / DRAWS) + 1e-7).all()
    np.testing.assert_allclose(rows.var(0), variance, rtol=0.25, atol=1e-7)  # one has a heavy tail


def test_single_entries_have_beta_distributions(many):
    rows, _ = many
    c = concentrations()
    for edge, operation in ((0, 0), (0, 1), (1, 0), (2, 2)):
        beta = stats.beta(c[edge, operation], c[edge].sum() - c[edge, operation])
        assert stats.kstest(rows[:, edge, operation], beta.cdf).pvalue > 1e-3


def test_the_pathwise_gradient_is_that_of_the_mean(many):
    _, gradient = many
    alpha = tf.constant(ALPHA)
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        first = tf.reduce_sum(dirichlet.mean(alpha, tf.constant(OPEN))[:, 0])
    expected = tape.gradient(first, alpha).numpy()
    assert abs(expected).max() > 0.1
    np.testing.assert_allclose(gradient, expected, atol=0.015)


def kl(c):
    """KL(Dir(c) || Dir(1)) of two operations, by integration over the first one's weight."""
    beta = stats.beta(*c)
    return integrate.quad(lambda x: beta.pdf(x) * beta.logpdf(x), 0, 1, limit=200)[0]  # log Dir(1) is 0


@pytest.mark.parametrize("alpha", [(0.0, 0.0), (1.5, 0.2), (-0.3, 2.0), (-0.2, -0.4)])
def test_the_distance_is_the_integral(alpha):
    c = [a + 1 if a > 0 else np.exp(a) for a in alpha]
    found = distance(tf.constant([[*alpha, 9.0]]), tf.constant([[True, True, False]]))
    assert float(found) == pytest.approx(kl(c), rel=1e-4, abs=1e-6)


def test_the_distance_of_several_edges_and_operations_is_their_sum():
    alpha = np.float32([[1.0, -0.5, 0.3], [0.6, -0.2, 5.0], [2.0, 1.0, -0.6]])
    found, expected = float(distance(tf.constant(alpha), tf.constant(OPEN))), 0.0
    spread, draw = 0.0, np.random.default_rng(0)
    for row, is_open in zip(concentrations(alpha), OPEN, strict=True):
        dirichlet, uniform = stats.dirichlet(row[is_open]), stats.dirichlet(np.ones(is_open.sum()))
        x = draw.dirichlet(row[is_open], 20000).T
        gaps = dirichlet.logpdf(x) - uniform.logpdf(x)
        expected += gaps.mean()
        spread += gaps.var() / gaps.size
    assert found == pytest.approx(expected, abs=4 * spread**0.5)


def slope(alpha, is_open):
    alpha = tf.constant(alpha)
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        value = distance(alpha, tf.constant(is_open))
    return tape.gradient(value, alpha).numpy()


def test_the_distance_pulls_every_alpha_to_zero():
    assert not slope(np.zeros([2, 3], np.float32), np.ones([2, 3], bool)).any()
    for value in (0.5, 3.0, -0.5, -3.0):
        alpha = np.zeros([1, 3], np.float32)
        alpha[0, 1] = value
        assert np.sign(slope(alpha, np.ones([1, 3], bool))[0, 1]) == np.sign(value)


def test_very_negative_alphas_stay_finite():
    alpha, is_open = tf.constant([[-30.0, -50.0], [-1000.0, 3.0]]), tf.ones([2, 2], bool)
    for rows in (dirichlet.mean(alpha, is_open), dirichlet.draw(alpha, is_open, tf.constant([1, 1]))):
        np.testing.assert_allclose(rows.numpy().sum(1), 1, rtol=1e-5)
    assert np.isfinite(slope(alpha.numpy(), is_open.numpy())).all()


def mix(architecture, now):
    """The mixing weights in the step of the weights."""
    sampler = tiny.method("drnas").parts["dirichlet"]
    return architecture.mixing_weights(sampler.sample(architecture, now, "train"))


def test_decided_rows_are_exactly_one_hot():
    architecture = drawing.architecture(normalise=dirichlet.mean)
    for number in range(20):
        rows = mix(architecture, tiny.now(number))["normal"].numpy()
        assert rows[DECIDED].tolist() == [0, 0, 1] and not rows[REMOVED].any() and rows[0, 2] == 0
    assert architecture.probabilities()["normal"].numpy()[DECIDED].tolist() == [0, 0, 1]


def test_both_halves_of_a_step_use_draws_of_their_own():
    used, again, other = (
        drawing.mixing_weights_of(drawing.setup(search__method="drnas"), number) for number in (0, 0, 1)
    )
    for half in ("alpha", "weights"):
        np.testing.assert_array_equal(used[half]["normal"], again[half]["normal"])
        assert (used[half]["normal"][[0, 2, 4]] != other[half]["normal"][[0, 2, 4]]).any(1).all()
    assert (used["alpha"]["normal"][[0, 2, 4]] != used["weights"]["normal"][[0, 2, 4]]).any(1).all()


def test_alpha_descends_the_loss_of_the_draw_and_the_distance():
    gradients = {}
    for regularization in (0.0, 2.0):
        made = drawing.setup(search__method="drnas", drnas__regularization=regularization)
        bilevel, method, now = made.bilevel, made.method, tiny.now(3)
        applied = []
        bilevel.alpha_optimizer.apply = applied.append
        tiny.one_device().run(lambda m=method, b=bilevel, n=now: m.fit_alpha(b, batch(1), batch(2), n))
        gradients[regularization] = applied[0][0].numpy()
        with tf.GradientTape() as tape:
            mixing = method.mixing(bilevel, now, "valid")
            logits = bilevel.forward(batch(2)[0], training=True, mixing_weights=mixing)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch(2)[1], logits)
            loss = tf.reduce_mean(losses)
        alpha = bilevel.architecture.alpha["normal"]
        of_loss = tape.gradient(loss, alpha).numpy()
        pull = slope(alpha.numpy(), bilevel.architecture.open_operations["normal"].numpy())
        np.testing.assert_allclose(
            gradients[regularization], of_loss + regularization * pull, rtol=1e-4, atol=1e-6
        )
    assert abs(gradients[2.0] - gradients[0.0]).max() > 1e-2


def test_replicas_draw_the_same():
    strategy = tiny.two_replicas()
    with strategy.scope():
        architecture = drawing.architecture(normalise=dirichlet.mean)
    function = tf.function(
        lambda: strategy.run(lambda: mix(architecture, tiny.now(3))["normal"]),
        autograph=False,
    )
    first, second = strategy.experimental_local_results(function())
    np.testing.assert_array_equal(first, second)
    alone = mix(drawing.architecture(normalise=dirichlet.mean), tiny.now(3))
    np.testing.assert_array_equal(first, alone["normal"])
