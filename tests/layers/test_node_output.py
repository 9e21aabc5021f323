"""What a node's outgoing edges share."""

import numpy as np
import tensorflow as tf

from tf_darts.layers import primitives
from tf_darts.layers.node_output import NodeOutput


def counting(calls):
    def double(x, *arguments):
        calls.append(arguments)
        return 2 * x

    return double


def test_a_function_of_a_node_is_computed_once_for_the_same_arguments():
    calls, node = [], NodeOutput(tf.ones([1, 2, 2, 1]))
    double = counting(calls)
    first = node.then(double)
    assert node.then(double) is first and calls == [()]
    assert node.then(double, 1) is not first and node.then(double, 1) is node.then(double, 1)
    assert calls == [(), (1,)]
    node.then(counting(calls))  # another function
    assert len(calls) == 3
    np.testing.assert_array_equal(first.x, 2 * node.x)


def test_functions_one_after_the_other_are_shared_as_far_as_they_agree():
    calls, x = [], tf.reshape(tf.range(-8.0, 8.0), [1, 4, 4, 1])
    node, double = NodeOutput(x), counting(calls)
    a = node.then(double).then(primitives.subsample)
    b = node.then(double).then(primitives.subsample, 1)
    assert len(calls) == 1 and a is node.then(double).then(primitives.subsample)
    np.testing.assert_array_equal(a.x, 2 * x[:, ::2, ::2])
    np.testing.assert_array_equal(b.x, 2 * x[:, 1::2, 1::2])


def test_nodes_share_nothing_with_each_other():
    calls = []
    double = counting(calls)
    one, two = (NodeOutput(tf.fill([1, 1, 1, 1], v)) for v in (1.0, 2.0))
    assert one.then(double).x.numpy().item() == 2 and two.then(double).x.numpy().item() == 4
    assert len(calls) == 2


def test_the_graph_has_one_relu_for_all_edges():
    @tf.function
    def edges(x):
        node = NodeOutput(x)
        return [node.then(tf.nn.relu).x + i for i in range(5)]

    graph = edges.get_concrete_function(tf.TensorSpec([1, 2, 2, 1])).graph
    assert [op.type for op in graph.get_operations()].count("Relu") == 1
