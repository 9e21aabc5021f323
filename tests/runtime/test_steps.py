"""Compiled steps: their numbers, their metrics, and passes with a short last batch."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.data.pass_steps import PassSteps
from tf_darts.runtime.steps import Steps


def test_steps_are_numbered_and_give_a_row_each():
    total, traces = tf.Variable(0), []

    def step(number, replica):
        traces.append(number)
        total.assign_add(number)
        return {"number": number, "square": number * number}

    steps = Steps(tiny.one_device(), step, ("number", "square"))
    rows = steps(5, 3)
    assert {name: rows[name].tolist() for name in rows} == {"number": [5, 6, 7], "square": [25, 36, 49]}
    assert rows["number"].dtype == np.float32
    assert steps(0, 1)["number"].tolist() == [0]
    assert total.numpy() == 18 and len(traces) == 1


def test_shares_of_two_replicas_are_summed():
    def step(number, replica):
        return {"replica": replica, "ones": 1.0, "number": number}

    rows = Steps(tiny.two_replicas(), step, ("replica", "ones", "number"))(3, 2)
    assert {name: rows[name].tolist() for name in rows} == {
        "replica": [1, 1],  # 0 and 1
        "ones": [2, 2],
        "number": [6, 8],
    }


def passes(size, batch_size, steps_per_call, strategy=None):
    def make_step(count):
        return lambda number, replica: {"number": number, "images": float(count)}

    strategy = strategy or tiny.one_device()
    return PassSteps(strategy, size, batch_size, make_step, ("number", "images"), steps_per_call)


def run(steps, number):
    rows, count = steps(number)
    assert len(rows["number"]) == count
    return rows["number"].tolist(), rows["images"].tolist()


@pytest.mark.parametrize(
    ("size", "batch_size", "per_pass", "images"), [(10, 4, 3, 10), (8, 4, 2, 8), (3, 4, 1, 3), (4, 4, 1, 4)]
)
def test_a_pass_sees_every_image(size, batch_size, per_pass, images):
    steps = passes(size, batch_size, 10)
    assert (steps.per_pass, steps.images) == (per_pass, images)
    seen, number = [], 0
    while number < per_pass:
        numbers, counts = run(steps, number)
        number += len(numbers)
        seen += counts
    assert number == per_pass and sum(seen) == size


def test_calls_do_not_go_beyond_a_pass_and_keep_the_short_batch_apart():
    steps = passes(14, 4, steps_per_call=2)  # batches of 4, 4, 4, 2
    assert run(steps, 0) == ([0, 1], [4, 4])
    assert run(steps, 2) == ([2], [4])
    assert run(steps, 3) == ([3], [2])
    assert run(steps, 4) == ([4, 5], [4, 4])
    assert run(steps, 5) == ([5, 6], [4, 4])  # as after a stop inside a pass
    assert run(steps, 7) == ([7], [2])


def test_two_replicas_leave_out_the_image_that_does_not_divide():
    strategy = tiny.two_replicas()
    steps = passes(11, 4, 10, strategy)
    assert (steps.per_pass, steps.images) == (3, 10)
    assert (passes(9, 4, 10, strategy).per_pass, passes(9, 4, 10, strategy).images) == (2, 8)


def test_metrics_may_have_a_shape():
    def step(number, replica):
        return {"a": tf.fill([2, 3], number), "b": tf.reshape(tf.range(6), [2, 3]) + number}

    rows = Steps(tiny.one_device(), step, ("a", "b"), (2, 3))(4, 2)
    assert rows["a"].shape == rows["b"].shape == (2, 2, 3)
    np.testing.assert_array_equal(rows["a"][:, 0, 0], [4, 5])
    np.testing.assert_array_equal(rows["b"][1], np.arange(6).reshape(2, 3) + 5)


def test_metrics_with_a_shape_are_summed_over_replicas_place_by_place():
    def step(number, replica):
        return {"own": tf.one_hot(replica, 2) * 10.0 + tf.cast(number, tf.float32)}

    rows = Steps(tiny.two_replicas(), step, ("own",), (2,))(1, 2)
    assert rows["own"].tolist() == [[12, 12], [14, 14]]


def test_the_shape_of_a_metric_may_depend_on_the_batch():
    def make_step(count):
        return lambda number, replica: {"images": tf.fill([2, count], number)}

    steps = PassSteps(
        tiny.one_device(), 10, 4, make_step, ("images",), 5, make_shape=lambda count: (2, count)
    )
    rows, count = steps(0)
    assert count == 2 and rows["images"].shape == (2, 2, 4)
    rows, count = steps(2)
    assert count == 1 and rows["images"].shape == (1, 2, 2) and (rows["images"] == 2).all()


@pytest.mark.parametrize(
    ("size", "steps_per_call", "calls"),
    [(14, 2, 3), (12, 2, 2), (14, 9, 2), (3, 9, 1), (4, 1, 1), (17, 1, 5), (12, 3, 1)],
)
def test_number_of_calls_that_a_pass_takes(size, steps_per_call, calls):
    steps = passes(size, 4, steps_per_call)
    number = made = 0
    while number < steps.per_pass:
        number, made = number + steps(number)[1], made + 1
    assert made == calls
