"""mixed_bfloat16: what is bfloat16, what stays float32, and how far results are from float32's."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import drawing, tiny, two_cells
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.registry import OPERATIONS
from tf_darts.search import loop as search_loop
from tf_darts.selection import select as selection_lib
from tf_darts.selection.probe import Prober

BF16 = {"runtime__precision": "mixed_bfloat16"}


@pytest.fixture(scope="module")
def setups():
    fields = {"search__cells": 3, "data__limit_train": 34}  # 16 validation images: full batches only
    return {"float32": two_cells.setup(**fields), "bfloat16": two_cells.setup(**fields, **BF16)}


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
    edge = MixedOp(("skip_connect", "nor_conv_1x1"), 4, 1, (), seed=0)
    seen, call = [], BatchNorm.call
    monkeypatch.setattr(
        BatchNorm, "call", lambda self, x, *a, **k: seen.append(x.dtype) or call(self, x, *a, **k)
    )
    weights = [tf.fill([4], 0.5)] * 2
    y = edge(tf.cast(drawing.batch(0)[0], tf.bfloat16) * tf.ones([4], tf.bfloat16), mixing_weights=weights)
    assert y.dtype == tf.bfloat16 and seen == [tf.float32]


@pytest.mark.slow
def test_decisions_differ_from_float32_no_more_than_those_of_other_seeds(tmp_path):
    """A search and a selection for each seed and precision; data, halves and order are the seed's."""
    seeds, chosen = range(4), {}
    for precision in ("float32", "mixed_bfloat16"):
        for seed in seeds:
            fields = {"seed": seed, "runtime__precision": precision, "data__limit_train": 68}
            folder = tmp_path / f"{precision}{seed}"
            (folder / "selected").mkdir(parents=True)
            (folder / "search").mkdir()
            search_loop.run(tiny.setup(tiny.config(**fields)), folder / "search")
            made = tiny.setup(tiny.config(**fields))
            selection_lib.run(made, folder / "search", folder / "selected")
            rows = tiny.rows(folder / "selected/decisions.jsonl")
            chosen[precision, seed] = {row["edge"]: row["chosen"] for row in rows if "edge" in row}

    def apart(a, b):
        return sum(chosen[a][edge] != chosen[b][edge] for edge in range(3)) / 3

    by_precision = [apart(("float32", s), ("mixed_bfloat16", s)) for s in seeds]
    by_seed = [apart(("float32", s), ("float32", t)) for s in seeds for t in seeds if s < t]
    print(f"share of decisions that differ: {np.mean(by_precision):.2f} by precision, {np.mean(by_seed):.2f}")
    assert np.mean(by_precision) <= np.mean(by_seed)
