"""Constants: one node of a graph for each value, and usable wherever that graph can use it."""

import numpy as np
import tensorflow as tf

from tf_darts.layers.constants import constant


def constants_in(graph):
    return [op for op in graph.get_operations() if op.type == "Const"]


def test_a_graph_has_one_node_for_a_value():
    with tf.Graph().as_default() as graph:
        one = constant(np.ones(3))
        assert constant(np.ones(3)) is one and constant([1, 1, 1]) is one and constant(np.ones(3, int)) is one
        assert one.dtype == tf.float32 and one.shape == (3,)
        assert len(constants_in(graph)) == 1


def test_other_values_types_and_shapes_are_other_nodes():
    with tf.Graph().as_default() as graph:
        made = [
            constant([1, 1]),
            constant([1, 2]),
            constant([[1, 1]]),
            constant([1, 1], tf.int32),
            constant([1, 1], tf.int64),
            constant(1),
            constant([1]),
            constant(0.0),
            constant(0, tf.int32),  # the same bytes
        ]
        assert len({id(c) for c in made}) == len(made) == len(constants_in(graph))
        assert [c.dtype for c in made[3:5]] == [tf.int32, tf.int64]


def test_graphs_do_not_share():
    made = []
    for _ in range(2):
        with tf.Graph().as_default() as graph:
            made.append(constant(5.0))
            assert made[-1].graph is graph
    assert made[0] is not made[1]


def test_eager_constants_are_plain_values():
    value = constant([[2, 3]], tf.int32)
    assert value.dtype == tf.int32
    np.testing.assert_array_equal(value, [[2, 3]])


def test_a_constant_waits_for_nothing():
    @tf.function
    def compute(x):
        with tf.control_dependencies([tf.debugging.assert_positive(x)]):
            return constant(3.0)

    operations = constants_in(compute.get_concrete_function(tf.constant(1.0)).graph)
    assert not any(op.control_inputs for op in operations)


def loop(x, inner):
    return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, inner(y)), (tf.constant(0), x))[1]


def test_loops_and_what_is_around_them_may_use_the_same_values():
    @tf.function
    def compute(x):
        x = constant(2.0) * x  # made outside first
        x = loop(x, lambda y: constant(2.0) * y + constant(5.0))  # 5 is made inside first
        x = loop(x, lambda y: y + constant(5.0))  # in another loop
        return x + constant(5.0)  # and outside

    assert compute(tf.constant(1.0)).numpy() == 8 * 2 + 5 * 7 + 15 + 5


def test_branches_and_nested_loops():
    @tf.function
    def compute(x):
        x = constant(1.0) + x

        def branch(value):
            return lambda: loop(x, lambda y: loop(y, lambda z: z + constant(value)) + constant(0.5))

        return tf.cond(x > 0, branch(3.0), branch(0.5)) + constant(3.0)

    assert compute(tf.constant(1.0)).numpy() == 2 + 3 * (9 + 0.5) + 3
    assert compute(tf.constant(-2.0)).numpy() == -1 + 3 * (1.5 + 0.5) + 3


def test_gradients_and_functions_called_by_functions():
    @tf.function
    def inner(x):
        return constant(3.0) * x * x

    @tf.function
    def outer(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = constant(3.0) * inner(x)
        return tape.gradient(y, x) * constant(1.0)

    assert outer(tf.constant(2.0)).numpy() == 36
