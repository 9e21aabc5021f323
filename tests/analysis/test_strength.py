"""Strength: each operation's training is one that could have been made by hand, whatever else is trained."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.analysis import made
from tests.search import tiny
from tf_darts.analysis import strength
from tf_darts.errors import UserError
from tf_darts.optim.optimizers import SGD
from tf_darts.runtime.progress import Progress
from tf_darts.workdir.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("few_resamples")

# 18 training images: batches of 8, 8 and 2.
FIELDS = {
    "search__epochs": 1,
    "search__evaluate_every": 0,
    "analysis__epochs": 2,
    "analysis__learning_rate": 0.1,
    "analysis__learning_rate_min": 0.02,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Return a work directory with a supernet saved as if searched, and the setup it was saved from."""
    folder = tmp_path_factory.mktemp("searched")
    return folder, tiny.save_unsearched(folder / "search", **FIELDS)


def copied(searched, tmp_path):
    shutil.copytree(searched[0] / "search", tmp_path / "search")
    return tmp_path


def study(workdir, **fields):
    return made.study("strength", workdir, **{**FIELDS, **fields})


@pytest.fixture(scope="module")
def analysed(searched):
    """Return the whole analysis, and the alpha that the supernet had when it ended."""
    done = study(searched[0])
    said = strength.run(done)
    return done, done.result(), said, done.setup.bilevel.architecture.alpha["normal"].numpy()


def by_hand(workdir, edge, operation):
    """Return validation accuracies by epoch of a supernet with this edge decided, trained eagerly."""
    setup = study(workdir).setup
    bilevel = setup.bilevel
    bilevel.architecture.decide_operation("normal", edge, operation)
    bilevel.weight_optimizer = SGD(bilevel.weights, 0.9, setup.config.selection.weight_decay, 5.0)
    scores = []
    for epoch, rate in enumerate((0.1, 0.06)):  # 0.02 + 0.08 (1 + cos(pi epoch / 2)) / 2
        for number, count in enumerate((8, 8, 2)):
            batch = setup.train.pass_batch("selection/train", epoch, number, 8, count)
            setup.strategy.run(bilevel.weight_step, args=(batch, count, tf.constant(rate)))
        logits = bilevel.forward(setup.valid.pass_batch("", 0, 0, 16, 16, False, False)[0], training=False)
        labels = setup.valid.pass_batch("", 0, 0, 16, 16, False, False)[1]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.argmax(logits, -1, output_type=tf.int32) == labels
        scores.append((float(tf.reduce_sum(tf.cast(hits, tf.float32))), float(tf.reduce_mean(losses))))
    return scores


@pytest.mark.parametrize(("edge", "operation"), [(0, 0), (2, 1)])
def test_strength_is_that_of_a_separately_discretised_run(searched, analysed, edge, operation):
    rows = [
        row
        for row in tiny.rows(analysed[0].folder / "training.jsonl")
        if row["run"] == edge * len(tiny.OPERATIONS) + operation
    ]
    assert [row["epoch"] for row in rows] == [1, 2]
    expected = by_hand(searched[0], edge, operation)
    assert [row["correct"] for row in rows] == [correct for correct, _ in expected]
    np.testing.assert_allclose([row["loss"] for row in rows], [loss for _, loss in expected], rtol=1e-4)
    (measured,) = (
        row
        for row in analysed[1]["operations"]
        if (row["edge"], row["operation"]) == (edge, tiny.OPERATIONS[operation])
    )
    assert measured["accuracies"] == [correct / 16 for correct, _ in expected]
    assert measured["strength"] == expected[-1][0] / 16
    assert measured["best_strength"] == max(measured["accuracies"])


def test_weights_are_trained_and_alpha_stays_as_searched(searched, analysed):
    np.testing.assert_array_equal(analysed[3], searched[1].bilevel.architecture.alpha["normal"].numpy())
    losses = {round(row["loss"], 4) for row in tiny.rows(analysed[0].folder / "training.jsonl")}
    assert len(losses) > 6  # of 6 operations and 2 epochs


def test_what_is_compared_and_left(searched, analysed):
    done, result, said, _ = analysed
    assert [(row["edge"], row["operation"]) for row in result["operations"]] == [
        (e, name) for e in range(3) for name in tiny.OPERATIONS
    ]
    found = result["comparisons"][0]
    assert (found["measure"], found["against"], found["edges"]) == ("mixing_weight", "strength", 3)
    chosen = [row["chosen"] == row["best"] for row in found["by_edge"]]
    for row, of_edge in zip(found["by_edge"], np.reshape(result["operations"], (3, 2)), strict=True):
        best = max(of_edge, key=lambda operation: operation["strength"])
        assert row["best"] == best["operation"]
    assert f"{sum(chosen)} of 3" in said
    assert (done.folder / "alpha_and_strength.png").read_bytes().startswith(b"\x89PNG")
    # The probes are the other analysis's own.
    assert len(tiny.rows(searched[0] / "analysis" / "perturbation" / "probes.jsonl")) == 3


def test_every_operation_starts_from_the_search(searched, analysed, tmp_path, monkeypatch):
    monkeypatch.setattr("tf_darts.analysis.analysis_run.png_of", lambda what, draw: b"")  # drawn before
    one = study(copied(searched, tmp_path), analysis__edges="3<-2")
    strength.run(one)
    ours = tiny.rows(one.folder / "training.jsonl")
    theirs = [row for row in tiny.rows(analysed[0].folder / "training.jsonl") if "3<-2" in row["name"]]
    assert ours == theirs and len(ours) == 4


@pytest.mark.parametrize(
    ("owner", "method", "call", "minutes"),
    [
        # After three probes, inside the first operation's first epoch.
        pytest.param(Progress, "update", 5, 0.0, marks=pytest.mark.slow),
        # A row is written, its checkpoint is not.
        pytest.param(Checkpoints, "save", 4, 10.0, marks=pytest.mark.slow),
        pytest.param(Progress, "update", 12, 10.0, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_analysis_continues_as_if_it_had_not_been(
    searched, analysed, tmp_path, monkeypatch, owner, method, call, minutes
):
    workdir = copied(searched, tmp_path)
    fields = {"runtime__checkpoint_minutes": minutes}
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            strength.run(study(workdir, **fields))
    assert not (workdir / "analysis" / "strength" / "result.json").exists()
    begun = tiny.rows(workdir / "analysis" / "strength" / "training.jsonl")
    loads = []
    again = study(workdir, **fields)
    load = again.load
    monkeypatch.setattr(again, "load", lambda: (loads.append(None), load()))
    strength.run(again)
    whole = tiny.rows(analysed[0].folder / "training.jsonl")
    assert tiny.rows(again.folder / "training.jsonl") == whole
    assert again.result() == analysed[1]
    if begun:
        # Finished operations are not trained again: one load at first, and one for each that is begun.
        finished = sum(row["epoch"] == 2 for row in begun)
        assert len(loads) <= 1 + 6 - finished


@pytest.mark.slow
def test_more_edges_are_added_to_those_there_and_another_training_is_refused(searched, tmp_path):
    workdir = copied(searched, tmp_path)
    strength.run(study(workdir, analysis__edges="1"))
    before = tiny.rows(workdir / "analysis" / "strength" / "training.jsonl")
    both = study(workdir, analysis__edges="0,1")
    strength.run(both)
    after = tiny.rows(both.folder / "training.jsonl")
    assert after[: len(before)] == before and len(after) == 8
    assert [row["edge"] for row in json.loads((both.folder / "result.json").read_text())["operations"]] == [
        0, 0, 1, 1
    ]  # fmt: skip
    with pytest.raises(UserError, match="made with another config: analysis.epochs: 2 -> 3"):
        study(workdir, analysis__epochs=3)
