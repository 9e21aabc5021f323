"""Two and four replicas compute what one does: gradients, updates, checkpoints, metrics and evaluation.

Batch statistics are those of a replica's own images, so that one device and several agree only where all
shares of a batch have the same statistics: here they are the same images. Where batch norm is synchronised
they are any images.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tests.search.replicas import TOTAL, on_first, whole
from tf_darts.optim.optimizers import sum_over_replicas
from tf_darts.runtime.steps import Steps
from tf_darts.workdir.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def strategies():
    return {1: tiny.one_device(), 2: tiny.some_replicas(2), 4: tiny.some_replicas(4)}


several = pytest.mark.parametrize("replicas", [2, 4])


def gradients(strategy, replicas):
    made = tiny.setup(tiny.config(), strategy=strategy)
    bilevel = made.bilevel

    @tf.function
    def run():
        def on_replica():
            alpha = bilevel.alpha_gradients(whole(0, replicas), TOTAL)
            weights = bilevel.weight_gradients(whole(1, replicas), TOTAL)
            return sum_over_replicas(alpha.gradients), sum_over_replicas(weights.gradients)

        return strategy.run(on_replica)

    return [on_first(strategy, part) for part in run()]


@pytest.fixture(scope="module")
def of_the_whole(strategies):
    return gradients(strategies[1], 1)


@several
def test_gradients_of_a_shared_batch_are_those_of_the_whole(strategies, of_the_whole, replicas):
    found = gradients(strategies[replicas], replicas)
    for expected, of_shares in zip(of_the_whole, found, strict=True):
        largest = max(abs(a).max() for a in expected)
        assert len(expected) == len(of_shares) > 0 and all(a.any() for a in expected)
        for a, b in zip(expected, of_shares, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6 * largest)


def in_shares(strategy):
    """Weight gradients of a batch that differs between replicas, and the running statistics after it."""
    made = tiny.setup(tiny.config(runtime__sync_batch_norm=True), strategy=strategy)
    images, labels = tf.random.stateless_normal([8, 8, 8, 1], [5, 0]), tf.range(8) % 10

    @tf.function
    def run():
        def on_replica():
            context = tf.distribute.get_replica_context()
            share = 8 // context.num_replicas_in_sync
            first = context.replica_id_in_sync_group * share
            batch = tf.slice(images, [first, 0, 0, 0], [share, 8, 8, 1]), tf.slice(labels, [first], [share])
            return sum_over_replicas(made.bilevel.weight_gradients(batch, 8).gradients)

        return strategy.run(on_replica)

    found = [on_first(strategy, [part])[0] for part in run()]
    return found, [v.numpy() for v in made.bilevel.supernet.variables if not v.trainable]


@pytest.fixture(scope="module")
def not_shared(strategies):
    return in_shares(strategies[1])


@several
def test_synchronised_batch_norm_has_the_statistics_of_the_whole_batch(strategies, not_shared, replicas):
    (gradient, statistics), (of_shares, found) = not_shared, in_shares(strategies[replicas])
    largest = max(abs(g).max() for g in gradient)
    for a, b in zip(gradient, of_shares, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * largest)
    for a, b in zip(statistics, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


def updated(strategy, replicas):
    """A setup after three bilevel steps, and the steps' metrics."""
    made = tiny.setup(tiny.config(), strategy=strategy)
    method = tiny.method("darts")

    def step(number, replica):
        train, valid = whole(number, replicas), whole(number + 100, replicas)
        return method.step(made.bilevel, train, valid, tiny.now(number, 0.05, TOTAL))

    return made, Steps(strategy, step, method.metrics + method.alpha_metrics)(0, 3)


@pytest.fixture(scope="module")
def after_steps(strategies):
    return {replicas: updated(strategy, replicas) for replicas, strategy in strategies.items()}


@several
def test_three_bilevel_steps_lead_to_the_same_alpha_and_weights(after_steps, replicas):
    one, found = after_steps[1][0].bilevel, after_steps[replicas][0].bilevel
    a, b = (m.architecture.alpha["normal"].numpy() for m in (one, found))
    # Adam divides a gradient by its size: a small one's rounding counts as much as a large one's.
    np.testing.assert_allclose(b, a, rtol=1e-5, atol={2: 1e-6, 4: 5e-6}[replicas])
    for x, y in zip(one.weights, found.weights, strict=True):
        np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=1e-5, atol=1e-6)
    # Running variances are unbiased by n/(n-1) with a replica's own n, at least its images' 8x8 pixels.
    for x, y in zip(tiny.values(one.supernet), tiny.values(found.supernet), strict=True):
        np.testing.assert_allclose(y, x, rtol=replicas / (TOTAL * 64), atol=1e-6)


@several
def test_metrics_of_a_step_are_those_of_the_global_batch(after_steps, replicas):
    for name, ones in after_steps[1][1].items():
        np.testing.assert_allclose(after_steps[replicas][1][name], ones, rtol=1e-5, err_msg=name)


def assert_identical(strategy, bilevel, replicas):
    """All replicas have the same alpha and weights, to the bit."""
    for variable in [*bilevel.architecture.alpha.values(), *bilevel.weights]:
        first, *others = (part.numpy() for part in strategy.experimental_local_results(variable))
        assert len(others) == replicas - 1
        for other in others:
            np.testing.assert_array_equal(first, other)


@several
def test_alpha_and_weights_are_identical_on_all_replicas(after_steps, strategies, replicas):
    assert_identical(strategies[replicas], after_steps[replicas][0].bilevel, replicas)


@several
def test_different_images_on_the_replicas_give_one_alpha(strategies, replicas):
    made = tiny.setup(tiny.config(), strategy=strategies[replicas])
    steps, per_epoch = tiny.search_steps(made)
    columns = steps(0, per_epoch)
    np.testing.assert_allclose(columns["learning_rate"], 0.025, rtol=1e-6)
    assert ((8 * columns["train_accuracy"]) % 1 == 0).all()
    assert_identical(strategies[replicas], made.bilevel, replicas)


@pytest.mark.parametrize(("saved_on", "restored_on"), [(2, 1), (1, 2), (4, 2)])
def test_a_checkpoint_moves_between_numbers_of_replicas(
    after_steps, strategies, tmp_path, saved_on, restored_on
):
    saved = after_steps[saved_on][0]
    Checkpoints(tmp_path, 10.0, ("step",), **saved.state()).save(step=3)
    made = tiny.setup(tiny.config(seed=1), strategy=strategies[restored_on])
    with strategies[restored_on].scope():
        checkpoints = Checkpoints(tmp_path, 10.0, ("step",), **made.state())
    assert checkpoints.restore() == {"step": 3}
    tiny.assert_equal(tiny.state(made), tiny.state(saved))
    for variable in made.bilevel.supernet.variables:
        for part in strategies[restored_on].experimental_local_results(variable.value):
            np.testing.assert_array_equal(part.numpy(), variable.numpy())


def test_evaluation_counts_the_same_images_and_leaves_out_what_does_not_divide(strategies):
    scores = {}
    for replicas, strategy in strategies.items():
        settings = tiny.config(data__limit_test=21)
        made = tiny.setup(settings, strategy=strategy)
        evaluator = made.evaluator(made.test, "test", training=False, augment=False)
        scores[replicas] = evaluator()
        assert evaluator() == scores[replicas]
    assert scores[1].images == 21  # 8, 8 and 5, of which two or four share 4
    assert scores[2].images == scores[4].images == 20

    settings = tiny.config(data__limit_test=20)
    made = tiny.setup(settings)
    fewer = made.evaluator(made.test, "test", training=False, augment=False)()
    for shared in (scores[2], scores[4]):
        assert (fewer.correct, fewer.images) == (shared.correct, shared.images)
        assert shared.loss == pytest.approx(fewer.loss, rel=1e-6)
    logits = made.bilevel.forward(made.test.pass_batch("", 0, 0, 20, 20, False, False)[0], training=False)
    labels = made.test.pass_batch("", 0, 0, 20, 20, False, False)[1].numpy()
    assert fewer.correct == (logits.numpy().argmax(1) == labels).sum()
    picked = np.take_along_axis(tf.nn.log_softmax(logits).numpy(), labels[:, None], 1)
    assert fewer.loss == pytest.approx(-picked.mean(), rel=1e-5)
