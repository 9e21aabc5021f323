"""A step of values in the place of variables is the step: what is compiled for a TPU is what runs."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.search import loop, plan
from tf_darts.selection.probe import Prober
from tf_darts.tools.tpu_check import lower
from tf_darts.tools.tpu_check.functional import functional


def search_step(made):
    epochs = plan.plan(made.method, made.train.size, 1)
    return loop.search_steps(made, epochs, epochs[0], epochs[0].batch).on_replica


def probe_step(made):
    return Prober(made, made.valid).steps("normal", 3).full_steps.on_replica


@pytest.mark.parametrize("make", [search_step, probe_step])
def test_metrics_and_new_values_are_those_of_the_step(make):
    made = tiny.setup(tiny.config())
    step, number = make(made), tf.constant(2)
    before = tiny.state(made)
    traced = tf.function(functional(step), autograph=False).get_concrete_function(number)
    assert tf.resource not in {t.dtype for t in traced.captured_inputs}
    row, values = traced(number)
    tiny.assert_equal(before, tiny.state(made))  # nothing happened to the variables
    expected = tf.function(step, autograph=False)(number)
    np.testing.assert_allclose(row, expected, rtol=1e-5)
    after = tiny.state(made)
    changed = [b for a, b in zip(before, after, strict=True) if not np.array_equal(a, b)]
    # An optimizer's state names what it trains too: equal arrays are one variable.
    distinct = {b.tobytes() for b in changed}
    assert len(distinct) == len(values) == (0 if make is probe_step else len(distinct))
    for value in changed:
        same = [v.numpy() for v in values if v.shape == value.shape]
        assert min(np.abs(v - value).max() for v in same) < 1e-5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%0 = stablehlo.custom_call @f(%a)", "x: custom_call in the program: not inside XLA"),
        (
            "stablehlo.add : tensor<4x?xf32>",
            r"x: 1 values of a shape that is not static, as tensor<4x\?xf32>",
        ),
    ],
)
def test_what_is_not_xlas_is_refused(text, message):
    operations = lower.operations(text)
    with pytest.raises(ValueError, match=message):
        lower.check("x", text, operations)
    lower.check("x", "stablehlo.add : tensor<4x2xf32>", ["add"])
