"""Operations with a skip connection beside them, in a supernet and in a network."""

import numpy as np
import pytest
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.config import files
from tf_darts.layers import with_skip
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operations import FactorizedReduce
from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import Supernet
from tf_darts.spaces.darts import OPERATIONS

pytestmark = pytest.mark.usefixtures("registries")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_it_is_the_operation_plus_a_skip_connection(name, stride):
    made = getattr(with_skip, f"{name}_with_skip")(4, stride, affine=False, seed=3, name=f"{name}_with_skip")
    x = tf.random.stateless_normal([2, 8, 8, 4], [1, 2])
    whole = made(NodeOutput(x), training=True)
    inner, skip = (part(NodeOutput(x), training=True) for part in (made.inner, made.skip))
    np.testing.assert_allclose(whole, inner + skip, rtol=1e-6)
    assert isinstance(made.skip, FactorizedReduce) == (stride == 2)
    if stride == 1:
        np.testing.assert_array_equal(skip, x)
    half = made(NodeOutput(x), weight=tf.fill([4], 0.5), training=True)
    np.testing.assert_allclose(half, whole / 2, rtol=1e-5, atol=1e-6)
    kernels = sum(int(np.prod(v.shape)) for v in made.trainable_variables if len(v.shape) == 4)
    assert made.multiply_adds(16) == 16 * kernels  # of these operations


def test_a_mixture_of_them_is_a_mixture_with_a_whole_skip_connection():
    config = files.load("darts_bench_suite", "wide_all_skip")
    config.data.path = "given by the flag"
    config_lib.allow_extensions(config.extensions)
    space = spaces.of(config_lib.validate(config))
    architecture = Architecture(space, 1.0, 5)
    supernet = Supernet(space, 2, 3, 10, 3, seed=1)
    x = tf.random.stateless_normal([2, 8, 8, 3], [1, 2])
    logits = supernet(x, architecture.mixing_weights(), training=True)
    assert np.isfinite(logits).all()
    edge = supernet.body.blocks[0].edge_layers[-1]  # into the last node, of stride 1
    node, weights = (
        NodeOutput(tf.random.stateless_normal([2, 8, 8, 2], [3, 4])),
        [0.1, 0.2, 0.3, 0.05, 0.05, 0.1, 0.2],
    )
    with supernet.packed.unpacked():
        parts = [
            op.inner(node, weight=tf.fill([2], w), training=True)
            for op, w in zip(edge.operations, weights, strict=True)
        ]
        both = [
            op(node, weight=tf.fill([2], w), training=True)
            for op, w in zip(edge.operations, weights, strict=True)
        ]
    np.testing.assert_allclose(tf.add_n(both), tf.add_n(parts) + node.x, rtol=1e-4, atol=1e-5)
