"""Losses and gradients that are not finite: a stage stops, or skips the steps and counts them."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.errors import UserError
from tf_darts.genotypes import derive
from tf_darts.runtime import guard
from tf_darts.runtime.steps import Steps
from tf_darts.search import loop
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import magnitude
from tf_darts.workdir.checkpoints import Checkpoints

FIELDS = {"search__epochs": 1, "search__evaluate_every": 0, "data__crop_padding": 0}


def search(folder, **fields):
    made = tiny.setup(tiny.config(**FIELDS, **fields))
    folder.mkdir(exist_ok=True)
    loop.run(made, folder)
    return made


def spoil(monkeypatch, method, number, value):
    """Adds a value, NaN or infinity, to all gradients that the method gives in one step."""
    original = getattr(Bilevel, method)

    def spoiled(self, batch, total, mix=None):
        evaluated = original(self, batch, total, mix)
        bad = tf.where(spoil.step == number, value, 0.0)
        spoil.step.assign_add(1)
        return evaluated._replace(gradients=[g + bad for g in evaluated.gradients])

    spoil.step = tf.Variable(0, trainable=False)
    monkeypatch.setattr(Bilevel, method, spoiled)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return search(folder), folder


SPOILT = [("weight_gradients", math.nan), ("alpha_gradients", -math.inf)]


@pytest.mark.parametrize(("method", "value"), [pytest.param(*SPOILT[0], marks=pytest.mark.slow), SPOILT[1]])
def test_by_default_a_search_stops_and_keeps_nothing_of_the_step(
    undisturbed, tmp_path, monkeypatch, method, value
):
    with monkeypatch.context() as patch:
        spoil(patch, method, 1, value)
        message = "step [23]: .* is not finite, and nothing of it is kept"
        with pytest.raises(UserError, match=message) as error:
            search(tmp_path, runtime__checkpoint_minutes=0.0, runtime__steps_per_call=1)
    assert "--config.runtime.skipped_steps above 0" in str(error.value) and "\n" not in str(error.value)
    assert all(row["step"] <= 2 for row in tiny.rows(tmp_path / "metrics.jsonl"))
    assert not (tmp_path / "result.json").exists()
    made, (whole, folder) = search(tmp_path), undisturbed  # the fault was the machine's: it is gone
    tiny.assert_equal(tiny.state(made), tiny.state(whole))
    assert (tmp_path / "metrics.jsonl").read_text() == (folder / "metrics.jsonl").read_text()


@pytest.mark.parametrize(("method", "value"), [SPOILT[0], pytest.param(*SPOILT[1], marks=pytest.mark.slow)])
def test_a_step_is_skipped_whole_and_counted(tmp_path, monkeypatch, method, value):
    with monkeypatch.context() as patch:
        spoil(patch, method, 1, value)
        made = search(tmp_path, runtime__skipped_steps=1)
    steps = [row for row in tiny.rows(tmp_path / "metrics.jsonl") if "epoch" in row]
    assert [row["skipped"] for row in steps] == [0, 1, 0]
    assert json.loads((tmp_path / "result.json").read_text())["skipped_steps"] == 1
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    assert made.bilevel.alpha_optimizer.step.numpy() == 2
    assert all(np.isfinite(value).all() for value in tiny.state(made))

    # Steps 1 and 3 alone, on the same batches, leave the same.
    other = tiny.setup(tiny.config(**FIELDS))
    compiled, _ = tiny.search_steps(other)
    for number in (0, 2):
        compiled(number, 1)
    tiny.assert_equal(tiny.state(made), tiny.state(other))


def test_steps_that_are_finite_are_the_same_with_and_without_a_guard(undisturbed, tmp_path):
    guarded = search(tmp_path, runtime__skipped_steps=3)
    tiny.assert_equal(tiny.state(undisturbed[0]), tiny.state(guarded))
    assert "skipped_steps" not in json.loads((tmp_path / "result.json").read_text())


def test_every_replica_undoes_the_step(monkeypatch):
    setup = tiny.setup(tiny.config(runtime__skipped_steps=1), strategy=tiny.two_replicas())
    before = tiny.state(setup)
    spoil(monkeypatch, "weight_gradients", 0, math.nan)
    steps, _ = tiny.search_steps(setup)
    # Each replica counts on: the first step of one of the two is spoilt.
    assert steps(0, 1)["skipped"].tolist() == [1]
    tiny.assert_equal(tiny.state(setup), before)


def test_more_in_a_row_than_allowed_stop():
    columns = {
        "loss": np.array([1.0, math.nan, math.nan, 2.0, math.inf]),
        "skipped": np.array([0, 1, 1, 0, 1]),
    }
    assert guard.check(0, columns, 2, 0) == 1
    with pytest.raises(UserError, match="step 3: loss is not finite"):
        guard.check(0, columns, 1, 0)
    with pytest.raises(UserError, match="step 11: what it trains is not finite"):
        guard.check(10, {"loss": np.array([1.0]), "skipped": np.array([1.0])}, 2, 2)


def test_steps_without_a_guard_never_give_what_is_not_finite():
    steps = Steps(
        tiny.one_device(), lambda number, replica: {"loss": 1.0 / tf.cast(number - 3, tf.float32)}, ("loss",)
    )
    assert steps(0, 3)["loss"].tolist() == [np.float32(1 / -3), -0.5, -1.0]
    with pytest.raises(UserError, match="step 4: loss is not finite"):
        steps(2, 3)


def test_no_genotype_is_read_from_what_is_not_finite():
    made = tiny.setup(tiny.config())
    alpha = made.bilevel.architecture.alpha["normal"]
    alpha.assign(tf.tensor_scatter_nd_update(alpha, [[1, 0]], [math.nan]))
    with pytest.raises(UserError, match="normal edge 3<-1: mixing weights are .*nan.*: no genotype can be"):
        magnitude.select(made.bilevel.architecture)
    weights = {"normal": np.full((len(tiny.SPACE.edges), 2), np.inf)}
    with pytest.raises(UserError, match="normal edge 3<-0: mixing weights are"):
        derive.read_genotype(tiny.SPACE, weights)


def test_a_checkpoint_never_holds_what_is_not_finite(tmp_path):
    made = tiny.setup(tiny.config())
    made.bilevel.architecture.alpha["normal"].assign_add([[0, math.inf]] * 3)
    with pytest.raises(UserError, match="alpha/normal:0 is not finite"):
        Checkpoints(tmp_path, 0.0, ("step",), **made.state()).save(step=1)
    assert not list(tmp_path.rglob("*.index"))
