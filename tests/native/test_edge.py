"""Mixed edges on native kernels against TensorFlow's: outputs, gradients, running estimates."""

import numpy as np
import pytest
import tensorflow as tf

from tests.native import kernels
from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.native import choice, edge, library

POOLS = ("max_pool_3x3", "avg_pool_3x3")
CONVOLUTIONS = ("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5")
DARTS = (*POOLS, "skip_connect", *CONVOLUTIONS)
NAS_BENCH_201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
BATCH_NORM_AFTER = frozenset(POOLS)


@pytest.fixture(autouse=True)
def there():
    kernels.or_skip()


def edges(names, channels, stride, batch_norm_after=BATCH_NORM_AFTER):
    """The same edge twice: on TensorFlow's kernels and on native ones."""
    return [
        MixedOp(names, channels, stride, batch_norm_after, seed=3, kernels=kind)
        for kind in (choice.TENSORFLOW, choice.NATIVE)
    ]


def normal(shape, seed):
    return tf.random.stateless_normal(shape, [seed, 5])


def computed(made, shape, stride, closed=(), rounded=False):
    """Output and gradients of an edge, and its running estimates, by name."""
    batch, height, width, channels = shape
    x, number = normal(shape, 1), len(made.operations)
    x = tf.round(x) if rounded else x
    weights = [
        None if i in closed else tf.fill([channels], np.float32(0.1 + 0.05 * i)) for i in range(number)
    ]
    given = [w for w in weights if w is not None]
    kernels_of = [v.value for v in made.trainable_variables]
    dy = normal([batch, -(-height // stride), -(-width // stride), channels], 2)
    with tf.GradientTape() as tape:
        tape.watch([x, *given, *kernels_of])
        y = made(x, mixing_weights=weights, training=True)
        loss = tf.reduce_sum(y * dy)
    dx, *rest = tape.gradient(loss, [x, *given, *kernels_of])
    found = {"y": y, "dx": dx}
    # A weight's elements are equal: what counts is the sum of the gradient over them, of terms that cancel.
    found |= {f"weight {i}": g for i, g in enumerate(rest[: len(given)]) if g is not None}  # `none` has none
    found |= {
        v.path: g for v, g in zip(made.trainable_variables, rest[len(given) :], strict=True) if g is not None
    }
    return found | {f"{i} {v.path}": v.value for i, v in enumerate(made.non_trainable_variables)}


def assert_agree(found, expected, most=1e-5):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        there, want = np.asarray(found[name]), np.asarray(value)
        assert there.shape == want.shape, name
        assert np.abs(there - want).max() <= most * max(np.abs(want).max(), 1e-3), name


@pytest.mark.parametrize(
    ("shape", "stride"),
    [
        ((3, 8, 8, 32), 1),
        ((3, 8, 8, 32), 2),
        ((2, 16, 16, 16), 1),
        ((2, 8, 8, 16), 2),  # half of 16 channels is left to TensorFlow: the factorized reduction
        ((1, 7, 5, 48), 1),
        ((1, 2, 6, 64), 2),
        ((3, 1, 1, 16), 1),
        ((1, 33, 17, 16), 1),
    ],
)
def test_an_edge_agrees_with_tensorflow(shape, stride):
    plain, native = edges(DARTS, shape[-1], stride)
    assert_agree(computed(native, shape, stride), computed(plain, shape, stride))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_first_of_equal_maxima_has_the_gradient(stride):
    plain, native = edges(("max_pool_3x3", "dil_conv_3x3"), 16, stride)
    shape = (2, 7, 6, 16)
    assert_agree(computed(native, shape, stride, rounded=True), computed(plain, shape, stride, rounded=True))


def test_odd_sizes_of_stride_2_agree():
    names = [name for name in DARTS if name != "skip_connect"]
    plain, native = edges(names, 16, 2)
    shape = (2, 7, 9, 16)
    assert_agree(computed(native, shape, 2), computed(plain, shape, 2))


@pytest.mark.parametrize("names", [("noise", "sep_conv_3x3"), ("none", "skip_connect", "dil_conv_3x3")])
def test_operations_that_the_kernels_do_not_know_are_added(names):
    plain, native = edges(names, 16, 1)
    assert_agree(computed(native, (2, 8, 8, 16), 1), computed(plain, (2, 8, 8, 16), 1))


@pytest.mark.parametrize(
    "shape",
    [
        (3, 8, 8, 32),
        (2, 16, 16, 16),
        (1, 7, 5, 48),
        (2, 2, 1, 64),
        (3, 1, 1, 16),
        (1, 33, 17, 16),
        (2, 4, 80, 16),
    ],
)
def test_dense_convolutions_agree_with_tensorflow(shape):
    plain, native = edges(NAS_BENCH_201, shape[-1], 1, batch_norm_after=frozenset())
    assert [n and n.candidate.kind for n in native.native] == [None, "skip", "dense", "dense", "average_pool"]
    assert_agree(computed(native, shape, 1), computed(plain, shape, 1))


def test_dense_convolutions_of_stride_2_are_tensorflows():
    plain, native = edges(("nor_conv_3x3", "sep_conv_3x3"), 16, 2)
    assert native.native[0] is None and native.native[1] is not None
    assert_agree(computed(native, (2, 8, 8, 16), 2), computed(plain, (2, 8, 8, 16), 2))


@pytest.mark.parametrize("name", [*CONVOLUTIONS, "nor_conv_1x1", "nor_conv_3x3"])
def test_a_decided_edge_agrees(name):
    names = (*DARTS, "nor_conv_1x1", "nor_conv_3x3")
    plain, native = edges(names, 16, 1)
    closed = [i for i, other in enumerate(names) if other != name]
    expected = computed(plain, (2, 8, 8, 16), 1, closed)
    assert_agree(computed(native, (2, 8, 8, 16), 1, closed), expected)


@pytest.mark.parametrize(("names", "after"), [(DARTS, BATCH_NORM_AFTER), (NAS_BENCH_201, frozenset())])
def test_a_decided_edge_has_the_bits_of_a_masked_one(names, after):
    _, native = edges(names, 16, 1, batch_norm_after=after)
    x = normal([2, 8, 8, 16], 1)
    for i, name in enumerate(names):
        if name == "none":
            continue
        masked = [tf.fill([16], float(i == j)) for j in range(len(names))]
        alone = [weight if i == j else None for j, weight in enumerate(masked)]
        y = [native(x, mixing_weights=weights, training=True).numpy() for weights in (masked, alone)]
        np.testing.assert_array_equal(y[1], y[0], err_msg=name)


def test_poolings_without_batch_norm_agree():
    plain, native = edges((*POOLS, "sep_conv_3x3"), 16, 1, batch_norm_after=frozenset())
    assert_agree(computed(native, (2, 8, 8, 16), 1), computed(plain, (2, 8, 8, 16), 1))


def test_a_small_variance_beside_a_large_mean_keeps_its_digits():
    names = ("avg_pool_3x3", "sep_conv_3x3", "nor_conv_3x3")
    shape, found = (4, 8, 8, 16), []
    x = 300.0 + normal(shape, 1)
    for made in edges(names, 16, 1):
        ones = [tf.ones([16])] * 3
        found.append(made(x, mixing_weights=ones, training=True))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=2e-3)
    assert np.abs(found[0]).max() > 1


def test_channels_that_pass_by_agree():
    plain, native = (
        MixedOp(DARTS, 64, 1, BATCH_NORM_AFTER, seed=3, partial_channels=4, kernels=kind)
        for kind in (choice.TENSORFLOW, choice.NATIVE)
    )
    weights = [tf.fill([16], 0.1)] * (len(DARTS) + 1)
    x = normal([2, 8, 8, 64], 1)
    y = [made(x, mixing_weights=weights, training=True) for made in (plain, native)]
    np.testing.assert_allclose(y[1], y[0], atol=1e-5)


def test_a_step_that_is_not_finite_is_seen_as_one():
    _, native = edges(DARTS, 16, 1)
    x = tf.tensor_scatter_nd_update(normal([2, 8, 8, 16], 1), [[1, 3, 4, 5]], [np.nan])
    y = native(x, mixing_weights=[tf.ones([16])] * len(DARTS), training=True)
    assert np.isnan(y).any()


def test_passes_without_training_and_derivatives_of_gradients_are_tensorflows():
    plain, native = edges(("sep_conv_3x3",), 16, 1)
    x, weights = normal([2, 8, 8, 16], 1), [tf.ones([16])]
    y = [made(x, mixing_weights=weights, training=False) for made in (plain, native)]
    np.testing.assert_array_equal(y[1], y[0])

    def second(made):
        with choice.tensorflow_alone(), tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(made(x, mixing_weights=weights, training=True) ** 3)
            along = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(along, x)

    np.testing.assert_array_equal(second(native), second(plain))


@pytest.mark.parametrize("names", [DARTS, NAS_BENCH_201])
def test_kernel_gradients_can_be_left_out(names):
    _, native = edges(names, 16, 1)
    x, weights = normal([2, 8, 8, 16], 1), [tf.fill([16], 0.2)] * len(names)

    def gradients(also):
        with tf.GradientTape() as tape:
            tape.watch([x, *also])
            y = native(x, mixing_weights=weights, training=True)
        return tape.gradient(y, [x, *also])

    variables = [v.value for v in native.trainable_variables]
    whole = gradients(variables)
    with no_kernel_gradients():
        lean = gradients(variables)
    np.testing.assert_array_equal(lean[0], whole[0])
    assert all(g is None for g in lean[1:]) and all(g is not None for g in whole[1:])


def test_what_does_not_fit_is_an_error_not_a_crash():
    x, candidate = normal([2, 8, 8, 16], 1), edge.Candidate("convolution", 1, 3, 1)
    good = {
        "x": x,
        "kernels": [normal([3, 3, 16, 1], 2), normal([1, 1, 16, 16], 3)],
        "running": [(tf.zeros([16]), tf.ones([16]))],
        "scaled": [],
    }

    def run(candidate=candidate, **changed):
        return edge.units(
            candidates=[candidate], stride=1, pooled=[], epsilon=1e-5, momentum=0.9, **good | changed
        )

    run()
    wrong = [
        {"x": x[..., :8]},
        {"x": x[0]},
        {"x": x[:0]},
        {"kernels": [good["kernels"][0], normal([1, 1, 16, 8], 3)]},
        {"running": [(tf.zeros([8]), tf.ones([16]))]},
        {"scaled": [(tf.zeros([8]), tf.ones([16]))]},
        {"scaled": [(tf.zeros([16]), tf.ones([16]))] * 2},
        {"candidate": edge.Candidate("convolution", 1, 9, 1)},
        {"candidate": edge.Candidate("factorized_reduction", 1)},
        {"candidate": edge.Candidate("skip", 1)},
        {"candidate": edge.Candidate("dense", 1, 5), "kernels": [normal([5, 5, 16, 16], 2)]},
        {"candidate": edge.Candidate("dense", 1, 3), "kernels": [normal([1, 1, 16, 16], 2)]},
        {"candidate": edge.Candidate("dense", 2, 1), "kernels": [normal([1, 1, 16, 16], 2)] * 2},
    ]
    for changed in wrong:
        with pytest.raises(tf.errors.InvalidArgumentError, match="tf_darts"):
            run(**changed)
    with pytest.raises(tf.errors.InvalidArgumentError, match="four numbers"):
        library.operations().tf_darts_pool_statistics(
            x=x, stride=1, candidates=[1, 0], epsilon=0.0, momentum=0.0
        )
