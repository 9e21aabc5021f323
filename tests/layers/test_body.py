"""Cells, the stacking of cells, the residual block and the head."""

import numpy as np
import pytest
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.layers import primitives
from tf_darts.layers.body import Body, enlarge
from tf_darts.layers.cell import Cell
from tf_darts.layers.head import Head
from tf_darts.layers.layer import NodeLayer
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.layers.operations import FactorizedReduce, ReluConvBN
from tf_darts.layers.residual_block import ResidualBlock


class Times(NodeLayer):
    """A stand-in for an edge: its source times its own factor and a weight."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, node, weight, training=False):
        return node.x * self.factor * weight


def cell_of(space, factors):
    edges = [(e.target, e.source, Times(f)) for e, f in zip(space.edges, factors, strict=True)]
    return Cell(space, edges, [])


def test_a_darts_cell_sums_at_nodes_and_concatenates_the_four():
    factors, rows = np.arange(1, 15), np.linspace(-1, 1, 14)
    a, b = 2.0, -3.0
    nodes = [a, b]
    products = factors * rows
    for edges in ([0, 1], [2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12, 13]):
        nodes.append(sum(products[e] * nodes[i] for i, e in enumerate(edges)))
    cell = cell_of(spaces.get("darts"), factors)
    inputs = [NodeOutput(tf.fill([1, 2, 2, 3], value)) for value in (a, b)]
    weights = [{"weight": tf.constant(r, tf.float32)} for r in rows]
    y = cell(inputs=inputs, edge_inputs=weights).x.numpy()
    assert y.shape == (1, 2, 2, 12)
    np.testing.assert_allclose(y[0, 0, 0], np.repeat(nodes[2:], 3), rtol=1e-5)


def test_a_nas_bench_201_cell_gives_its_last_node():
    factors = [2, 3, 5, 7, 11, 13]  # 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2
    node_1 = 2
    node_2 = 3 + 5 * node_1
    cell = cell_of(spaces.get("nas_bench_201"), factors)
    y = cell(inputs=[NodeOutput(tf.ones([1, 2, 2, 4]))], edge_inputs=[{"weight": tf.ones([])}] * 6).x.numpy()
    assert y.shape == (1, 2, 2, 4)
    np.testing.assert_allclose(y, 7 + 11 * node_1 + 13 * node_2)


def body_of(space, cells, channels=4):
    """A body whose cells have identities for edges at stride 1 and subsampling at stride 2."""
    calls = []

    class Same(NodeLayer):
        def __init__(self, stride):
            super().__init__()
            self.stride = stride

        def call(self, node, training=False):
            return node.then(primitives.subsample).x if self.stride == 2 else node.x

    def make_edges(block, width, seed):
        calls.append((block.cell_type, width))
        return [(e.target, e.source, Same(space.stride(e, block.reduction))) for e in space.edges]

    return Body(space, channels, cells, 3, True, make_edges, seed=0), calls


@pytest.mark.parametrize(
    ("cells", "reductions"),
    [(1, [0]), (2, [0, 1]), (3, [1, 2]), (5, [1, 3]), (8, [2, 5]), (20, [6, 13])],
)
def test_layout_of_a_darts_like_body(cells, reductions):
    body, calls = body_of(spaces.get("darts"), cells)
    widths = [4 * 2 ** sum(r <= i for r in reductions) for i in range(cells)]
    assert calls == [("reduce" if i in reductions else "normal", widths[i]) for i in range(cells)]
    assert body.stem.conv.shape == (3, 3, 3, 12)
    assert body.channels_out == 4 * widths[-1]
    for i, cell in enumerate(body.blocks):
        after_reduction = i - 1 in reductions
        assert type(cell.preprocess[0]) is (FactorizedReduce if after_reduction else ReluConvBN)
        assert type(cell.preprocess[1]) is ReluConvBN
        for layer, back in zip(cell.preprocess, (2, 1), strict=True):
            coming = 4 * widths[i - back] if i >= back else 12
            kernel = layer.conv_1 if type(layer) is FactorizedReduce else layer.conv
            assert kernel.shape[2] == coming and layer.channels == widths[i]


def test_outputs_of_a_darts_like_body():
    body, _ = body_of(spaces.get("darts"), 8)
    outputs = body(tf.ones([2, 16, 16, 3]), cell_inputs=[[{}] * 14] * 8, training=True)
    assert [o.x.shape[1:] for o in outputs] == [(16, 16, 16)] * 2 + [(8, 8, 32)] * 3 + [(4, 4, 64)] * 3


@pytest.mark.parametrize("cells", [1, 5])
def test_layout_of_a_nas_bench_201_body(cells):
    body, calls = body_of(spaces.get("nas_bench_201"), cells)
    assert calls == [("normal", 4)] * cells + [("normal", 8)] * cells + [("normal", 16)] * cells
    residual = [i for i, block in enumerate(body.blocks) if isinstance(block, ResidualBlock)]
    assert residual == [cells, 2 * cells + 1] and len(body.blocks) == 3 * cells + 2
    assert body.stem.conv.shape == (3, 3, 3, 4) and body.channels_out == 16
    outputs = body(tf.ones([2, 16, 16, 3]), cell_inputs=[[{}] * 6] * len(body.blocks), training=True)
    sizes = [outputs[i].x.shape[1:] for i in (0, cells, -1)]
    assert sizes == [(16, 16, 4), (8, 8, 8), (4, 4, 16)]


def test_the_stem_has_no_relu():
    body, _ = body_of(spaces.get("nas_bench_201"), 1)
    y = body.stem(tf.random.stateless_normal([2, 8, 8, 3], [0, 1]), training=True).numpy()
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    assert body.stem.norm.affine and y.min() < -1


@pytest.mark.parametrize(("name", "width"), [("nas_bench_201", 4), ("darts", 12)])
def test_a_pooled_stem_halves_the_images_after_its_convolution(name, width):
    plain, _ = body_of(spaces.get(name), 1)
    pooled, calls = body_of(spaces.with_stem(spaces.get(name), "pooled"), 1)
    assert calls == body_of(spaces.get(name), 1)[1]
    images = tf.random.stateless_normal([2, 8, 12, 3], [0, 1])
    x = tf.nn.relu(plain.stem(images, training=True))
    y = pooled.stem(images, training=True)
    assert y.shape == (2, 4, 6, width)
    np.testing.assert_array_equal(y[:, 1, 2], tf.reduce_max(x[:, 2:4, 4:6], (1, 2)))


def test_stages_behind_a_pooled_stem_begin_with_a_convolution_and_a_pooling():
    body, _ = body_of(spaces.with_stem(spaces.get("nas_bench_201"), "pooled"), 1)
    first, second = (block for block in body.blocks if not isinstance(block, Cell))
    assert first.conv.conv.shape == (3, 3, 4, 8) and second.conv.conv.shape == (3, 3, 8, 16)
    x = tf.random.stateless_normal([2, 6, 4, 4], [0, 2])
    whole = first.conv(NodeOutput(x), training=True).numpy()
    y = first(NodeOutput(x), training=True)
    np.testing.assert_array_equal(y[:, 1, 1], whole[:, 2:4, 2:4].max((1, 2)))
    assert first.multiply_adds(6) == 24 * 9 * 4 * 8


@pytest.mark.parametrize(
    ("name", "stem", "cells", "size", "enlarged"),
    [
        ("nas_bench_201", "plain", 1, (28, 28), (28, 28)),
        ("nas_bench_201", "plain", 5, (10, 13), (12, 16)),
        ("nas_bench_201", "pooled", 5, (1, 30), (8, 32)),
        ("darts", "plain", 1, (5, 6), (6, 6)),
        ("darts", "plain", 8, (8, 8), (8, 8)),
        ("darts", "imagenet", 14, (224, 225), (224, 256)),
        ("darts", "imagenet", 14, (8, 8), (32, 32)),
    ],
)
def test_images_enter_at_the_next_size_that_can_be_halved(name, stem, cells, size, enlarged):
    body, _ = body_of(spaces.with_stem(spaces.get(name), stem), cells)
    assert body.enlarged((*size, 3)) == enlarged
    images = tf.random.stateless_normal([1, *size, 3], [0, 1])
    assert (enlarge(images, enlarged, "pad") is images) == (size == enlarged)


def test_enlarging_adds_a_border_of_the_mean_colour_or_interpolates():
    images = tf.reshape(tf.range(1.0, 7.0), [1, 2, 3, 1])
    np.testing.assert_array_equal(
        enlarge(images, (4, 4), "pad")[0, ..., 0], [[0, 0, 0, 0], [1, 2, 3, 0], [4, 5, 6, 0], [0, 0, 0, 0]]
    )
    rows = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # between pixels' middles
    columns = np.array([[1, 0, 0], [0.375, 0.625, 0], [0, 0.625, 0.375], [0, 0, 1]])
    wanted = rows @ images[0, ..., 0].numpy() @ columns.T
    np.testing.assert_allclose(enlarge(images, (4, 4), "resize")[0, ..., 0], wanted, rtol=1e-6)


@pytest.mark.parametrize("how", spaces.ENLARGE)
def test_a_config_says_how_its_networks_enlarge(how):
    config = config_lib.default()
    config.space, config.data.enlarge = "nas_bench_201", how
    body, _ = body_of(spaces.of(config_lib.validate(config)), 1)
    plain, _ = body_of(spaces.get("nas_bench_201"), 1)
    images = tf.random.stateless_normal([2, 10, 13, 3], [0, 1])
    inputs = [[{}] * 6] * len(body.blocks)
    y = body(images, cell_inputs=inputs, training=True)[-1].x
    wanted = plain(enlarge(images, (12, 16), how), cell_inputs=inputs, training=True)[-1].x
    np.testing.assert_array_equal(y, wanted)
    assert y.shape[1:3] == (3, 4) and np.ptp(y) > 0.1


def test_the_residual_block_adds_its_shortcut_without_relu():
    block = ResidualBlock(4, 2, seed=0)
    x = tf.random.stateless_normal([2, 6, 6, 2], [0, 1])
    block.conv_b.norm.gamma.assign(tf.zeros(4))  # nothing is left of the main path
    means = x.numpy().reshape(2, 3, 2, 3, 2, 2).mean((2, 4))
    wanted = means @ block.shortcut.numpy()[0, 0]
    y = block(x, training=True).numpy()
    np.testing.assert_allclose(y, wanted, atol=1e-6)
    assert y.min() < 0
    assert block.conv_a.stride == 2 and block.conv_b.stride == 1 and block.conv_a.norm.affine


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_head(batch_norm):
    head = Head(4, 3, batch_norm, seed=2)
    x = tf.random.stateless_normal([2, 4, 4, 4], [0, 1]) - 1.0
    features = np.maximum(x.numpy() / np.sqrt(1 + 1e-5), 0) if batch_norm else x.numpy()
    kernel, bias = head.classifier.kernel.numpy(), head.classifier.bias.numpy()
    np.testing.assert_allclose(head(x), features.mean((1, 2)) @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert np.abs(kernel).max() <= 0.5 and 0 < np.abs(bias).max() <= 0.5  # 1/sqrt(4)


def test_operations_know_whether_they_shorten():
    assert Operation(2, 2).shortens and not Operation(2, 1).shortens
