"""Supernets: size, depth, and the mixing weights as an input. Full-size ones are built, never traced."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.probe_masks import ProbeMasks
from tests.search import two_cells
from tf_darts import spaces
from tf_darts.layers import operations
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.models import torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import count_parameters
from tf_darts.models.supernet import Supernet
from tf_darts.runtime.seeds import fold

FULL = [
    ("s1", 16, 8, 10, 405_146),
    ("s2", 16, 8, 10, 665_466),
    ("s3", 16, 8, 10, 665_466),
    ("s4", 16, 8, 10, 624_506),
    ("darts", 16, 8, 10, 1_930_618),
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
    ("darts_with_none", 16, 8, 10, 1_930_618),
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
    first, same, other = (Supernet(spaces.get("s2"), 4, 2, 10, seed=seed) for seed in (1, 1, 2))
    kernels, same, other = (
        [v for k, v in torch_weights.export(m).items() if v.ndim > 1] for m in (first, same, other)
    )
    for theirs, equal in ((same, True), (other, False)):
        assert all(np.array_equal(a, b) == equal for a, b in zip(kernels, theirs, strict=True))
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)


def test_no_variable_of_floats_is_made_but_packed_ones():
    made = []

    def counting(following, **given):
        made.append(following(**given))
        return made[-1]

    with tf.variable_creator_scope(counting):
        supernet = Supernet(spaces.get("s4"), 2, 3, 5)
    assert len(supernet.packed.others) == 3 * 14  # the draws of `noise`
    assert [id(v.value) for v in supernet.packed.variables] == [id(v) for v in made if v.dtype.is_floating]


def test_initial_weights_are_the_draws_of_their_initializers():
    supernet, seed = Supernet(spaces.get("s2"), 4, 2, 10, seed=3), fold(fold(3, "body"), "block", 1)
    for e, edge in enumerate(supernet.body.blocks[1].edge_layers):
        for operation in edge.operations:
            own = fold(fold(seed, "edge", e), operation.name)
            alone = operations.make(operation.name, operation.channels, operation.stride, False, own)
            for row, variable in zip(operation.variables, alone.variables, strict=True):
                assert row.value.rows is not None and np.array_equal(row, variable)


@pytest.fixture(scope="module")
def small():
    return Supernet(spaces.get("s3"), 2, 3, 5, channels_in=1)


def test_probes_and_decisions_change_the_output_without_retracing(small):
    architecture = Architecture(small.space, alpha_scale=0.5)
    images, traces = tf.random.stateless_normal([3, 8, 8, 1], [0, 1]), []
    masks = ProbeMasks(architecture)

    @tf.function
    def forward():
        traces.append(1)
        return small(images, architecture.mixing_weights(), training=True)

    plain = forward().numpy()
    assert plain.shape == (3, 5) and plain.dtype == np.float32
    masks.probe("reduce", 0, 2)
    probed = forward().numpy()
    assert np.abs(probed - plain).max() > 1e-4
    masks.end()
    np.testing.assert_array_equal(forward(), plain)
    masks.probe("normal", 3, 0)  # `none` adds nothing: to leave it out changes nothing
    np.testing.assert_array_equal(forward(), plain)
    masks.end()
    architecture.decide_operation("normal", 3, 1)
    architecture.remove_edges("normal", [2])
    assert np.abs(forward().numpy() - plain).max() > 1e-4
    assert len(traces) == 1


def test_a_probe_equals_a_mixing_weight_of_zero(small):
    architecture = Architecture(small.space, alpha_scale=0.5)
    images = tf.random.stateless_normal([3, 8, 8, 1], [0, 1])
    weights = architecture.current_weights()
    weights["normal"][1, 2] = 0.0
    by_hand = small(images, {t: tf.constant(w) for t, w in weights.items()}, training=True)
    ProbeMasks(architecture).probe("normal", 1, 2)
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


def test_noise_is_new_in_every_pass():
    supernet = Supernet(spaces.get("s4"), 2, 1, 5, channels_in=1)
    images = tf.random.stateless_normal([3, 8, 8, 1], [0, 1])
    even = {t: tf.fill([14, 2], 0.5) for t in ("normal", "reduce")}
    forward = tf.function(lambda: supernet(images, even, training=True))
    passes = [forward().numpy() for _ in range(3)]
    assert not np.array_equal(passes[0], passes[1]) and not np.array_equal(passes[1], passes[2])


def decided(space, seed):
    """An architecture in the middle of selection; operations are chosen in turn, so that each comes up."""
    architecture, draw = Architecture(space, alpha_scale=1.0, seed=seed), np.random.default_rng(seed)
    for t, cell_type in enumerate(space.cell_types):
        for edge, candidates in enumerate(space.candidates[cell_type]):
            if draw.random() < 0.7:
                architecture.decide_operation(cell_type, edge, (edge + 3 * t + 2 * seed) % len(candidates))
        for node in space.topology_nodes:
            if draw.random() < 0.7:
                edges = space.incoming(node)
                architecture.remove_edges(cell_type, draw.permutation(edges)[: len(edges) - space.kept_edges])
    return architecture


IMAGES = tf.random.stateless_normal([6, 8, 8, 1], [0, 1])


def compiled(supernet, architecture):
    """The forward passes (in training, in evaluation) that are traced as the architecture is now."""

    def forward(training):
        weights = architecture.mixing_weights()
        return supernet(IMAGES, weights, training=training, computed=architecture.computed)

    functions = [tf.function(lambda training=training: forward(training)) for training in (True, False)]
    for function in functions:
        function.get_concrete_function()
    return functions


def nodes(function):
    return len(function.get_concrete_function().graph.get_operations())


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("darts", "darts_with_none")),
        "s3",
        "nas_bench_201",
    ],
)
def test_compacting_leaves_every_bit_of_the_logits(name, seed):
    space = spaces.get(name)
    supernet = Supernet(space, 2, 1 if name == "nas_bench_201" else 3, 5, channels_in=1, seed=seed)
    architecture = decided(space, seed)
    whole = compiled(supernet, architecture)
    whole[0]()  # so that running statistics are not what they start with
    logits = [function().numpy() for function in whole]
    assert all(np.isfinite(x).all() and x.std() > 0 for x in logits)
    architecture.compact()
    small = compiled(supernet, architecture)
    # The pass in training moves the running statistics: the evaluation is compared with another after it.
    np.testing.assert_array_equal(small[0](), logits[0])
    np.testing.assert_array_equal(small[1](), whole[1]())
    assert all(nodes(b) < nodes(a) for a, b in zip(whole, small, strict=True))
    # Functions traced before go on giving the same.
    np.testing.assert_array_equal(whole[0](), logits[0])
    architecture.compact()  # once more changes nothing
    assert all(nodes(b) == nodes(a) for a, b in zip(small, compiled(supernet, architecture), strict=True))


def test_all_kinds_of_operation_are_chosen_in_these_tests():
    for name in ("darts", "darts_with_none", "s3", "nas_bench_201"):
        space, chosen = spaces.get(name), set()
        for architecture in (decided(space, seed) for seed in range(2)):
            for cell_type, mask in architecture.open_operations.items():
                for edge, row in enumerate(mask.numpy()):
                    if row.sum() == 1:
                        chosen.add(space.candidates[cell_type][edge][row.argmax()])
        assert chosen == {o for rows in space.candidates.values() for row in rows for o in row}


def test_a_decision_after_compacting_needs_no_new_function():
    architecture = decided(two_cells.SPACE, 0)
    supernet = Supernet(two_cells.SPACE, 2, 3, 5, channels_in=1)
    edge = architecture.undecided_edges("reduce")[0]
    architecture.compact()
    before = compiled(supernet, architecture)
    architecture.decide_operation("reduce", edge, 1)
    logits = before[0]().numpy()
    architecture.compact()
    np.testing.assert_array_equal(compiled(supernet, architecture)[0](), logits)


def gradients(supernet, architecture):
    variables = [*architecture.alpha.values(), *(v.value for v in supernet.trainable_variables)]

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            weights = architecture.mixing_weights()
            logits = supernet(IMAGES, weights, training=True, computed=architecture.computed)
            loss = tf.reduce_mean(tf.nn.log_softmax(logits)[:, 2])
        return tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return [g.numpy() for g in compute()]


@pytest.mark.parametrize(
    "name", [pytest.param("darts_with_none", marks=pytest.mark.slow), "nas_bench_201", "two cells"]
)
def test_compacting_leaves_gradients(name):
    space = two_cells.SPACE if name == "two cells" else spaces.get(name)
    supernet = Supernet(space, 2, 1 if name == "nas_bench_201" else 3, 5, channels_in=1)
    architecture = decided(space, 1)
    whole = gradients(supernet, architecture)
    architecture.compact()
    small = gradients(supernet, architecture)
    kinds = slice(0, len(space.cell_types)), slice(len(space.cell_types), None)
    for kind in kinds:
        largest = max(np.abs(g).max() for g in whole[kind])
        assert largest > 0
        for a, b in zip(whole[kind], small[kind], strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-6 * largest)
