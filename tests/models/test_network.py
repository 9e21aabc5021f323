"""Networks of genotypes: size, auxiliary head, drop path, shapes."""

import numpy as np
import pytest
import tensorflow as tf

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.models.network import Network, auxiliary_block, check_auxiliary, count_parameters

SEP3 = "[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)" + ", ('sep_conv_3x3', 0), ('sep_conv_3x3', 1)" * 3 + "]"
ALL_SEP3 = f"Genotype(normal={SEP3}, normal_concat=range(2, 6), reduce={SEP3}, reduce_concat=range(2, 6))"


def network(genotype, *sizes, **options):
    return Network(spaces.get(genotype.space), genotype, *sizes, **options)


def of_text(text, space):
    return genotype_lib.from_text(text, spaces.get(space))


@pytest.mark.parametrize(
    ("name", "channels", "cells", "count"),
    [
        ("darts_pt_s5_0", 16, 8, 239_002),
        ("darts_pt_s5_1", 16, 8, 263_546),
        ("darts_pt_s5_2", 16, 8, 227_866),
        ("darts_pt_s5_3", 16, 8, 271_450),
        ("blank_pt_s5_0", 16, 8, 255_962),
        ("darts_pt_s1_1", 16, 8, 156_986),
        ("darts_pt_s2_1", 16, 8, 268_218),
        ("darts_pt_s3_1", 16, 8, 287_610),
        ("darts_pt_s5_0", 36, 20, 2_851_246),
        ("darts_pt_s5_3", 36, 20, 3_328_174),
        ("darts_pt_s1_1", 36, 20, 1_870_822),
        ("darts_pt_s5_0", 16, 20, 612_186),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in (
                ("darts_pt_s5_1", 36, 20, 3_053_206),
                ("darts_pt_s5_2", 36, 20, 2_658_142),
                ("blank_pt_s5_0", 36, 20, 3_039_598),
                ("darts_pt_s2_1", 36, 20, 3_092_518),
                ("darts_pt_s3_1", 36, 20, 3_422_134),
                ("darts_pt_s5_1", 16, 20, 648_826),
                ("darts_pt_s5_2", 16, 20, 560_282),
                ("darts_pt_s5_3", 16, 20, 709_594),
                ("blank_pt_s5_0", 16, 20, 655_578),
                ("darts_pt_s1_1", 16, 20, 390_842),
                ("darts_pt_s2_1", 16, 20, 653_498),
                ("darts_pt_s3_1", 16, 20, 725_754),
            )
        ),
    ],
)
def test_parameter_counts_of_published_genotypes(name, channels, cells, count):
    assert count_parameters(network(PUBLISHED[name], channels, cells, 10)) == count


@pytest.mark.parametrize(
    ("channels", "cells", "count"),
    [
        (16, 8, 411_002),
        pytest.param(16, 20, 1_007_738, marks=pytest.mark.slow),
        pytest.param(36, 20, 4_701_718, marks=pytest.mark.slow),
    ],
)
def test_parameter_counts_of_sixteen_separable_convolutions(channels, cells, count):
    assert count_parameters(network(of_text(ALL_SEP3, "darts"), channels, cells, 10)) == count


@pytest.mark.parametrize(
    ("channels", "cells", "classes", "count", "with_head"),
    [
        (36, 20, 10, 3_349_342, 3_825_768),
        pytest.param(36, 20, 100, 3_401_272, 3_946_908, marks=pytest.mark.slow),
        (16, 8, 100, 269_236, 773_912),
        pytest.param(16, 20, 10, 710_682, 1_146_148, marks=pytest.mark.slow),
    ],
)
def test_parameter_counts_of_the_reference_network(shared, channels, cells, classes, count, with_head):
    with np.load(shared / "reference/network_darts.npz") as file:
        genotype = of_text(str(file["genotype"]), "darts")
    model = network(genotype, channels, cells, classes, auxiliary=True)
    assert count_parameters(model) == count
    assert sum(v.shape.num_elements() for v in model.trainable_variables) == with_head


@pytest.mark.parametrize(
    ("channels", "classes", "count"), [(36, 10, 476_426), (16, 10, 435_466), (16, 100, 504_676)]
)
def test_parameters_of_the_auxiliary_head(channels, classes, count):
    model = network(PUBLISHED["darts_pt_s1_1"], channels, 3, classes, auxiliary=True)
    head = model.auxiliary_head.trainable_variables
    assert sum(v.shape.num_elements() for v in head) == count
    assert count_parameters(model) == count_parameters(
        network(PUBLISHED["darts_pt_s1_1"], channels, 3, classes)
    )


@pytest.mark.parametrize(
    ("operation", "count"),
    [("nor_conv_3x3", 1_531_546), ("nor_conv_1x1", 241_306), ("skip_connect", 73_306)],
)
def test_parameter_counts_of_nas_bench_201_networks(operation, count):
    text = f"|{operation}~0|+|{operation}~0|{operation}~1|+|{operation}~0|{operation}~1|{operation}~2|"
    assert count_parameters(network(of_text(text, "nas_bench_201"), 16, 5, 10)) == count


@pytest.mark.parametrize(("cells", "block"), [(1, 0), (3, 2), (5, 3), (8, 5), (20, 13)])
def test_the_auxiliary_head_takes_the_second_reduction(cells, block):
    space = spaces.get("darts")
    assert auxiliary_block(space, cells) == block
    assert space.stacking.blocks(cells)[block].reduction


@pytest.mark.parametrize("shape", [(32, 32, 3), (32, 40, 1), (36, 36, 3)])
def test_images_that_the_auxiliary_head_takes(shape):
    check_auxiliary(spaces.get("darts"), 8, shape)
    model = network(PUBLISHED["darts_pt_s1_1"], 2, 3, 4, channels_in=shape[2], auxiliary=True)
    assert model(tf.zeros((2, *shape)), training=True)[1].shape == (2, 4)


@pytest.mark.parametrize(
    ("shape", "found"),
    [((8, 8, 1), "2x2"), ((28, 28, 1), "7x7"), ((32, 16, 3), "8x4"), ((64, 64, 3), "16x16")],
)
def test_images_that_it_does_not_take(shape, found):
    with pytest.raises(UserError, match=f"auxiliary_weight: .* give {found}; set it to 0"):
        check_auxiliary(spaces.get("darts"), 8, shape)


def test_auxiliary_logits_in_training_only():
    model = network(PUBLISHED["darts_pt_s1_2"], 2, 3, 7, auxiliary=True)
    images = tf.random.stateless_normal([2, 32, 32, 3], [0, 1])
    logits, auxiliary = model(images, training=True)
    assert logits.shape == auxiliary.shape == (2, 7)
    assert np.abs(logits.numpy() - auxiliary.numpy()).max() > 1e-3
    logits, auxiliary = model(images, training=False)
    assert logits.shape == (2, 7) and auxiliary is None


def test_without_an_auxiliary_head_there_are_no_such_logits():
    model = network(PUBLISHED["darts_pt_s1_2"], 2, 3, 7)
    assert model(tf.zeros([2, 8, 8, 3]), training=True)[1] is None


@pytest.mark.parametrize("name", ["darts_pt_s5_1", "darts_pt_s1_1", "darts_pt_s3_1"])
@pytest.mark.parametrize("training", [False, True])
def test_small_grey_images(name, training):
    model = network(PUBLISHED[name], 4, 3, 10, channels_in=1)
    logits, _ = model(tf.random.stateless_normal([3, 8, 8, 1], [0, 1]), training=training)
    assert logits.shape == (3, 10) and logits.dtype == tf.float32 and np.isfinite(logits).all()


def test_a_nas_bench_201_network_on_small_images():
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
    model = network(of_text(text, "nas_bench_201"), 4, 2, 10, channels_in=1)
    assert model(tf.zeros([3, 8, 8, 1]), training=True)[0].shape == (3, 10)
    assert model.num_edges == 6 * 6


def test_drop_path_takes_one_factor_per_edge_of_every_cell():
    model = network(PUBLISHED["darts_pt_s1_1"], 2, 3, 4)
    assert model.num_edges == 3 * 8
    images = tf.random.stateless_normal([2, 8, 8, 3], [0, 1])
    plain = model(images, training=True)[0].numpy()
    ones = tf.ones([24, 2, 1, 1, 1])
    np.testing.assert_allclose(model(images, ones, training=True)[0], plain, rtol=1e-5, atol=1e-6)
    # Edges by cell: 0-7 normal, 8-15 and 16-23 reduction. The first two normal ones are identities.
    choices = PUBLISHED["darts_pt_s1_1"].cells
    identity = [c.operation == "skip_connect" for c in choices["normal"]]
    stride_1 = [c.operation == "skip_connect" and c.source > 1 for c in choices["reduce"]]
    for edge, is_identity in enumerate(identity + stride_1 * 2):
        one_dropped = tf.tensor_scatter_nd_update(ones, [[edge]], tf.zeros([1, 2, 1, 1, 1]))
        change = np.abs(model(images, one_dropped, training=True)[0].numpy() - plain).max()
        assert (change < 1e-5) == is_identity, edge


def test_every_batch_norm_is_affine_and_equal_seeds_give_equal_weights():
    first, same, other = (network(PUBLISHED["darts_pt_s1_1"], 4, 3, 10, seed=seed) for seed in (1, 1, 2))
    statistics = [v for v in first.variables if v.name == "moving_mean"]
    assert len(statistics) == len([v for v in first.trainable_variables if v.name == "gamma"]) > 0
    for a, b, c in zip(
        first.trainable_variables, same.trainable_variables, other.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(a, b)
        assert a.name in ("gamma", "beta") or not np.array_equal(a, c)
