"""The exported Keras model computes what the network does, of Keras's own layers."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.export import random_network
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.export import FILES, formats, functional, model_file, reload
from tf_darts.export.operation_layer import OperationLayer
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.layers.keras_operation import keras_operation
from tf_darts.models import cost
from tf_darts.registry import OPERATIONS
from tf_darts.spaces import space


def space_of(names, **fields):
    """Return a space of cells as in DARTS with two nodes, and these candidates everywhere."""
    stacking, nodes = spaces.get("darts").stacking, 2
    row = (("none", *names),) * len(space.edges_of(2, nodes))
    candidates = {"normal": row, "reduce": row}
    return spaces.Space("own", 2, nodes, candidates, (2, 3), 2, stacking, **fields)


def genotype_of(space, cell):
    text = f"Genotype(normal={cell}, normal_concat=[2, 3], reduce={cell}, reduce_concat=[2, 3])"
    return genotype_lib.from_text(text, space)


def assert_same(network, model, side=8, batch=None):
    batch = random_network.images(side=side) if batch is None else batch
    ours = random_network.logits(network, batch)
    assert np.ptp(ours) > 0.1  # there is something to agree on
    np.testing.assert_allclose(random_network.exported_logits(model, batch), ours, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(batch), keras.ops.softmax(ours), rtol=0, atol=1e-5)


BUILT_IN = sorted(OPERATIONS.built_in - {"none", "noise"})


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_operation_at_both_strides(name):
    # The edges of reduction cells have stride 2 from input nodes and 1 from the node between.
    space = space_of((name,))
    genotype = genotype_of(space, [(name, 0), (name, 1), (name, 0), (name, 2)])
    network = random_network.make(space, genotype, cells=3)
    model = random_network.exported(network)
    assert_same(network, model)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|",
        "|none~0|+|skip_connect~0|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_stages_residual_blocks_and_nodes_of_zeros(text):
    space = spaces.get("nas_bench_201")
    network = random_network.make(space, genotype_lib.from_text(text, space))
    model = random_network.exported(network)
    assert_same(network, model)
    assert not any("_edge_2_0" in layer.name for layer in model.layers)  # `none` is not computed


def test_a_pooled_stem():
    space = spaces.with_stem(spaces.get("nas_bench_201"), "pooled")
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
    network = random_network.make(space, genotype_lib.from_text(text, space))
    assert_same(network, random_network.exported(network))


def test_zeros_at_stride_2_where_nothing_else_arrives():
    space = space_of(("skip_connect",), none_in_genotype=True)
    genotype = genotype_of(space, [("none", 0), ("none", 1), ("skip_connect", 0), ("none", 2)])
    network = random_network.make(space, genotype, cells=3)
    assert_same(network, random_network.exported(network))


def test_a_constant_channel_is_not_divided_by_zero(monkeypatch):
    monkeypatch.setattr(random_network, "STD", np.array([0.2, 0.0, 0.3], np.float32))
    space = spaces.get("nas_bench_201")
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
    network = random_network.make(space, genotype_lib.from_text(text, space))
    assert_same(network, random_network.exported(network))


def test_the_stem_for_imagenet():
    space = spaces.with_stem(space_of(("max_pool_3x3",)), "imagenet")
    genotype = genotype_of(
        space, [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 2)]
    )
    network = random_network.make(space, genotype, cells=3)
    model = random_network.exported(network, side=32)
    assert_same(network, model, side=32)


@pytest.mark.parametrize("how", spaces.ENLARGE)
def test_images_of_any_size_are_enlarged_in_every_file(tmp_path, how):
    space = spaces.get("nas_bench_201")
    space = dataclasses.replace(space, stacking=dataclasses.replace(space.stacking, enlarge=how))
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
    network = random_network.make(space, genotype_lib.from_text(text, space))
    batch = random_network.images(side=13)[:, :10]
    model = functional.functional(network, (10, 13, 3), random_network.MEAN, random_network.STD)
    assert_same(network, model, batch=batch)
    padded = np.pad(batch, [(0, 0), (1, 1), (1, 2), (0, 0)])
    assert cost.multiply_adds(network, batch.shape[1:]) == cost.multiply_adds(network, padded.shape[1:])
    wanted = model(batch)
    for name, tolerance in (("keras", 1e-6), ("saved_model", 1e-6), ("tflite", 1e-5), ("tflite_int8", 0.05)):
        path = tmp_path / FILES[name]
        formats.WRITERS[name](model, path, batch.copy())
        model_file.check(path)
        np.testing.assert_allclose(
            reload.answers_of(reload.load(path), batch)[0], wanted, rtol=0, atol=tolerance, err_msg=name
        )


def test_noise_is_refused():
    space = space_of(("noise", "skip_connect"))
    genotype = genotype_of(space, [("noise", 0), ("skip_connect", 1)] * 2)
    with pytest.raises(UserError, match="operation 'noise', which draws anew at every call"):
        random_network.exported(random_network.make(space, genotype))


def plain_conv(channels, stride, affine):
    return keras.Sequential(
        [
            keras.layers.Conv2D(channels, 3, stride, padding="same"),
            keras.layers.BatchNormalization(center=affine, scale=affine),
        ]
    )


def test_a_keras_layer_stays_what_it_is(registries):
    OPERATIONS.register("plain_conv", keras_operation(plain_conv))
    space = space_of(("plain_conv",))
    genotype = genotype_of(space, [("plain_conv", 0), ("plain_conv", 1)] * 2)
    network = random_network.make(space, genotype, cells=3)
    model = random_network.exported(network)
    assert_same(network, model)
    assert sum(isinstance(layer, keras.Sequential) for layer in model.layers) == 4 * 3
    assert not any(isinstance(layer, OperationLayer) for layer in model.layers)


def test_the_network_and_its_export_share_no_weights():
    space = spaces.get("nas_bench_201")
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
    network = random_network.make(space, genotype_lib.from_text(text, space))
    model = random_network.exported(network)
    before = model(random_network.images()).numpy()
    for variable in network.variables:
        variable.assign(variable * 0.5)
    np.testing.assert_array_equal(model(random_network.images()), before)
