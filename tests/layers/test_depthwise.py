"""Depthwise convolutions and their gradients in every formulation, against sums over shifted images."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_darts.layers import depthwise, operations, primitives
from tf_darts.runtime.strategy import assumed_device_type

# (height, width): one that every three of columns divides, odd ones, and ones lower than the dilated kernel.
SIZES = [(8, 8), (12, 8), (9, 9), (6, 10), (4, 4)]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_shifts(x, kernel, dilation):
    """The definition: every pixel of the kernel times the image moved by its place, zeros outside."""
    size = kernel.shape[0]
    reach = dilation * (size - 1) // 2
    high, wide = x.shape[1:3]
    padded = tf.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
    return tf.add_n(
        [
            padded[:, dilation * i : dilation * i + high, dilation * j : dilation * j + wide]
            * kernel[i, j, :, 0]
            for i, j in itertools.product(range(size), repeat=2)
        ]
    )


def with_gradients(function, x, kernel, cotangent):
    x, kernel = tf.constant(x), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
        total = tf.reduce_sum(y * cotangent)
    return [y, *tape.gradient(total, [x, kernel])]


@pytest.mark.parametrize("formulation", [depthwise.by_threes, depthwise.plain])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_output_and_gradients_of_the_definition(formulation, size, dilation, kernel_size):
    x, kernel = draw(3, *size, 5), draw(kernel_size, kernel_size, 5, 1, seed=1)
    cotangent = draw(3, *size, 5, seed=2)
    wanted = with_gradients(lambda x, k: by_shifts(x, k, dilation), x, kernel, cotangent)
    for compile_it in (False, True):
        run = lambda x, k: formulation(x, k, dilation)  # noqa: E731
        got = with_gradients(tf.function(run) if compile_it else run, x, kernel, cotangent)
        for ours, theirs in zip(got, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_groups_which_a_gpu_has_are_the_definition_too(size, kernel_size):
    """Under XLA: TensorFlow itself has no gradients in groups on a CPU."""
    x, kernel = draw(3, *size, 5), draw(kernel_size, kernel_size, 5, 1, seed=1)
    cotangent = draw(3, *size, 5, seed=2)

    @tf.function(jit_compile=True)
    def ours(formulation):
        return with_gradients(lambda x, k: formulation(x, k, 2), x, kernel, cotangent)

    with assumed_device_type("GPU"):
        found = ours(depthwise.depthwise_conv)
    for a, b in zip(found, ours(by_shifts), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_on_a_gpu_no_pixels_are_moved_to_the_batch():
    def dilated():
        x, kernel = draw(1, 8, 8, 3), draw(3, 3, 3, 1)
        return with_gradients(lambda x, k: depthwise.depthwise_conv(x, k, 2), x, kernel, 1.0)

    def kinds(device):
        with assumed_device_type(device):
            step = tf.function(dilated, autograph=False)
            nodes = step.get_concrete_function().graph.as_graph_def().node
        return {node.op for node in nodes}

    assert "SpaceToBatchND" in kinds("TPU") and not {"SpaceToBatchND", "BatchToSpaceND"} & kinds("GPU")


def test_formulation_by_threes_is_what_runs_on_a_cpu(monkeypatch):
    assert depthwise.device_type() == "CPU"
    monkeypatch.setitem(depthwise.FORMULATIONS, "CPU", lambda x, kernel, dilation: x + dilation)
    np.testing.assert_array_equal(depthwise.depthwise_conv(tf.zeros([1, 2, 2, 1]), None, 2), 2)


def test_without_a_dilating_operation_the_plain_formulation_runs(monkeypatch):
    monkeypatch.setattr(depthwise, "_dilates", lambda: False)
    monkeypatch.setattr(depthwise, "_native", None)  # must not be called
    x, kernel = draw(1, 8, 8, 2), draw(5, 5, 2, 1, seed=1)
    np.testing.assert_allclose(
        depthwise.by_threes(x, kernel, 2), by_shifts(x, kernel, 2), rtol=1e-4, atol=1e-4
    )


def test_gradients_of_gradients():
    """What second-order search takes; in the dilated case the operation's own would be wrong."""
    kernel, direction = tf.constant(draw(5, 5, 3, 1, seed=1)), draw(5, 5, 3, 1, seed=2)

    def hessian_times_direction(function):
        x = tf.constant(draw(2, 8, 8, 3))
        with tf.GradientTape() as outer:
            outer.watch(kernel)
            with tf.GradientTape() as inner:
                inner.watch([x, kernel])
                loss = tf.reduce_sum(tf.sin(function(x, kernel)))
            to_x, to_kernel = inner.gradient(loss, [x, kernel])
            total = tf.reduce_sum(to_kernel * direction) + tf.reduce_sum(to_x**2)
        return outer.gradient(total, kernel)

    for dilation in (1, 2):
        ours = hessian_times_direction(lambda x, k, d=dilation: depthwise.by_threes(x, k, d))
        wanted = hessian_times_direction(lambda x, k, d=dilation: by_shifts(x, k, d))
        np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("name", ["dil_conv_3x3", "dil_conv_5x5"])
def test_dilation_and_stride_together_are_the_dilated_convolution_at_even_pixels(name, size):
    long, short = (operations.make(name, 4, stride, False, seed=3) for stride in (1, 2))
    x = tf.constant(draw(2, size, size, 4))
    before_norm = [
        primitives.conv(
            depthwise.depthwise_conv(tf.nn.relu(x), layer.depthwise.value, dilation=2), layer.pointwise.value
        )
        for layer in (long, short)
    ]
    wanted = short.norm(before_norm[1][:, ::2, ::2], training=True)
    np.testing.assert_allclose(short(x, training=True), wanted, atol=1e-5)
    with pytest.raises(ValueError, match="no dilation"):
        primitives.depthwise_conv(x, long.depthwise.value, 2, 2)


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("offset", [0, 1])
def test_every_second_pixel(size, offset):
    x = tf.constant(draw(2, size, size, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = primitives.subsample(x, offset)
        total = tf.reduce_sum(y * y)
    np.testing.assert_array_equal(y, x[:, offset::2, offset::2])
    taken = np.zeros(x.shape, np.float32)
    taken[:, offset::2, offset::2] = 1
    np.testing.assert_allclose(tape.gradient(total, x), 2 * x * taken)
