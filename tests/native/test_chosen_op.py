"""A network's edges on native kernels against TensorFlow's: affine batch norms, drop path, widths."""

import numpy as np
import pytest
import tensorflow as tf

from tests.native import kernels
from tests.native.test_edge import assert_agree, normal
from tf_darts.layers.chosen_op import ChosenOp
from tf_darts.native import choice


@pytest.fixture(autouse=True)
def there():
    kernels.or_skip()


def operations(name, channels, stride):
    """The same operation twice, on TensorFlow's kernels and on native ones, with scales and offsets."""
    made = [
        ChosenOp(name, channels, stride, seed=3, kernels=kind) for kind in (choice.TENSORFLOW, choice.NATIVE)
    ]
    for operation in made:
        for i, variable in enumerate(operation.trainable_variables):
            if len(variable.shape) == 1:
                variable.assign(1.0 + 0.3 * normal(variable.shape, i))
    return made


def computed(made, shape, stride, keep=None):
    """Output, gradients and running estimates, by name."""
    batch, height, width, channels = shape
    x, dy = normal(shape, 1), normal([batch, -(-height // stride), -(-width // stride), channels], 2)
    variables = [v.value for v in made.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x, *variables])
        y = made(x, keep=keep, training=True)
        loss = tf.reduce_sum(y * dy)
    dx, *gradients = tape.gradient(loss, [x, *variables])
    found = {"y": y, "dx": dx}
    found |= {f"{i} {v.path}": v.value for i, v in enumerate(made.non_trainable_variables)}
    names = [f"gradient {i} {v.path}" for i, v in enumerate(made.trainable_variables)]
    return found | dict(zip(names, gradients, strict=True))


@pytest.mark.parametrize(
    ("name", "shape", "stride"),
    [
        ("sep_conv_3x3", (3, 8, 8, 36), 1),
        ("sep_conv_5x5", (2, 7, 5, 20), 1),
        ("sep_conv_3x3", (2, 8, 8, 36), 2),
        ("sep_conv_7x7", (2, 9, 9, 16), 1),
        ("dil_conv_5x5", (2, 6, 6, 72), 2),
        ("dil_conv_3x3", (2, 8, 8, 100), 1),
        ("nor_conv_3x3", (3, 8, 8, 36), 1),
        ("nor_conv_3x3", (1, 7, 5, 20), 1),
        ("nor_conv_1x1", (2, 8, 8, 36), 1),
        ("skip_connect", (2, 4, 4, 32), 2),
    ],
)
def test_an_operation_agrees_with_tensorflow(name, shape, stride):
    plain, native = operations(name, shape[-1], stride)
    assert native.native is not None
    assert_agree(computed(native, shape, stride), computed(plain, shape, stride))


@pytest.mark.parametrize("name", ["sep_conv_3x3", "nor_conv_3x3"])
def test_drop_path_agrees(name):
    keep = tf.constant([0.0, 1.25, 1.25])[:, None, None, None]
    shape = (3, 8, 8, 36)
    plain, native = operations(name, 36, 1)
    found = computed(native, shape, 1, keep)
    assert_agree(found, computed(plain, shape, 1, keep))
    assert not found["y"][0].numpy().any() and found["y"][1].numpy().any()


@pytest.mark.parametrize(
    ("name", "channels", "stride"),
    [
        ("max_pool_3x3", 32, 1),
        ("skip_connect", 32, 1),
        ("skip_connect", 36, 2),  # half of 36 fills no vectors
        ("nor_conv_3x3", 32, 2),
        ("sep_conv_3x3", 32, 1),  # where nothing is trained
    ],
)
def test_others_are_tensorflows(name, channels, stride):
    plain, native = operations(name, channels, stride)
    training = name != "sep_conv_3x3"
    x = normal([2, 8, 8, channels], 1)
    y = [made(x, keep=None, training=training) for made in (plain, native)]
    np.testing.assert_array_equal(y[1], y[0])
