"""mixed_bfloat16: what is bfloat16, what stays float32, and how far results are from float32's."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import drawing, two_cells
from tf_darts.layers.base import BatchNorm
from tf_darts.layers.edges import MixedEdge
from tf_darts.operation_names import OPERATIONS
from tf_darts.selection.probing import Prober

BF16 = {"runtime__precision": "mixed_bfloat16"}


@pytest.fixture(scope="module")
def setups():
    return {name: two_cells.setup(**fields) for name, fields in (("float32", {}), ("bfloat16", BF16))}


def test_activations_alone_are_bfloat16(setups, monkeypatch):
    seen, call = [], BatchNorm.call

    def watched(self, x, weight=None, training=False):
        y = call(self, x, weight, training)
        seen.append((x.dtype.name, y.dtype.name, weight is None or weight.dtype.name == "float32"))
        return y

    monkeypatch.setattr(BatchNorm, "call", watched)
    bilevel = setups["bfloat16"].bilevel
    evaluated = bilevel.gradients(drawing.batch(1), 8, [*bilevel.alphas.values(), *bilevel.weights])
    assert set(seen) == {("bfloat16", "bfloat16", True)}
    assert {t.dtype.name for t in (*evaluated.gradients, evaluated.logits, evaluated.loss)} == {"float32"}
    assert {v.dtype for v in bilevel.supernet.variables} == {"float32"}
    assert {w.dtype.name for w in bilevel.architecture.mixing_weights().values()} == {"float32"}


def test_gradients_point_where_those_of_float32_do(setups):
    found = {}
    for name, made in setups.items():
        bilevel = made.bilevel
        evaluated = bilevel.gradients(drawing.batch(1), 8, [*bilevel.alphas.values(), *bilevel.weights])
        found[name] = np.concatenate([g.numpy().ravel() for g in evaluated.gradients])
    whole, rounded = found["float32"], found["bfloat16"]
    assert 0.95 < whole @ rounded / np.linalg.norm(whole) / np.linalg.norm(rounded) < 0.99999


def test_probes_see_the_same_types(setups):
    removals = [(0, o) for o in range(4)]
    scores = {name: Prober(made, made.valid).score("normal", removals, 0) for name, made in setups.items()}
    losses = {name: np.array([s.loss for s in found]) for name, found in scores.items()}
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.02)
    assert (losses["bfloat16"] != losses["float32"]).all()


def test_an_own_operation_works_in_float32(monkeypatch):
    monkeypatch.setattr(OPERATIONS, "built_in", OPERATIONS.built_in - {"nor_conv_1x1"})
    edge = MixedEdge(("skip_connect", "nor_conv_1x1"), 4, 1, (), seed=0)
    seen, call = [], BatchNorm.call
    monkeypatch.setattr(
        BatchNorm, "call", lambda self, x, *a, **k: seen.append(x.dtype) or call(self, x, *a, **k)
    )
    weights = [tf.fill([4], 0.5)] * 2
    y = edge(tf.cast(drawing.batch(0)[0], tf.bfloat16) * tf.ones([4], tf.bfloat16), mixing_weights=weights)
    assert y.dtype == tf.bfloat16 and seen == [tf.float32]
