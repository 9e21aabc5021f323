"""Merged edges, which a GPU has: logits, gradients, statistics and probes are those of edges one by one."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import compiled, tiny
from tf_darts import spaces
from tf_darts.layers import merged_edges
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import Supernet
from tf_darts.runtime import xla
from tf_darts.runtime.strategy import assumed_device_type
from tf_darts.selection import probe_pass
from tf_darts.workdir.checkpoints import Checkpoints

CELLS = {"nas_bench_201": 1}
SPACES = ["nas_bench_201", "darts", "s1", "s2", "s3", "s4"]


def supernet(name, cells=None):
    space = spaces.get(name)
    made = Supernet(space, 4, cells or CELLS.get(name, 3), 5, seed=1)
    for v in made.variables:  # running estimates that are not those of a new supernet
        if not v.trainable and v.dtype == "float32":
            v.assign(np.random.default_rng(0).uniform(0.5, 1.5, v.shape))
    return made, Architecture(space, alpha_scale=1.0, seed=2)


def values(name, merged, closed=()):
    """Logits, all gradients, and all variables after a pass in training."""
    made, architecture = supernet(name)
    for edge, operation in closed:
        architecture.decide_operation(made.space.cell_types[0], edge, operation)
    architecture.compact()
    images = tf.constant(np.random.default_rng(3).normal(size=[4, 16, 16, 3]).astype(np.float32))
    weights = [v.value for v in made.trainable_variables]
    alphas = list(architecture.parameters(made.space.cell_types).values())

    def step():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*weights, *alphas])
            mixing = architecture.mixing_weights()
            logits = made(images, mixing, training=True, computed=architecture.computed)
            loss = tf.reduce_sum(tf.sin(logits))
        zero = tf.UnconnectedGradients.ZERO
        return logits, tape.gradient(loss, [*weights, *alphas], unconnected_gradients=zero)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merged_edges, "suits", lambda edges, training: merged)
        logits, gradients = tf.function(step, autograph=False)()
    return [logits, *gradients], [v.numpy() for v in made.variables]


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize(
    "name", ["nas_bench_201", *(pytest.param(s, marks=pytest.mark.slow) for s in SPACES[1:])]
)
def test_logits_gradients_and_statistics(name):
    ours, theirs = values(name, True), values(name, False)
    assert_close(ours[0], theirs[0])
    assert_close(ours[1], theirs[1])
    assert any((a != b).numpy().any() for a, b in zip(ours[0], theirs[0], strict=True))  # two ways


def test_edges_that_are_decided():
    closed = [(0, 3), (2, 0), (4, 1)]  # one of them to `none`
    ours, theirs = (values("nas_bench_201", merged, closed=closed) for merged in (True, False))
    assert_close(ours[0], theirs[0])
    assert_close(ours[1], theirs[1])


@pytest.mark.parametrize("name", ["nas_bench_201", pytest.param("darts", marks=pytest.mark.slow)])
def test_probes(name, monkeypatch):
    made, architecture = supernet(name)
    cell_type, node = made.space.cell_types[-1], made.space.targets[-2]
    images = tf.constant(np.random.default_rng(3).normal(size=[4, 16, 16, 3]).astype(np.float32))
    edge = made.space.incoming(node)[-1]
    masks = [probe_pass.mask_without(architecture, cell_type, edge, o) for o in (1, None)]

    def probes():
        weights = architecture.mixing_weights()
        shared = probe_pass.shared_pass(made, cell_type, node, images, weights)
        found = [probe_pass.probe_logits(made, cell_type, m, shared, weights) for m in masks]
        masked = {**weights, cell_type: weights[cell_type] * masks[0]}
        return [*found, made(images, masked, training=True, tracks=False)]

    theirs = tf.function(probes, autograph=False)()
    monkeypatch.setattr(merged_edges, "suits", lambda edges, training: True)
    ours = tf.function(probes, autograph=False)()
    assert_close(ours, theirs)
    assert_close(ours[:1], ours[2:])


def test_compiled_steps_of_a_gpu_merge_and_nothing_else():
    made, _ = supernet("nas_bench_201")
    edges = made.body.blocks[0].edge_layers
    others = [edges[1].operations[0], MixedOp(("none", "skip_connect"), 4, 1, (), 0, auxiliary_skip=True)]
    for strategy in (compiled.one_device(), tiny.one_device()):
        for device in ("CPU", "GPU", "TPU"):
            with strategy.scope(), assumed_device_type(device):
                merges = device == "GPU" and xla.compiles(strategy)
                assert merged_edges.suits(edges, training=True) == merges
                assert not merged_edges.suits(edges, training=False)
                for other in others:
                    assert not merged_edges.suits([edges[0], other], training=True)


def test_a_checkpoint_is_read_by_both_ways(tmp_path, monkeypatch):
    """Variables are the same: a run may go on on another kind of device."""
    monkeypatch.setattr(merged_edges, "suits", lambda edges, training: True)
    made = tiny.save_unsearched(tmp_path)
    monkeypatch.undo()
    other = tiny.setup(tiny.config(seed=5))
    Checkpoints(tmp_path, 0.0, ("step",), **other.state()).restore()
    tiny.assert_equal(tiny.state(other), tiny.state(made))
