"""Passes over a set: what they count, in which order, and how often they are compiled."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.data.image_set import ImageSet
from tf_darts.data.transform import Transform
from tf_darts.models.evaluator import Evaluator, Score

LABELS = np.array([0, 1, 0, 0, 1, 0, 0])
PLAIN = Transform(np.zeros(1), np.full(1, 1 / 255))


def evaluator(forward, batch_size=3, augment=False, steps_per_call=1):
    """Over seven images that are filled with their own numbers."""
    images = np.broadcast_to(np.arange(7, dtype=np.uint8)[:, None, None, None], (7, 2, 2, 1))
    data = ImageSet(images, LABELS, PLAIN, seed=1)
    return Evaluator(
        tiny.one_device(), data, batch_size, forward, "test", augment, steps_per_call=steps_per_call
    )


def always_0(images):
    """Logits that say class 0 with probability 3/4."""
    return tf.tile(tf.math.log([[3.0, 1.0]]), [images.shape[0], 1])


@pytest.mark.parametrize(("batch_size", "batches"), [(3, 3), (7, 1), (8, 1), (1, 7)])
@pytest.mark.parametrize("augment", [False, True])
def test_every_image_counts_once(batch_size, batches, augment):
    evaluate = evaluator(always_0, batch_size, augment, steps_per_call=2)
    score = evaluate(4)
    assert (score.correct, score.images, evaluate.batches) == (5, 7, batches)
    assert score.accuracy == 5 / 7
    assert score.loss == pytest.approx(-(5 * np.log(0.75) + 2 * np.log(0.25)) / 7, rel=1e-6)


def test_each_call_is_told_how_far_the_pass_is():
    done = []
    evaluator(always_0, batch_size=2, steps_per_call=2)(0, done.append)
    assert done == [2, 3, 4]  # two full batches, one, and the image left


def test_the_order_is_that_of_the_set_or_drawn_for_the_pass():
    seen = tf.Variable(tf.zeros([7]))

    def watching(images):
        seen.assign(images[:, 0, 0, 0])
        return always_0(images)

    def order(evaluate, pass_index):
        evaluate(pass_index)
        return np.rint(seen.numpy()).astype(int).tolist()

    assert order(evaluator(watching, 7), 3) == list(range(7))
    shuffled = evaluator(watching, 7, augment=True)
    orders = [order(shuffled, p) for p in (0, 1, 0)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(7))
    assert orders[0] == orders[2] != orders[1]


def test_a_variable_that_changes_is_seen_without_tracing_again():
    favourite, traces = tf.Variable(0), []

    def forward(images):
        traces.append(images.shape[0])
        return tf.one_hot(tf.fill([images.shape[0]], favourite), 2) * 9

    evaluate = evaluator(forward)
    assert evaluate().correct == 5
    favourite.assign(1)
    assert evaluate(1).correct == 2
    assert sorted(traces) == [1, 3]


def test_accuracy_is_the_share_of_correct_images():
    assert Score(correct=3, images=4, loss=1.0).accuracy == 0.75


def test_images_with_the_label_among_the_five_largest_logits():
    """Seven classes in the order 0, 1, ..., 6 for every image, of labels 0, 4, 5, 6 and two that tie."""
    images = np.zeros((6, 2, 2, 1), np.uint8)
    data = ImageSet(images, np.array([0, 4, 5, 6, 1, 1]), PLAIN, seed=1)
    ordered = [[7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]] * 4
    tied = [[1.0] * 7] * 2  # nothing is larger than the label's

    def forward(batch):
        return tf.constant(ordered + tied)

    evaluate = Evaluator(tiny.one_device(), data, 6, forward, "test", False, 1, top_5=True)
    score = evaluate()
    assert (score.in_top_5, score.images) == (4, 6)
    assert Evaluator(tiny.one_device(), data, 6, forward, "test", False, 1)().in_top_5 is None
