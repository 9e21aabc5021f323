"""Supernets: size, depth, and the mixing weights as an input. Full-size ones are built, never traced."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_darts import interop, spaces
from tf_darts.architecture import Architecture
from tf_darts.layers.base import BatchNorm
from tf_darts.network import count_parameters
from tf_darts.supernet import Supernet

FULL = [
    ("s1", 16, 8, 10, 405_146),
    ("s2", 16, 8, 10, 665_466),
    ("s3", 16, 8, 10, 665_466),
    ("s4", 16, 8, 10, 624_506),
    ("darts", 16, 8, 10, 1_930_618),
    ("darts_with_none", 16, 8, 10, 1_930_618),
    ("nas_bench_201", 16, 5, 10, 1_686_106),
]
SMALL = [
    ("s1", 4, 3, 10, 10_022),
    ("s2", 4, 3, 10, 21_110),
    ("s3", 4, 3, 10, 21_110),
    ("s4", 4, 3, 10, 18_550),
    ("darts", 4, 3, 10, 72_854),
    ("nas_bench_201", 4, 1, 10, 25_054),
    ("nas_bench_201", 8, 1, 10, 99_378),
    ("nas_bench_201", 16, 1, 10, 395_866),
]
# Other class counts and sizes of the same formulas.
MORE = [
    ("s1", 16, 8, 100, 428_276),
    ("s2", 16, 8, 100, 688_596),
    ("s3", 16, 8, 100, 688_596),
    ("s4", 16, 8, 100, 647_636),
    ("darts", 16, 8, 100, 1_953_748),
    ("nas_bench_201", 16, 5, 100, 1_691_956),
    ("nas_bench_201", 16, 5, 120, 1_693_256),
    *(
        (name, channels, cells, 10, count)
        for name, counts in {
            "s1": (38_462, 118_802, 239_802, 91_130),
            "s2": (57_462, 187_522, 443_450, 241_082),
            "s3": (57_462, 187_522, 443_450, 241_082),
            "s4": (54_902, 177_282, 402_490, 200_122),
            "darts": (207_094, 597_890, 1_275_834, 673_850),
        }.items()
        for (channels, cells), count in zip([(4, 8), (8, 8), (16, 5), (16, 3)], counts, strict=True)
    ),
]


@pytest.mark.parametrize(
    ("name", "channels", "cells", "classes", "count"),
    [*FULL, *SMALL, *(pytest.param(*row, marks=pytest.mark.slow) for row in MORE)],
)
def test_parameter_counts(name, channels, cells, classes, count):
    space = spaces.get(name)
    supernet = Supernet(space, channels, cells, classes)
    assert count_parameters(supernet) == count
    layout = supernet.body.layout
    if name == "nas_bench_201":
        assert len(layout) == 3 * cells + 2
    else:
        reductions = [i for i, block in enumerate(layout) if block.reduction]
        assert len(layout) == cells and reductions == [cells // 3, 2 * cells // 3]
        assert [block.cell_type for block in layout].count("reduce") == 2


def test_batch_norms_are_affine_outside_the_searched_cells_only():
    for name, affine in (("s1", 1), ("nas_bench_201", 6)):  # stem; stem, two residual blocks, head
        norms = [x for x in Supernet(spaces.get(name), 4, 3, 10)._flatten_layers() if type(x) is BatchNorm]
        assert sum(norm.affine for norm in norms) == affine
    assert not any(isinstance(x, keras.layers.BatchNormalization) for x in norms)


def test_equal_seeds_give_equal_weights_and_layers_differ():
    first, same, other = (Supernet(spaces.get("s2"), 4, 3, 10, seed=seed) for seed in (1, 1, 2))
    kernels, same, other = (
        [v for k, v in interop.export(m).items() if v.ndim > 1] for m in (first, same, other)
    )
    for theirs, equal in ((same, True), (other, False)):
        assert all(np.array_equal(a, b) == equal for a, b in zip(kernels, theirs, strict=True))
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)


@pytest.fixture(scope="module")
def small():
    return Supernet(spaces.get("s3"), 2, 3, 5, channels_in=1)


def test_probes_and_decisions_change_the_output_without_retracing(small):
    architecture = Architecture(small.space, alpha_scale=0.5)
    images, traces = tf.random.stateless_normal([3, 8, 8, 1], [0, 1]), []

    @tf.function
    def forward():
        traces.append(1)
        return small(images, architecture.mixing_weights(), training=True)

    plain = forward().numpy()
    assert plain.shape == (3, 5) and plain.dtype == np.float32
    architecture.probe("reduce", 0, 2)
    probed = forward().numpy()
    assert np.abs(probed - plain).max() > 1e-4
    architecture.end_probe()
    np.testing.assert_array_equal(forward(), plain)
    architecture.probe("normal", 3, 0)  # `none` adds nothing: to leave it out changes nothing
    np.testing.assert_array_equal(forward(), plain)
    architecture.end_probe()
    architecture.decide_operation("normal", 3, 1)
    architecture.remove_edges("normal", [2])
    assert np.abs(forward().numpy() - plain).max() > 1e-4
    assert len(traces) == 1


def test_a_probe_equals_a_mixing_weight_of_zero(small):
    architecture = Architecture(small.space, alpha_scale=0.5)
    images = tf.random.stateless_normal([3, 8, 8, 1], [0, 1])
    weights = {t: w.numpy() for t, w in architecture.mixing_weights().items()}
    weights["normal"][1, 2] = 0.0
    by_hand = small(images, {t: tf.constant(w) for t, w in weights.items()}, training=True)
    architecture.probe("normal", 1, 2)
    np.testing.assert_array_equal(small(images, architecture.mixing_weights(), training=True), by_hand)


def test_cell_types_have_their_own_rows(small):
    images = tf.random.stateless_normal([3, 8, 8, 1], [0, 1])
    even = {t: tf.fill([14, 3], 1 / 3) for t in ("normal", "reduce")}
    plain = small(images, even, training=True).numpy()
    for cell_type in even:
        changed = small(images, {**even, cell_type: tf.fill([14, 3], 0.2)}, training=True).numpy()
        assert np.abs(changed - plain).max() > 1e-5


def test_evaluation_uses_and_keeps_running_statistics(small):
    images = tf.random.stateless_normal([3, 8, 8, 1], [0, 1])
    even = {t: tf.fill([14, 3], 1 / 3) for t in ("normal", "reduce")}
    whole = small(images, even, training=False).numpy()
    one_by_one = [small(images[i : i + 1], even, training=False).numpy()[0] for i in range(3)]
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-5, atol=1e-6)
    before = [v.numpy() for v in small.non_trainable_variables]
    small(images, even, training=False)
    assert all(np.array_equal(a, b) for a, b in zip(before, small.non_trainable_variables, strict=True))
    small(images, even, training=True)
    assert not all(np.array_equal(a, b) for a, b in zip(before, small.non_trainable_variables, strict=True))
