"""Mixed edges against sums made by hand; chosen edges and drop path."""

import numpy as np
import pytest
import tensorflow as tf

from tf_darts import spaces
from tf_darts.layers import operations, primitives
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.chosen_op import ChosenOp
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.runtime.seeds import fold
from tf_darts.training.step import drop_path_factors

POOLS = frozenset({"max_pool_3x3", "avg_pool_3x3"})
SEED = 11


def image(batch=4, size=8, channels=4):
    return tf.random.stateless_normal([batch, size, size, channels], [3, 4])


def vectors(weights, channels=4):
    """Mixing weights as an edge takes them: a vector of equal elements each."""
    return tf.unstack(tf.convert_to_tensor(weights)[:, None] * tf.ones([channels]))


def standardized(y):
    """Batch normalisation in training, in NumPy."""
    y = y.numpy().astype(np.float64)
    return (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-5)


def by_hand(names, weights, x, stride, normed):
    total = 0.0
    for name, weight in zip(names, weights, strict=True):
        operation = operations.make(name, x.shape[-1], stride, False, fold(SEED, name))
        y = operation(x, training=True)
        total = total + weight * (standardized(y) if name in normed else y.numpy())
    return total


@pytest.mark.parametrize(
    ("space", "normed", "stride"),
    [
        ("darts", POOLS, 1),
        ("darts", POOLS, 2),
        ("darts_with_none", POOLS, 2),
        ("nas_bench_201", frozenset(), 1),
    ],
)
def test_a_mixed_edge_is_the_weighted_sum_of_its_operations(space, normed, stride):
    space = spaces.get(space)
    names = space.candidates["normal"][0]
    assert space.batch_norm_after == normed
    weights = np.linspace(0.5, -0.3, len(names)).astype(np.float32)
    edge = MixedOp(names, 4, stride, space.batch_norm_after, SEED)
    y = edge(image(), mixing_weights=vectors(weights), training=True)
    np.testing.assert_allclose(y, by_hand(names, weights, image(), stride, normed), atol=2e-5)


def test_none_contributes_nothing_whatever_its_weight():
    names = spaces.get("s3").candidates["normal"][0]
    edge = MixedOp(names, 4, 1, POOLS, SEED)
    low, high = (edge(image(), mixing_weights=vectors([w, 0.4, 0.6]), training=True) for w in (0.0, 5.0))
    np.testing.assert_array_equal(low, high)
    with tf.GradientTape() as tape:
        weights = tf.constant([0.2, 0.4, 0.4])
        tape.watch(weights)
        total = tf.reduce_sum(edge(image(), mixing_weights=vectors(weights), training=True) ** 2)
    gradient = tape.gradient(total, weights).numpy()
    assert gradient[0] == 0 and gradient[1] != 0 and gradient[2] != 0


@pytest.mark.parametrize("stride", [1, 2])
def test_an_edge_with_nothing_but_none_gives_zeros(stride):
    y = MixedOp(("none",), 4, stride, POOLS, SEED)(image(), mixing_weights=vectors([1.0]), training=True)
    assert y.shape == (4, 8 // stride, 8 // stride, 4) and not y.numpy().any()


def test_an_edge_takes_rows_longer_than_its_candidates():
    edge = MixedOp(("skip_connect", "avg_pool_3x3"), 4, 1, frozenset(), SEED)
    y = edge(image(), mixing_weights=vectors([1.0, 0.0, 9.0, 9.0]))
    np.testing.assert_array_equal(y, image())


def test_poolings_are_bare_in_a_chosen_edge_and_normed_in_a_mixed_one():
    def norms(layer):
        return [part for part in layer._flatten_layers() if isinstance(part, BatchNorm)]

    mixed = MixedOp(("max_pool_3x3", "skip_connect"), 4, 1, POOLS, SEED)
    assert len(norms(mixed)) == 1 and not norms(mixed)[0].affine
    chosen = ChosenOp("max_pool_3x3", 4, 1, SEED)
    assert norms(chosen) == []
    np.testing.assert_array_equal(
        chosen(image(), keep=None, training=True), operations.make("max_pool_3x3", 4, 1, True, 0)(image())
    )


@pytest.mark.parametrize(
    ("name", "stride"), [("sep_conv_3x3", 1), ("skip_connect", 2), ("avg_pool_3x3", 1), ("dil_conv_3x3", 2)]
)
def test_drop_path_scales_each_image_by_its_factor(name, stride):
    edge = ChosenOp(name, 4, stride, SEED)
    factors = np.array([0, 1.25, 0, 1.25], np.float32)
    plain = edge(image(), keep=None, training=True).numpy()
    dropped = edge(image(), keep=tf.constant(factors.reshape(4, 1, 1, 1)), training=True).numpy()
    np.testing.assert_allclose(dropped, plain * factors[:, None, None, None], rtol=1e-5, atol=1e-6)


def test_drop_path_leaves_the_identity_alone():
    edge = ChosenOp("skip_connect", 4, 1, SEED)
    np.testing.assert_array_equal(edge(image(), keep=tf.zeros([4, 1, 1, 1]), training=True), image())


def test_drop_path_keeps_the_expectation():
    edge, draws = ChosenOp("max_pool_3x3", 4, 1, SEED), 5000
    plain = edge(image(), keep=None, training=True).numpy()
    factors = drop_path_factors(tf.constant([1, 2]), tf.constant(0.3), draws, 4, 4, tf.constant(0))
    np.testing.assert_allclose(np.unique(factors), [0, 1 / 0.7], rtol=1e-6)
    # The edge is linear in the factors: the mean output is the output of the mean factors.
    dropped = edge(image(), keep=tf.reduce_mean(factors, 0), training=True).numpy()
    np.testing.assert_allclose(dropped, plain, rtol=0.05)


# partial channels


def shuffled(y, groups):
    """Channel c of group g becomes channel c * groups + g."""
    order = [g * (y.shape[-1] // groups) + c for c in range(y.shape[-1] // groups) for g in range(groups)]
    return y[..., order]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_channels_are_shuffled_as_a_permutation_says(groups):
    x = image(channels=8)
    np.testing.assert_array_equal(primitives.shuffle_channels(x, groups), shuffled(x.numpy(), groups))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("partial", [2, 4])
def test_the_first_channels_go_through_the_operations_and_the_others_pass_by(stride, partial):
    names, channels = ("none", "skip_connect", "max_pool_3x3", "nor_conv_1x1"), 8
    mixed = channels // partial
    weights, beside = [0.1, 0.4, -0.3, 0.2], 0.7
    edge = MixedOp(names, channels, stride, POOLS, SEED, partial)
    x = image(channels=channels)
    y = edge(x, mixing_weights=vectors([*weights, beside], mixed), training=True)
    first = by_hand(names, weights, x[..., :mixed], stride, POOLS)
    rest = x.numpy()[..., mixed:]
    if stride == 2:  # 2x2 max pooling
        rest = rest.reshape(4, 4, 2, 4, 2, -1).max((2, 4))
    assert y.shape == (4, 8 // stride, 8 // stride, channels)
    expected = shuffled(np.concatenate([first, beside * rest], -1), partial)
    np.testing.assert_allclose(y, expected, atol=2e-5)


def test_channels_pass_by_an_edge_of_none_alone():
    edge = MixedOp(("none", "skip_connect"), 4, 1, POOLS, SEED, 2)
    *_, beside = vectors([0.0, 0.0, 0.5], 2)
    y = edge(image(), mixing_weights=[None, None, beside], training=True)
    x = image().numpy()
    expected = shuffled(np.concatenate([np.zeros_like(x[..., :2]), 0.5 * x[..., 2:]], -1), 2)
    np.testing.assert_array_equal(y, expected)


def test_a_removed_partial_edge_gives_zeros():
    edge = MixedOp(("skip_connect",), 4, 2, POOLS, SEED, 2)
    y = edge(image(), mixing_weights=[None, None], training=True)
    assert y.shape == (4, 4, 4, 4) and not y.numpy().any()
