"""Whole supernets on native kernels: agreement, probes, compaction, and the same bits every time."""

import numpy as np
import pytest
import tensorflow as tf

from tests.native import kernels
from tf_darts import spaces
from tf_darts.models import memory
from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import Supernet
from tf_darts.native import choice
from tf_darts.native import edge as edge_kernels
from tf_darts.selection.probe_pass import mask_without, probe_logits, shared_pass

IMAGES = tf.random.stateless_normal([4, 8, 8, 3], [1, 2])


@pytest.fixture(autouse=True)
def there():
    kernels.or_skip()


def made(name, kind, cells=None):
    space, cells = spaces.get(name), cells or (1 if name == "nas_bench_201" else 3)
    with choice.wanted(kind):
        supernet = Supernet(space, 16, cells, 5, seed=2)
    assert supernet.kernels == kind
    return supernet, Architecture(space, 0.3, 4)


def step(supernet, architecture):
    """Logits, gradients and running estimates of a step."""
    variables = [*architecture.alpha.values(), *(v.value for v in supernet.trainable_variables)]

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = supernet(IMAGES, architecture.mixing_weights(), training=True)
            loss = -tf.reduce_mean(tf.nn.log_softmax(logits)[:, 2])
        return logits, tape.gradient(loss, variables)

    logits, gradients = compute()
    return [logits, *gradients, *(v.numpy() for v in supernet.variables if not v.trainable)]


@pytest.mark.parametrize(
    "name",
    [
        "s3",
        "nas_bench_201",
        pytest.param("s4", marks=pytest.mark.slow),
        pytest.param("darts", marks=pytest.mark.slow),
    ],
)
def test_a_supernet_agrees_with_tensorflow(name):
    native, plain = (step(*made(name, kind)) for kind in (choice.NATIVE, choice.TENSORFLOW))
    for value, expected in zip(native, plain, strict=True):
        scale = max(np.abs(expected).max(), 1e-3)
        assert np.abs(np.asarray(value) - expected).max() <= 1e-3 * scale


def test_a_step_has_the_same_bits_every_time():
    first, second = (step(*made("s3", choice.NATIVE, cells=1)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "cell_type"), [("s3", "normal"), ("s3", "reduce"), ("nas_bench_201", "normal")]
)
def test_a_probe_has_the_bits_of_a_masked_pass(name, cell_type):
    supernet, architecture = made(name, choice.NATIVE)
    edges = [i for i, edge in enumerate(supernet.space.edges) if edge.target == 3]
    mixing = architecture.mixing_weights()
    shared = shared_pass(supernet, cell_type, 3, IMAGES, mixing)
    for edge in edges:
        for operation in (0, 1, None):
            mask = mask_without(architecture, cell_type, edge, operation)
            probed = probe_logits(supernet, cell_type, tf.constant(mask), shared, mixing)
            masked = {**mixing, cell_type: mixing[cell_type] * mask}
            whole = supernet(IMAGES, masked, training=True, tracks=False)
            np.testing.assert_array_equal(probed, whole)


@pytest.mark.parametrize(
    ("name", "decided"),
    [
        ("s3", [("normal", 0, 1), ("normal", 3, 1), ("normal", 5, 1), ("reduce", 1, 0)]),
        ("nas_bench_201", [("normal", edge, edge % 5) for edge in range(5)]),
    ],
)
def test_compacting_leaves_every_bit_of_the_logits(name, decided):
    supernet, architecture = made(name, choice.NATIVE)
    for cell_type, edge, operation in decided:
        architecture.decide_operation(cell_type, edge, operation)

    def logits():
        return supernet(
            IMAGES, architecture.mixing_weights(), training=True, computed=architecture.computed, tracks=False
        ).numpy()

    before = logits()
    architecture.compact()
    np.testing.assert_array_equal(logits(), before)


@pytest.mark.parametrize("name", ["darts", "nas_bench_201", "s3"])
def test_the_estimate_of_memory_counts_what_the_kernels_keep(name, monkeypatch):
    supernet, architecture = made(name, choice.NATIVE)
    units, kept = edge_kernels.units, []

    def spied(*arguments):
        made, *rest = units(*arguments)
        kept.extend(int(tf.size(z)) for z in made.z)
        return made, *rest

    monkeypatch.setattr(edge_kernels, "units", spied)
    supernet(IMAGES, architecture.mixing_weights(), training=True)
    space, cells = supernet.space, 1 if name == "nas_bench_201" else 3
    sizes = (space, 16, cells, len(IMAGES), IMAGES.shape[1:])
    nothing = {kind: ((),) * len(rows) for kind, rows in space.candidates.items()}
    of_edges = [
        memory.estimate(*sizes, candidates=rows, kernels=choice.NATIVE)
        for rows in (space.candidates, nothing)
    ]
    counted = (of_edges[0] - of_edges[1]) / (memory.WORKSPACE * memory.BYTES)
    assert counted == pytest.approx(sum(kept)) and counted > 0
    assert memory.estimate(*sizes, kernels=choice.NATIVE) < memory.estimate(*sizes)
