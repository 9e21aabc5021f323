"""The residual network that what was found is compared with: its size, its layers, and its files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_darts import spaces
from tf_darts.export.functional import functional
from tf_darts.layers.residual_block import ResidualBlock
from tf_darts.models import cost
from tf_darts.models.network import Network, count_parameters
from tf_darts.models.residual_network import ResidualNetwork

SPACE = spaces.get("darts")


def build(made, classes=3, channels_in=3):
    return Network(made.space(SPACE), made.genotype, 1, made.blocks, classes, channels_in)


@pytest.mark.parametrize(
    ("made", "classes", "channels_in"),
    [
        (ResidualNetwork((10, 20, 40)), 5, 3),
        (ResidualNetwork((3, 5, 9), "pooled", 1), 10, 1),
        (ResidualNetwork((4, 7, 14), "imagenet", 3), 2, 12),
    ],
)
def test_its_parameters_are_those_of_the_layers(made, classes, channels_in):
    assert made.parameters(classes, channels_in) == count_parameters(build(made, classes, channels_in))


@pytest.mark.parametrize("parameters", [600, 5_000, 50_000, 69_475, 1_000_000])
def test_it_is_the_largest_that_has_no_more(parameters):
    made = ResidualNetwork.within(parameters, 5, 3)
    last = made.widths[-1] + 1
    wider = ResidualNetwork((max((last + 2) // 4, 2), max((last + 1) // 2, 2), last))
    assert made.parameters(5, 3) <= parameters < wider.parameters(5, 3)
    if parameters > 10_000:  # a channel more or less is little then
        assert made.parameters(5, 3) > 0.94 * parameters


def test_a_resnet_14_of_width_10_is_one_of_them_and_too_few_parameters_are_said():
    assert ResidualNetwork.within(ResidualNetwork((10, 20, 40)).parameters(5, 3), 5, 3).widths == (10, 20, 40)
    smallest = ResidualNetwork((2, 2, 2)).parameters(5, 3)
    assert ResidualNetwork.within(smallest, 5, 3) is not None
    assert ResidualNetwork.within(smallest - 1, 5, 3) is None


def test_a_record_of_it_makes_it_again():
    made = ResidualNetwork((4, 7, 14), "pooled", 3)
    assert ResidualNetwork.of_record(made.as_record()) == made


def test_it_has_the_blocks_of_a_resnet_14():
    """Two convolutions in each of six blocks, of which two halve height and width."""
    network = build(ResidualNetwork((4, 8, 16)))
    kinds = [isinstance(block, ResidualBlock) for block in network.body.blocks]
    assert kinds == [False, False, True, False, True, False]
    assert cost.block_sizes(network.body, (32, 32))[-1] == (64, 64)
    # What goes past the convolutions: with kernels of zero, a stage's first blocks change nothing.
    images = tf.random.stateless_normal((2, 32, 32, 3), (1, 2))
    for variable in network.body.blocks[0].trainable_variables:
        variable.assign(tf.zeros_like(variable))
    stem, first = network.body.start(images, False)[-1].x, network.body.blocks[0]
    made = first(inputs=[stem], edge_inputs=[{"keep": None}] * 3, training=False)
    np.testing.assert_array_equal(made.x, stem)


@pytest.mark.parametrize(("side", "channels_in"), [(8, 1), (28, 1), (32, 12), (96, 3)])
def test_images_of_every_size_are_answered_and_its_keras_model_gives_the_same(side, channels_in):
    network = build(ResidualNetwork((4, 8, 15)), 4, channels_in)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (3, side, side, channels_in), dtype=np.uint8)
    mean, std = np.full(channels_in, 0.4, np.float32), np.full(channels_in, 0.3, np.float32)
    logits, auxiliary = network((images / np.float32(255) - mean) / std, training=False)
    assert logits.shape == (3, 4) and auxiliary is None and np.std(logits) > 0
    model = functional(network, images.shape[1:], mean, std)
    assert isinstance(model, keras.Model)
    np.testing.assert_allclose(model(images), tf.nn.softmax(logits), atol=1e-5)
