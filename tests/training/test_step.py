"""The loss of a network and drop path, by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models.network import Network
from tf_darts.optim.optimizers import SGD
from tf_darts.training.step import drop_path_factors, network_loss, training_step

LOGITS = tf.constant([[0.0, math.log(3.0)], [0.0, 0.0]])  # probabilities 1/4, 3/4 and 1/2, 1/2
AUXILIARY = tf.constant([[0.0, 0.0], [math.log(4.0), 0.0]])  # 1/2, 1/2 and 4/5, 1/5
LABELS = tf.constant([1, 0])


def test_loss_is_the_mean_cross_entropy():
    loss = network_loss(LOGITS, None, LABELS, 2, 0.4)
    assert float(loss) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_a_replicas_share_is_divided_by_the_global_batch():
    loss = network_loss(LOGITS, None, LABELS, 8, 0.4)
    assert float(loss) == pytest.approx((math.log(4 / 3) + math.log(2)) / 8)


def test_the_auxiliary_loss_is_added_with_its_weight():
    loss = network_loss(LOGITS, AUXILIARY, LABELS, 2, 0.4)
    plain, auxiliary = math.log(4 / 3) + math.log(2), math.log(2) + math.log(5 / 4)
    assert float(loss) == pytest.approx((plain + 0.4 * auxiliary) / 2)


def test_label_smoothing_spreads_part_of_the_target_in_both_losses():
    loss = network_loss(LOGITS, AUXILIARY, LABELS, 2, 0.5, 0.2)
    # Targets: 0.9 for the label, 0.1 for the other class.
    plain = 0.9 * math.log(4 / 3) + 0.1 * math.log(4) + math.log(2)
    auxiliary = math.log(2) + 0.9 * math.log(5 / 4) + 0.1 * math.log(5)
    assert float(loss) == pytest.approx((plain + 0.5 * auxiliary) / 2, rel=1e-6)


def factors(probability, seed=(1, 2), edges=4, total=6, share=None, offset=0):
    share = total if share is None else share
    return drop_path_factors(
        tf.constant(seed), tf.constant(probability), edges, total, share, tf.constant(offset)
    ).numpy()


def test_drop_path_factors_are_zero_or_make_up_for_the_dropped():
    keep = factors(0.25, total=4000)
    assert keep.shape == (4, 4000, 1, 1, 1)
    np.testing.assert_allclose(np.unique(keep), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_allclose(keep.mean(axis=(1, 2, 3, 4)), 1, atol=0.04)  # deviation 0.009
    dropped = (keep == 0).reshape(4, -1)
    for a in range(4):
        for b in range(a):  # edges are independent: both dropped with probability 1/16
            assert (dropped[a] & dropped[b]).mean() == pytest.approx(1 / 16, abs=0.016)


def test_drop_path_with_probability_zero_drops_nothing():
    np.testing.assert_array_equal(factors(0.0), 1.0)


def test_drop_path_depends_on_the_seed_alone_not_on_the_replicas():
    whole = factors(0.5)
    halves = [factors(0.5, share=3, offset=offset) for offset in (0, 3)]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), whole)
    np.testing.assert_array_equal(factors(0.5), whole)
    assert (factors(0.5, seed=(1, 3)) != whole).any() and (factors(0.5, seed=(2, 2)) != whole).any()


def test_one_step_of_training_by_hand():
    genotype = Genotype("tiny", {"normal": (Choice(3, 0, "nor_conv_1x1"), Choice(3, 2, "skip_connect"))})
    network = Network(tiny.SPACE, genotype, 2, 1, 10, 1, seed=5)
    weights = [v.value for v in network.trainable_variables]
    before = [w.numpy() for w in weights]
    settings = tiny.config(training__momentum=0.0, training__weight_decay=0.0).training
    optimizer = SGD(weights, 0.0, 0.0, 0.0)
    images, labels = tf.random.stateless_normal([6, 8, 8, 1], [0, 1]), tf.constant([0, 1, 2, 3, 4, 5])
    with tf.GradientTape() as tape:
        logits, _ = network(images, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    gradients = tape.gradient(loss, weights)

    step = tf.function(lambda: training_step(network, optimizer, settings, (images, labels), 6, 0.1, None))
    metrics = tiny.one_device().run(step)

    assert float(metrics["train_loss"]) == pytest.approx(float(loss), rel=1e-5)
    hits = (logits.numpy().argmax(1) == labels.numpy()).mean()
    assert float(metrics["train_accuracy"]) == pytest.approx(hits)
    assert float(metrics["gradient_norm"]) == pytest.approx(float(tf.linalg.global_norm(gradients)), rel=1e-5)
    for weight, old, gradient in zip(weights, before, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), old - 0.1 * gradient.numpy(), rtol=1e-4, atol=1e-6)
