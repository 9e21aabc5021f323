"""Every operation against the release's values, and against cases worked out by hand or in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tf_darts.layers import operations, primitives
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.layer import uniform_fan_in
from tf_darts.models import torch_weights

CASES = [
    f"darts/{name}/stride{stride}/affine0/{size}"
    for name in (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "dil_conv_3x3",
        "dil_conv_5x5",
        "conv_7x1_1x7",
    )
    for stride in (1, 2)
    for size in ("even", "odd")
    if (name, stride, size) != ("skip_connect", 2, "odd")
]
CASES += [
    f"darts/{name}/stride{stride}/affine1/{size}"
    for name in ("skip_connect", "sep_conv_3x3", "dil_conv_5x5")
    for stride in (1, 2)
    for size in ("even", "odd")
    if (name, stride, size) != ("skip_connect", 2, "odd")
]
CASES += [
    f"nas_bench_201/{name}/stride1/affine0/even"
    for name in ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
]


def make(name, channels, stride=1, affine=False, seed=0):
    return operations.make(name, channels, stride, affine, seed)


def nhwc(array):
    return tf.constant(array.transpose(0, 2, 3, 1))


@pytest.fixture(scope="module")
def reference(shared):
    with np.load(shared / "reference/operations.npz") as file:
        return {key: file[key] for key in file.files}


def test_the_cases_are_all_there_are(reference):
    assert {key.rsplit("/", 1)[0].removesuffix("/param") for key in reference} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_output_and_gradient_of_the_release(reference, case):
    _, name, stride, affine, _ = case.split("/")
    x = nhwc(reference[f"{case}/input"])
    operation = make(name, x.shape[-1], int(stride[-1]), affine == "affine1")
    stored = {
        key.removeprefix(f"{case}/param/"): value
        for key, value in reference.items()
        if key.startswith(f"{case}/param/")
    }
    named = [entry for entry in torch_weights.operation_names(operation, "") if "running" not in entry[1]]
    assert {torch_name for _, torch_name, _ in named} == set(stored)
    for variable, torch_name, layout in named:
        variable.assign(layout.from_torch(stored[torch_name]))

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = operation(x, training=True)
        total = tf.reduce_sum(y * nhwc(reference[f"{case}/cotangent"]))
    gradient = tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_allclose(y, nhwc(reference[f"{case}/output"]), rtol=0, atol=1e-5)
    np.testing.assert_allclose(gradient, nhwc(reference[f"{case}/input_grad"]), rtol=0, atol=1e-4)


# A 4x4 image whose pixels are 0 .. 15: pixel (r, c) is 4r + c.
RAMP = tf.reshape(tf.range(16.0), [1, 4, 4, 1])


def only_center(size):
    kernel = np.zeros((size, size, 1, 1), np.float32)
    kernel[size // 2, size // 2] = 1
    return tf.constant(kernel)


def test_stride_2_windows_are_centred_on_even_pixels():
    even_pixels = [[0, 2], [8, 10]]
    for size in (1, 3, 5, 7):
        kernel = only_center(size)
        assert primitives.conv(RAMP, kernel, 2)[0, ..., 0].numpy().tolist() == even_pixels
        assert primitives.depthwise_conv(RAMP, kernel, 2)[0, ..., 0].numpy().tolist() == even_pixels
    assert primitives.subsample(RAMP)[0, ..., 0].numpy().tolist() == even_pixels


def test_stride_2_sums_over_a_4x4_image():
    # Windows of 3x3 around (0,0), (0,2), (2,0), (2,2); what lies outside the image counts 0.
    sums = [
        [0 + 1 + 4 + 5, 1 + 2 + 3 + 5 + 6 + 7],
        [4 + 5 + 8 + 9 + 12 + 13, 5 + 6 + 7 + 9 + 10 + 11 + 13 + 14 + 15],
    ]
    ones = tf.ones([3, 3, 1, 1])
    assert primitives.conv(RAMP, ones, 2)[0, ..., 0].numpy().tolist() == sums
    assert primitives.depthwise_conv(RAMP, ones, 2)[0, ..., 0].numpy().tolist() == sums
    maxima = [[5, 7], [13, 15]]
    assert make("max_pool_3x3", 1, 2)(RAMP)[0, ..., 0].numpy().tolist() == maxima
    means = [[10 / 4, 24 / 6], [51 / 6, 90 / 9]]
    np.testing.assert_allclose(make("avg_pool_3x3", 1, 2)(RAMP)[0, ..., 0], means, rtol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [5, 6])
def test_average_pooling_does_not_count_padding(stride, size):
    # Of all ones the mean is one wherever the window lies; of a single one it is 1 / pixels in the window.
    pool = make("avg_pool_3x3", 1, stride)
    np.testing.assert_allclose(pool(tf.ones([1, size, size, 1])), 1.0, rtol=1e-6)

    def of_one_pixel(row, column):
        x = np.zeros((1, size, size, 1), np.float32)
        x[0, row, column] = 1
        return pool(tf.constant(x)).numpy()[0, ..., 0]

    assert of_one_pixel(0, 0)[0, 0] == pytest.approx(1 / 4)
    assert of_one_pixel(0, 2)[0, 2 // stride] == pytest.approx(1 / 6)
    assert of_one_pixel(2, 0)[2 // stride, 0] == pytest.approx(1 / 6)
    assert of_one_pixel(2, 2)[2 // stride, 2 // stride] == pytest.approx(1 / 9)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [5, 6])
def test_padding_never_wins_max_pooling(stride, size):
    values = -1.0 - np.arange(size * size, dtype=np.float32).reshape(1, size, size, 1)
    y = make("max_pool_3x3", 1, stride)(tf.constant(values)).numpy()[0, ..., 0]
    image = values[0, ..., 0]
    wanted = [
        [image[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].max() for c in range(0, size, stride)]
        for r in range(0, size, stride)
    ]
    assert y.tolist() == wanted and y.max() < 0


def test_factorized_reduction_puts_the_unshifted_half_first():
    reduce = make("skip_connect", 2, 2)
    reduce.conv_1.assign(tf.reshape([1.0, 0.0], [1, 1, 2, 1]))
    reduce.conv_2.assign(tf.reshape([1.0, 0.0], [1, 1, 2, 1]))
    x = tf.concat([RAMP, tf.zeros_like(RAMP)], -1)
    y = reduce(x, training=False).numpy()[0] * np.sqrt(1 + 1e-5)  # running mean 0, variance 1
    np.testing.assert_allclose(y[..., 0], [[0, 2], [8, 10]], rtol=1e-6)
    np.testing.assert_allclose(y[..., 1], [[5, 7], [13, 15]], rtol=1e-6)  # one down, one right


def test_factorized_reduction_has_a_relu_and_refuses_odd_sizes():
    reduce = make("skip_connect", 2, 2)
    assert not reduce(-tf.ones([1, 4, 4, 2]), training=False).numpy().any()
    with pytest.raises(ValueError, match="even height and width"):
        reduce(tf.ones([1, 5, 4, 2]))


@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_5x5", "nor_conv_1x1", "nor_conv_3x3"])
def test_convolutions_begin_with_a_relu(name):
    assert not make(name, 3)(-tf.ones([2, 6, 6, 3]), training=False).numpy().any()


@pytest.mark.parametrize("name", ["skip_connect", "max_pool_3x3", "avg_pool_3x3"])
def test_others_do_not(name):
    np.testing.assert_allclose(make(name, 3)(-tf.ones([2, 6, 6, 3])), -1.0, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(operations.OPERATIONS))
@pytest.mark.parametrize("stride", [1, 2])
def test_shapes_and_batch_norms(name, stride):
    operation = make(name, 4, stride, affine=True)
    y = operation(tf.random.stateless_normal([2, 6, 8, 4], [0, 0]), training=True)
    assert y.shape == (2, 6 // stride, 8 // stride, 4)
    norms = [layer for layer in operation._flatten_layers() if isinstance(layer, BatchNorm)]
    assert all(norm.affine for norm in norms)
    plain = [layer for layer in make(name, 4, stride)._flatten_layers() if isinstance(layer, BatchNorm)]
    assert len(plain) == len(norms) and not any(norm.affine for norm in plain)


# noise


@pytest.mark.parametrize("training", [True, False])
def test_noise_is_fresh_at_every_call(training):
    noise, x = make("noise", 4), tf.zeros([8, 16, 16, 4])
    compiled = tf.function(lambda: noise(x, training=training))
    first, second = noise(x, training=training).numpy(), compiled().numpy()
    third = compiled().numpy()
    for draw in (first, second, third):
        assert abs(draw.mean()) < 0.05 and abs(draw.std() - 1) < 0.05  # 8192 numbers
    assert abs(np.mean(first * second)) < 0.05 and abs(np.mean(second * third)) < 0.05


def test_noise_is_a_constant_for_its_input_but_not_for_its_weight():
    noise, x, weight = make("noise", 2, 2), tf.ones([3, 4, 4, 2]), tf.constant(0.5)
    with tf.GradientTape() as tape:
        tape.watch([x, weight])
        y = noise(x, training=True)
        total = tf.reduce_sum(weight * y)
    assert y.shape == (3, 2, 2, 2)
    to_x, to_weight = tape.gradient(total, [x, weight])
    assert to_x is None
    np.testing.assert_allclose(to_weight, tf.reduce_sum(y), rtol=1e-6)


def test_noise_repeats_itself_from_its_seed_and_its_count_of_draws():
    x = tf.zeros([2, 4, 4, 2])
    one, other, different = make("noise", 2, seed=1), make("noise", 2, seed=1), make("noise", 2, seed=2)
    draws = [one(x).numpy() for _ in range(3)]
    assert all(np.array_equal(draw, other(x)) for draw in draws)
    assert not np.array_equal(draws[0], different(x))
    other.draws.assign(1)  # as a checkpoint restores it
    np.testing.assert_array_equal(other(x), draws[1])
    assert not one.trainable_variables


# Initial weights.


def kernels(operation):
    return {v.name: v.numpy() for v in operation.trainable_variables}


@pytest.mark.parametrize(
    ("name", "stride", "fan_ins"),
    [
        ("sep_conv_3x3", 1, {"depthwise_1": 9, "pointwise_1": 32, "depthwise_2": 9, "pointwise_2": 32}),
        ("sep_conv_5x5", 2, {"depthwise_1": 25, "pointwise_1": 32, "depthwise_2": 25, "pointwise_2": 32}),
        ("dil_conv_3x3", 1, {"depthwise": 9, "pointwise": 32}),
        ("dil_conv_5x5", 2, {"depthwise": 25, "pointwise": 32}),
        ("nor_conv_1x1", 1, {"conv": 32}),
        ("nor_conv_3x3", 1, {"conv": 288}),
        ("skip_connect", 2, {"conv_1": 32, "conv_2": 32}),
        ("conv_7x1_1x7", 1, {"conv_1x7": 224, "conv_7x1": 224}),
    ],
)
def test_initial_weights_are_uniform_up_to_one_over_the_root_of_fan_in(name, stride, fan_ins):
    found = kernels(make(name, 32, stride, seed=4))
    assert found.keys() == fan_ins.keys()
    for key, fan_in in fan_ins.items():
        bound = fan_in**-0.5
        assert np.abs(found[key]).max() <= bound
        assert np.abs(found[key]).max() > 0.97 * bound  # of 288 draws or more
        assert found[key].std() == pytest.approx(bound / np.sqrt(3), rel=0.12)
        assert abs(found[key].mean()) < 0.15 * bound


def test_initial_weights_follow_from_seed_and_name():
    one, same, other = (kernels(make("sep_conv_3x3", 4, seed=seed)) for seed in (1, 1, 2))
    for name, kernel in one.items():
        np.testing.assert_array_equal(kernel, same[name])
        assert not np.array_equal(kernel, other[name])
    assert not np.array_equal(one["depthwise_1"], one["depthwise_2"])
    assert not np.array_equal(one["pointwise_1"], one["pointwise_2"])
    assert uniform_fan_in(4, 0)((1000,)).numpy().max() <= 0.5


# Batch norm.


def test_batch_norm_in_training_and_evaluation():
    norm = BatchNorm(1, affine=True)
    norm.gamma.assign([3.0])
    norm.beta.assign([-1.0])
    x = tf.reshape([1.0, 2.0, 3.0, 6.0], [2, 1, 2, 1])  # mean 3, biased variance 3.5, unbiased 14/3
    values = np.array([1, 2, 3, 6])
    y = norm(x, training=True).numpy().ravel()
    np.testing.assert_allclose(y, 3 * (values - 3) / np.sqrt(3.5 + 1e-5) - 1, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, [0.9 * 0 + 0.1 * 3], rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, [0.9 * 1 + 0.1 * 14 / 3], rtol=1e-6)

    y = norm(x, training=False).numpy().ravel()
    variance = 0.9 + 1.4 / 3
    np.testing.assert_allclose(y, 3 * (values - 0.3) / np.sqrt(variance + 1e-5) - 1, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, [0.3], rtol=1e-6)  # evaluation moves nothing

    norm(x, training=True)
    np.testing.assert_allclose(norm.moving_mean, [0.9 * 0.3 + 0.3], rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, [0.9 * variance + 1.4 / 3], rtol=1e-6)


def test_batch_norm_without_affine_has_nothing_to_train():
    norm = BatchNorm(2, affine=False)
    assert norm.trainable_variables == []
    y = norm(tf.random.stateless_normal([8, 5, 5, 2], [1, 2]) * 7 + 3, training=True)
    np.testing.assert_allclose(tf.reduce_mean(y, [0, 1, 2]), 0, atol=1e-5)
    np.testing.assert_allclose(tf.math.reduce_std(y, [0, 1, 2]), 1, rtol=1e-4)


def test_batch_norm_of_half_precision_keeps_float32_statistics():
    norm = BatchNorm(1, affine=True, dtype="mixed_bfloat16")
    x = tf.reshape(tf.constant([1.0, 2.0, 3.0, 6.0], tf.bfloat16), [1, 2, 2, 1])
    y = norm(x, training=True)
    assert y.dtype == tf.bfloat16
    assert norm.moving_mean.dtype == norm.moving_variance.dtype == norm.gamma.dtype == "float32"
    np.testing.assert_allclose(norm.moving_variance, [0.9 + 1.4 / 3], rtol=1e-6)
