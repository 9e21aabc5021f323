"""Packed variables, and the layers' own: rows of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.errors import UserError
from tf_darts.layers.packed_variables import PackedVariables
from tf_darts.layers.row import Row, set_values, variables_as_rows


def variable(value, trainable=True, name="kernel", dtype="float32"):
    with variables_as_rows():
        return keras.Variable(np.asarray(value), dtype=dtype, trainable=trainable, name=name)


@pytest.fixture
def own():
    return {
        "a": variable([1, 2]),
        "b": variable([[3.0]]),
        "c": variable([4, 5], name="another"),
        "mean": variable([6, 7], False, "mean"),
        "variance": variable([8, 9], False, "variance"),
        "mean_2": variable([10, 11], False, "mean"),
        "draws": variable(12, False, "draws", "int32"),
    }


@pytest.fixture
def packed(own):
    return PackedVariables(list(own.values()))


def test_one_variable_for_each_shape_and_kind_in_order(own, packed):
    kinds = [(v.trainable, v.numpy().tolist()) for v in packed.variables]
    assert kinds == [
        (True, [[1, 2], [4, 5]]),
        (True, [[3]]),
        (False, [[6, 7], [10, 11]]),  # kept apart by name, as they are assigned apart
        (False, [[8, 9]]),
    ]
    members = [[id(v) for v in group] for _, group in packed.members]
    names = [["a", "c"], ["b"], ["mean", "mean_2"], ["variance"]]
    assert members == [[id(own[name]) for name in group] for group in names]
    assert all(p is v for (p, _), v in zip(packed.members, packed.variables, strict=True))
    assert len({v.name for v in packed.variables}) == 4  # checkpoints tell them apart


def test_packing_keeps_how_replicas_treat_a_variable():
    # A variable that is averaged over replicas when it is read.
    with tiny.two_replicas().scope():
        with variables_as_rows():
            mean = keras.Variable(
                np.zeros(2), dtype="float32", trainable=False, aggregation="mean", synchronization="on_read"
            )
        packed = PackedVariables([mean]).variables[0]
        assert (packed.aggregation, packed.synchronization) == ("mean", "on_read")
        mean.assign([3.0, 4.0])
    np.testing.assert_array_equal(mean, [3, 4])


def test_float_variables_alone_are_rows(own, packed):
    assert [name for name, v in own.items() if isinstance(v.value, Row)] == list(own)[:-1]
    assert [v.name for v in packed.others] == ["draws"]
    assert sum(v.shape[0] for v in packed.variables) == 6


def test_a_row_that_is_not_placed_has_its_first_value():
    row = variable([[1, 2]])
    assert row.numpy().tolist() == [[1, 2]] and (row.value + 1.0).numpy().tolist() == [[2, 3]]
    row.assign([[5, 6]])  # as a layer may that sets its weights as it is built
    assert PackedVariables([row]).variables[0].numpy().tolist() == [[5, 6]]


def test_what_is_made_without_keras_stays_its_own():
    with variables_as_rows():
        assert not isinstance(tf.Variable(1.0, dtype="float32"), Row)


def test_variables_of_another_model_are_refused():
    of_its_own, row = keras.Variable([1.0], name="shared"), variable([1.0], name="shared")
    PackedVariables([row])
    message = "^variable shared was there before its supernet; allowed: layers made anew for each$"
    for shared in (of_its_own, row):
        with pytest.raises(UserError, match=message):
            PackedVariables([shared])


def test_reading_and_setting(own, packed):
    values = [(own["c"], np.float32([40, 50])), (own["b"], np.float32([[30]])), (own["mean"], [60, 70])]
    set_values([*values, (own["draws"], 13)])
    assert {name: v.numpy().tolist() for name, v in own.items()} == {
        "a": [1, 2],
        "b": [[30]],
        "c": [40, 50],
        "mean": [60, 70],
        "variance": [8, 9],
        "mean_2": [10, 11],
        "draws": 13,
    }
    assert packed.variables[0].numpy().tolist() == [[1, 2], [40, 50]]


@pytest.mark.parametrize("compiled", [False, True])
def test_outside_of_a_pass_a_row_is_read_and_assigned_alone(own, packed, compiled):
    def step():
        own["c"].assign(own["c"] + own["a"].value)
        return own["c"].value[0]

    step = tf.function(step) if compiled else step
    assert [step().numpy() for _ in range(2)] == [5, 6]
    assert packed.variables[0].numpy().tolist() == [[1, 2], [6, 9]]
    packed.variables[0].assign([[7, 8], [0, 0]])
    np.testing.assert_array_equal(own["a"], [7, 8])


def test_unpacked_gives_current_values(own, packed):
    packed.variables[0].assign([[1.5, 2.5], [4.5, 5.5]])
    with packed.unpacked():
        assert own["a"].numpy().tolist() == [1.5, 2.5] and own["c"].numpy().tolist() == [4.5, 5.5]
        assert own["draws"].numpy() == 12
    set_values([(own["c"], [0.0, 0.0])])
    with packed.unpacked():
        assert own["c"].numpy().tolist() == [0, 0]


def test_a_variable_of_any_shape_is_a_row():
    values = [np.arange(24.0, dtype=np.float32).reshape(2, 3, 4, 1) + i for i in range(3)] + [np.float32(7)]
    own = [variable(value) for value in values]
    packed = PackedVariables(own)
    assert [tuple(v.shape) for v in packed.variables] == [(3, 24), (1, 1)]
    with packed.unpacked():
        tiny.assert_equal([v.numpy() for v in own], values)
    tiny.assert_equal([v.numpy() for v in own], values)
    set_values([(v, -value) for v, value in zip(own, values, strict=True)])
    tiny.assert_equal([v.numpy() for v in own], [-value for value in values])
    with pytest.raises(ValueError, match="could not broadcast"):
        set_values([(own[0], values[0].transpose(2, 1, 0, 3))])
    with packed.unpacked() as scope:
        own[1].assign(values[0])
    packed.keep(scope)
    tiny.assert_equal([v.numpy() for v in own], [-values[0], values[0], -values[2], -values[3]])


def test_gradients_are_those_of_the_variables_themselves(own, packed):
    def loss(a, b, c):
        return tf.reduce_sum(a * a * c) * b[0, 0]

    direct = [tf.Variable(own[name]) for name in "abc"]
    with tf.GradientTape() as tape:
        value = loss(*direct)
    expected = dict(zip("abc", tape.gradient(value, direct), strict=True))

    trained = [v.value for v in packed.variables if v.trainable]
    with tf.GradientTape() as tape, packed.unpacked():
        same = loss(*(own[name].value for name in "abc"))
    gradients = tape.gradient(same, trained)
    assert same.numpy() == value.numpy()
    np.testing.assert_array_equal(gradients[0], [expected["a"], expected["c"]])
    np.testing.assert_array_equal(gradients[1], expected["b"])
    parts = packed.parts(gradients)
    assert [id(v) for v, _ in parts] == [id(own[name]) for name in "acb"]
    for (_, part), name in zip(parts, "acb", strict=True):
        np.testing.assert_array_equal(part, expected[name])


def assigned(own, packed, keep):
    @tf.function
    def step():
        with packed.unpacked() as scope:
            own["mean_2"].assign(own["mean_2"].value + 1.0)
            inside = tf.identity(own["mean_2"].value)
        if keep:
            packed.keep(scope)
        return inside

    return [step().numpy().tolist() for _ in range(2)]


def test_assignments_are_seen_inside_and_kept_only_if_asked(own, packed):
    before = [v.numpy() for v in packed.variables]
    assert assigned(own, packed, keep=False) == [[11, 12], [11, 12]]
    tiny.assert_equal([v.numpy() for v in packed.variables], before)
    assert assigned(own, packed, keep=True) == [[11, 12], [12, 13]]
    assert own["mean_2"].numpy().tolist() == [12, 13] and own["mean"].numpy().tolist() == [6, 7]
    assert own["variance"].numpy().tolist() == [8, 9]


def test_keeping_writes_only_variables_that_were_assigned_to(own, packed):
    @tf.function
    def step():
        with packed.unpacked() as scope:
            own["mean"].assign([0.0, 0.0])
        packed.keep(scope)

    operations = step.get_concrete_function().graph.get_operations()
    assert [op.type for op in operations].count("AssignVariableOp") == 1


def test_what_is_not_packed_is_kept_too(own, packed):
    @tf.function
    def step():
        with packed.unpacked() as scope:
            own["draws"].assign(own["draws"].value + 1)
        packed.keep(scope)

    step()
    step()
    assert own["draws"].numpy() == 14
