"""A cell's preprocessing on native kernels against TensorFlow's, of one part and of several."""

import numpy as np
import pytest
import tensorflow as tf

from tests.native import kernels
from tests.native.test_edge import assert_agree, normal
from tf_darts.layers import native_preprocess
from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operations import FactorizedReduce, ReluConvBN
from tf_darts.native import choice, preprocess
from tf_darts.runtime import strategy


@pytest.fixture(autouse=True)
def there():
    kernels.or_skip()


def computed(kind, shape, parts, channels, affine):
    """Output, gradients and running estimates, by name; with native kernels or TensorFlow's."""
    layer = ReluConvBN(channels, channels_in=parts * shape[-1], affine=affine, seed=3)
    for i, variable in enumerate(layer.trainable_variables):
        if len(variable.shape) == 1:
            variable.assign(1.0 + 0.3 * normal(variable.shape, i))
    given = [normal(shape, 10 + i) for i in range(parts)]
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([*given, *variables])
        y = native_preprocess.apply(layer, NodeOutput(*given), kind, training=True).x
        loss = tf.reduce_sum(y * normal(y.shape, 2))
    gradients = tape.gradient(loss, [*given, *variables])
    found = {"y": y} | {f"gradient {i}": g for i, g in enumerate(gradients)}
    return found | {f"{i}": v.value for i, v in enumerate(layer.non_trainable_variables)}


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(
    ("shape", "parts", "channels"),
    [
        ((3, 8, 8, 16), 4, 16),
        ((2, 32, 32, 36), 4, 36),  # several strips, and vectors that two parts share
        ((2, 9, 7, 48), 1, 20),
        ((3, 1, 2, 20), 3, 72),
        ((2, 5, 5, 3), 9, 17),  # a vector of many parts
        ((2, 4, 4, 144), 4, 144),
    ],
)
def test_it_agrees_with_tensorflow(shape, parts, channels, affine):
    found, expected = (
        computed(kind, shape, parts, channels, affine) for kind in (choice.NATIVE, choice.TENSORFLOW)
    )
    assert_agree(found, expected)


def test_parts_have_the_bits_of_their_concatenation():
    x = [normal((2, 8, 8, 36), i) for i in range(4)]
    layer = ReluConvBN(36, channels_in=144, affine=True, seed=3)
    nodes = NodeOutput(*x), NodeOutput(tf.concat(x, -1))
    y = [native_preprocess.apply(layer, node, choice.NATIVE, training=True).x for node in nodes]
    np.testing.assert_array_equal(y[1], y[0])


def test_a_small_variance_beside_a_large_mean_keeps_its_digits():
    layer, x = ReluConvBN(16, affine=False, seed=3), 300.0 + normal((4, 8, 8, 16), 1)
    y = [
        native_preprocess.apply(layer, NodeOutput(x), kind, training=True).x
        for kind in (choice.NATIVE, choice.TENSORFLOW)
    ]
    np.testing.assert_allclose(y[0], y[1], rtol=0, atol=2e-3)


def test_the_kernel_gradient_can_be_left_out():
    layer, x = ReluConvBN(16, channels_in=64, affine=False, seed=3), normal((2, 8, 8, 64), 1)
    kernel = layer.conv.value

    def gradients():
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = native_preprocess.apply(layer, NodeOutput(x), choice.NATIVE, training=True).x
        return tape.gradient(y, [x, kernel])

    whole = gradients()
    with no_kernel_gradients():
        lean = gradients()
    np.testing.assert_array_equal(lean[0], whole[0])
    assert lean[1] is None and whole[1] is not None


def test_others_are_tensorflows():
    x = normal((2, 8, 8, 64), 1)
    for layer, training in (
        (FactorizedReduce(32, channels_in=64, affine=True, seed=3), True),
        (ReluConvBN(16, channels_in=64, affine=True, seed=3), False),
    ):
        y = native_preprocess.apply(layer, NodeOutput(x), choice.NATIVE, training).x
        np.testing.assert_array_equal(y, layer(x, training=training))


def test_threads_leave_its_bits():
    expected, *others = (
        [kernels.set_threads(threads), computed(choice.NATIVE, (3, 16, 16, 36), 4, 36, affine=True)][1]
        for threads in (1, 2, 3, 8)
    )
    kernels.set_threads(strategy.operation_threads())
    for found in others:
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_what_does_not_fit_is_an_error_not_a_crash():
    good = {
        "parts": [normal((2, 8, 8, 16), i) for i in range(2)],
        "kernel": normal([1, 1, 32, 16], 3),
        "running": (tf.zeros([16]), tf.ones([16])),
        "scaled": None,
    }

    def run(**changed):
        return preprocess.preprocess(epsilon=1e-5, momentum=0.9, kernel_gradients=True, **good | changed)

    run()
    for changed in (
        {"parts": [good["parts"][0], good["parts"][1][:1]]},
        {"parts": [part[0] for part in good["parts"]]},
        {"parts": [part[:0] for part in good["parts"]]},
        {"kernel": normal([1, 1, 16, 16], 3)},
        {"kernel": normal([3, 3, 32, 16], 3)},
        {"running": (tf.zeros([8]), tf.ones([16]))},
        {"scaled": (tf.zeros([8]), tf.ones([16]))},
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="tf_darts"):
            run(**changed)
