"""Keras layers as operations, and what the check of a user's operation finds."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.layers import keras_operation as keras_operation_lib
from tf_darts.layers import operations
from tf_darts.layers.keras_operation import keras_operation
from tf_darts.layers.operation import Operation
from tf_darts.layers.row import Row
from tf_darts.models import cost, memory, torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.registry import OPERATIONS
from tf_darts.search import setup as search_setup
from tf_darts.selection.probe_pass import probe_logits, shared_pass


@keras_operation
def keras_conv(channels, stride, affine):
    return keras.Sequential(
        [
            keras.layers.ReLU(),
            keras.layers.SeparableConv2D(channels, 3, stride, "same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9, center=affine, scale=affine),
        ]
    )


@pytest.fixture(autouse=True)
def registered(registries):
    OPERATIONS.register("keras_conv", keras_conv)


def space_of(*candidates):
    config = config_lib.default()
    config.space = "custom"
    config.custom_space.nodes = 2
    config.custom_space.candidates = candidates
    return spaces.of(config_lib.validate(config))


@pytest.fixture
def space():
    return space_of("skip_connect", "sep_conv_3x3", "keras_conv")


@pytest.fixture
def without():
    return space_of("skip_connect", "sep_conv_3x3")


def images(channels, size=8):
    return tf.random.stateless_normal([2, size, size, channels], [1, 2])


@pytest.mark.parametrize("stride", [1, 2])
def test_a_keras_layer_is_weighted(stride):
    made = operations.make("keras_conv", 6, stride, affine=True, seed=3)
    x = images(6)
    y = made(x)
    np.testing.assert_allclose(y, made.layer(x), rtol=1e-6)
    np.testing.assert_allclose(made(x, weight=tf.fill([6], 0.5)), 0.5 * y, rtol=1e-6)
    assert y.shape == (2, 8 // stride, 8 // stride, 6)
    statistics = [v.numpy() for v in made.non_trainable_variables]
    made(x, training=True)
    moved = [
        not np.array_equal(v, old) for v, old in zip(made.non_trainable_variables, statistics, strict=True)
    ]
    assert moved == [True, True]


def test_affine_is_passed_on():
    counts = [
        len(operations.make("keras_conv", 4, 1, affine=affine, seed=0).trainable_variables)
        for affine in (False, True)
    ]
    assert counts == [2, 4]


def test_weights_are_functions_of_the_seed_and_pythons_generator_is_left_alone():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    first, second, other = (operations.make("keras_conv", 4, 1, False, seed) for seed in (1, 1, 2))
    assert random.random() == expected
    tiny.assert_equal(tiny.values(first), tiny.values(second))
    assert not np.array_equal(first.trainable_variables[0], other.trainable_variables[0])


def test_a_supernet_packs_and_trains_its_variables(space):
    made = tiny.setup(tiny.config(), space)
    supernet = made.bilevel.supernet
    own = [op for cell in supernet.body.blocks for op in cell.operations if op.name == "keras_conv"]
    assert len(own) == 5
    assert all(isinstance(v.value, Row) for op in own for v in op.variables)
    before = [v.numpy() for op in own for v in op.variables]
    batch = (tf.random.stateless_normal([8, 8, 8, 3], [0, 1]), tf.range(8))

    def step():
        made.bilevel.alpha_step(batch, 8)
        made.bilevel.weight_step(batch, 8, 0.1)

    made.strategy.run(tf.function(step))
    after = [v.numpy() for op in own for v in op.variables]
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_two_replicas_keep_the_mean_of_its_statistics(space):
    made = tiny.setup(tiny.config(), space, tiny.two_replicas())
    supernet = made.bilevel.supernet
    images = tf.random.stateless_normal([2, 8, 8, 8, 3], [0, 1], mean=[[[[[0.0]]]], [[[[2.0]]]]])

    @tf.function
    def forward():
        def on_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            made.bilevel.forward(images[replica], training=True)

        made.strategy.run(on_replica)

    forward()
    variances = [v for v in supernet.variables if v.name.startswith("moving_variance")]
    for variable in variances:
        copies = [value.numpy() for value in made.strategy.experimental_local_results(variable.value)]
        assert not np.array_equal(*copies)
        np.testing.assert_allclose(variable.numpy(), np.mean(copies, 0), rtol=1e-6)


def test_a_mask_of_zero_leaves_it_out(space):
    supernet, architecture = Supernet(space, 2, 3, 4), Architecture(space)
    x = images(3)
    whole = supernet(x, architecture.mixing_weights())
    for t in space.cell_types:
        for e in range(len(space.edges)):
            architecture.decide_operation(t, e, 1)
    masked = supernet(x, architecture.mixing_weights())
    architecture.compact()
    np.testing.assert_array_equal(
        supernet(x, architecture.mixing_weights(), computed=architecture.computed), masked
    )
    assert not np.array_equal(whole, masked)


def test_weights_are_exported_and_loaded_under_numbers(space):
    first, second = (Supernet(space, 2, 3, 4, seed=seed) for seed in (0, 1))
    state = torch_weights.export(first)
    assert state["cells.0._ops.1._ops.2.own.0"].shape == (3, 3, 2, 1)
    assert state["cells.2._ops.4._ops.2.own.3"].shape == (8,)
    torch_weights.load(second, state)
    weights = Architecture(space).mixing_weights()
    np.testing.assert_array_equal(second(images(3), weights), first(images(3), weights))
    with pytest.raises(UserError, match=r"weights: cells.0._ops.0._ops.2.own.0 is missing"):
        torch_weights.load(second, {n: v for n, v in state.items() if n != "cells.0._ops.0._ops.2.own.0"})


def test_multiply_adds_are_counted_from_kernels(space, without):
    both = [cost.multiply_adds(Supernet(s, 2, 3, 4), (8, 8)) for s in (without, space)]
    assert both[1] - both[0] == sum(5 * pixels * (9 * c + c * c) for c, pixels in ((2, 64), (4, 16), (8, 4)))


def test_a_cost_of_its_own_is_taken(space, without):
    class Costly(operations.Identity):
        def multiply_adds(self, positions):
            return 1000 * positions

    OPERATIONS["keras_conv"] = Costly
    more = cost.multiply_adds(Supernet(space, 2, 3, 4), (8, 8))
    less = cost.multiply_adds(Supernet(without, 2, 3, 4), (8, 8))
    assert more - less == 5 * 1000 * (64 + 16 + 4)
    assert operations.make("max_pool_3x3", 2, 1, False, 0).multiply_adds(64) == 0


def test_memory_is_estimated_with_it(space, without):
    both = [memory.estimate(s, 4, 3, 8, (8, 8, 3)) for s in (without, space)]
    assert operations.make("keras_conv", 4, 1, False, 0).keeps == 3
    kept = 3 * 5 * (4 * 64 + 8 * 16 + 16 * 4)
    assert both[1] - both[0] == pytest.approx(memory.WORKSPACE * memory.BYTES * 8 * kept)


class NotWeighed(Operation):
    def call(self, node, weight=None, training=False):
        return node.x[:, :: self.stride, :: self.stride]


class Late(Operation):
    def call(self, node, weight=None, training=False):
        if not hasattr(self, "scale"):
            self.scale = self.kernel("scale", 1, 1, 1, self.channels)
        return self.weigh(node.x[:, :: self.stride, :: self.stride], weight)


class Infinite(Operation):
    def call(self, node, weight=None, training=False):
        return self.weigh(tf.math.log(node.x[:, :: self.stride, :: self.stride]), weight)


class Double(Operation):
    def call(self, node, weight=None, training=False):
        return tf.cast(node.x[:, :: self.stride, :: self.stride], tf.float64)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (NotWeighed, "stride 1 does not multiply with its mixing weight; its call may end with self.weigh"),
        (Late, "stride 1 makes variables when it is called; allowed: all of them when it is constructed"),
        (Infinite, "stride 1 gives values that are not finite"),
        (Double, "makes float64 (2, 8, 8, 4) of float32 (2, 8, 8, 4); allowed: float32 (2, 8, 8, 4)"),
        (
            operations.Identity,
            "stride 2 makes float32 (2, 8, 8, 4) of float32 (2, 8, 8, 4); allowed:",
        ),
        (keras_operation(lambda c, s, a: keras.layers.Conv2D(c, 3, s)), "makes float32 (2, 6, 6, 4) of"),
        (keras_operation(lambda c, s: keras.layers.ReLU()), "fails: TypeError"),
        (lambda c, s, **kwargs: keras.layers.ReLU(), "is a ReLU; allowed: an Operation (for a Keras layer:"),
        (keras.layers.Conv2D, "fails: "),
    ],
)
def test_what_an_operation_may_not_do(entry, message):
    OPERATIONS.register("own", entry)
    with pytest.raises(UserError) as caught:
        keras_operation_lib.check(["own", "none"], 4, affine=False)
    line = str(caught.value)
    assert line.startswith("operation 'own' with 4 channels and stride") and message in line


def test_right_ones_pass_and_built_in_ones_are_not_tried(monkeypatch):
    OPERATIONS.register("draws", operations.Noise)  # nothing to compare a weighted draw with
    keras_operation_lib.check(["draws", "keras_conv"], 6, affine=True)
    monkeypatch.setattr(operations, "make", None)
    keras_operation_lib.check(["none", "sep_conv_3x3"], 6, affine=True)


def test_a_search_tries_operations_before_anything_else(space):
    OPERATIONS["keras_conv"] = NotWeighed
    config = tiny.config(search__cells=3)
    with pytest.raises(UserError, match="'keras_conv' with 2 channels and stride 1 does not multiply"):
        search_setup.check(config, space, tiny.data(config), 1)


def test_drop_path_drops_it(space):
    from tf_darts.genotypes.genotype import from_text

    pairs = [("keras_conv", 0), ("keras_conv", 1)] * 2
    text = f"Genotype(normal={pairs}, normal_concat=range(2, 4), reduce={pairs}, reduce_concat=range(2, 4))"
    network = Network(space, from_text(text, space), 4, 3, 10)
    keep = tf.ones([network.num_edges, 2, 1, 1, 1])
    x = images(3)
    plain, kept, dropped = (network(x, keep=k, training=True)[0] for k in (None, keep, 0 * keep))
    np.testing.assert_allclose(kept, plain, rtol=1e-5)
    assert np.ptp(dropped, axis=0).max() < 1e-6  # no image reaches the head


def test_what_it_draws_is_new_at_each_step_and_the_same_for_all_probes():
    def factory(channels, stride, affine):
        return keras.Sequential([keras.layers.MaxPooling2D(stride, stride), keras.layers.Dropout(0.5)])

    OPERATIONS.register("dropping", keras_operation(factory))
    space = space_of("skip_connect", "dropping")
    supernet, weights = Supernet(space, 2, 3, 4), Architecture(space).mixing_weights()
    x, mask = images(3), tf.ones([5, 2])

    @tf.function
    def probes():
        shared = shared_pass(supernet, "normal", 2, x, weights)
        return [probe_logits(supernet, "normal", mask, shared, weights) for _ in range(2)]

    first, second = probes(), probes()
    np.testing.assert_allclose(*first, atol=1e-5)
    np.testing.assert_allclose(*second, atol=1e-5)
    assert not np.allclose(first[0], second[0], atol=1e-3)
    steps = [supernet(x, weights, training=True).numpy() for _ in range(2)]
    assert not np.allclose(*steps, atol=1e-3)
