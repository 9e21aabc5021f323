"""The search as a whole: what it leaves, and that being stopped changes nothing."""

import json
import math

import numpy as np
import pytest

from tests.search import tiny
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop
from tf_darts.workdir.checkpoints import Checkpoints

EPOCHS, STEPS_PER_EPOCH = 3, 3  # 18 images in batches of 8: 3 steps


def search(folder, **fields):
    made = tiny.setup(tiny.config(search__evaluate_every=2, **fields))
    folder.mkdir(exist_ok=True)
    loop.run(made, folder)
    return made


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    return search(folder), folder


def test_each_step_has_a_row(searched):
    steps = [row for row in tiny.rows(searched[1] / "metrics.jsonl") if "epoch" in row]
    assert [row["step"] for row in steps] == list(range(1, EPOCHS * STEPS_PER_EPOCH + 1))
    assert [row["epoch"] for row in steps] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for row in steps:
        assert 0 < row["train_loss"] < 10 and 0 < row["valid_loss"] < 10 and row["gradient_norm"] > 0
        for name in ("train_accuracy", "valid_accuracy"):
            assert (8 * row[name]).is_integer() and 0 <= row[name] <= 1


def test_learning_rate_is_a_cosine_over_epochs(searched):
    for row in tiny.rows(searched[1] / "metrics.jsonl"):
        if "epoch" in row:
            expected = 0.001 + 0.024 * (1 + math.cos(math.pi * row["epoch"] / EPOCHS)) / 2
            assert row["learning_rate"] == pytest.approx(expected, rel=1e-5)


def test_epochs_have_rows_with_alpha_and_evaluations_where_asked(searched):
    made, folder = searched
    epochs = [row for row in tiny.rows(folder / "metrics.jsonl") if "finished_epoch" in row]
    assert [(row["finished_epoch"], row["step"]) for row in epochs] == [(0, 3), (1, 6), (2, 9)]
    assert ["evaluation/valid_accuracy" in row for row in epochs] == [False, True, True]  # and the last
    alpha = made.bilevel.architecture.alpha["normal"].numpy()
    assert epochs[-1]["alpha/normal/3<-1/nor_conv_1x1"] == float(alpha[1, 1])
    assert (16 * epochs[-1]["evaluation/test_accuracy"]).is_integer()


def test_result_holds_the_trained_alpha(searched):
    made, folder = searched
    result = json.loads((folder / "result.json").read_text())
    alpha = made.bilevel.architecture.alpha["normal"].numpy()
    assert result["space"] == "tiny" and result["steps"] == 9 and result["schema_version"] == 1
    np.testing.assert_array_equal(np.float32(result["alpha"]["normal"]), alpha)
    np.testing.assert_allclose(np.sum(result["mixing_weights"]["normal"], axis=1), 1, rtol=1e-6)
    assert abs(alpha).max() > 0.05  # it started at 1e-3


@pytest.mark.parametrize(
    ("owner", "method", "call", "minutes"),
    [
        # Inside epoch 1: back to the end of epoch 0.
        pytest.param(Progress, "update", 3, 10.0, marks=pytest.mark.slow),
        (Progress, "update", 3, 0.0),  # inside epoch 1, after a checkpoint inside epoch 0
        (Checkpoints, "save", 2, 10.0),  # rows of epoch 1 are written, its checkpoint is not
    ],
)
def test_a_stopped_search_continues_as_if_it_had_not_been(
    searched, tmp_path, monkeypatch, owner, method, call, minutes
):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            search(tmp_path, runtime__checkpoint_minutes=minutes)
    made = search(tmp_path, runtime__checkpoint_minutes=minutes)
    tiny.assert_equal(tiny.state(made), tiny.state(searched[0]))
    for name in ("metrics.jsonl", "result.json"):
        assert (tmp_path / name).read_text() == (searched[1] / name).read_text()


def test_a_finished_search_is_only_restored(searched, monkeypatch):
    made, folder = searched
    before = (folder / "metrics.jsonl").read_text()
    tiny.stop_at_call(monkeypatch, loop.Steps, "__call__", 1)
    tiny.assert_equal(tiny.state(search(folder)), tiny.state(made))
    assert (folder / "metrics.jsonl").read_text() == before


def test_another_seed_gives_other_steps(searched, tmp_path, monkeypatch):
    tiny.stop_at_call(monkeypatch, Progress, "update", 1)
    with pytest.raises(tiny.StoppedError):
        search(tmp_path, seed=1)
    ours, theirs = (tiny.rows(folder / "metrics.jsonl")[0] for folder in (tmp_path, searched[1]))
    assert ours["step"] == theirs["step"] == 1
    assert ours["train_loss"] != theirs["train_loss"] and ours["gradient_norm"] != theirs["gradient_norm"]


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What a search tells its method at each step, and after which epochs it looks whether it guesses."""
    folder, looked_at = tmp_path_factory.mktemp("heard"), []
    made = tiny.setup(tiny.config(search__evaluate_every=1))
    step = made.method.step

    def told(bilevel, train, valid, now):
        return {**step(bilevel, train, valid, now), "progress": now.progress}

    made.method.step, made.method.metrics = told, (*made.method.metrics, "progress")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            loop.collapse, "of_accuracy", lambda row, *_: looked_at.append(row["finished_epoch"]) or {}
        )
        loop.run(made, folder)
    return tiny.rows(folder / "metrics.jsonl"), looked_at


def test_a_method_is_told_the_share_of_epochs_that_are_over(heard):
    progress = [row["progress"] for row in heard[0] if "epoch" in row]
    np.testing.assert_allclose(progress, np.repeat([0, 1 / 3, 2 / 3], STEPS_PER_EPOCH), rtol=1e-6)


def test_accuracy_at_chance_is_no_sign_of_collapse_in_the_first_half(heard):
    assert heard[1] == [2, 2]  # at the third epoch's end, and of the whole search


@pytest.mark.parametrize("scale", [0.0, 1e-3])
def test_fixed_alpha_is_never_touched(tmp_path, scale):
    settings = tiny.config(search__method="fixed_alpha", search__fixed_alpha_scale=scale, search__epochs=1)
    made = tiny.setup(settings)
    alpha = made.bilevel.architecture.alpha["normal"].numpy()
    weights = tiny.values(made.bilevel.supernet)
    assert (alpha.any()) == (scale > 0) and abs(alpha).max() < 0.01
    steps, per_epoch = tiny.search_steps(made)
    columns = steps(0, per_epoch)
    np.testing.assert_array_equal(made.bilevel.architecture.alpha["normal"].numpy(), alpha)
    assert made.bilevel.alpha_optimizer.step.numpy() == 0
    assert "valid_loss" not in columns
    assert any((a != b).any() for a, b in zip(tiny.values(made.bilevel.supernet), weights, strict=True))
