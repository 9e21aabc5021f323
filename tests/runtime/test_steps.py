"""Compiled steps: their numbers, their metrics, and passes with a short last batch."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.runtime.steps import PassSteps, Steps


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
