"""Shapley-NAS: what moves alpha, what does not, and that a search goes on after a kill bit for bit."""

import numpy as np
import pytest

from tests.search import tiny
from tf_darts.config import depends
from tf_darts.errors import UserError
from tf_darts.models import cost
from tf_darts.report import spent
from tf_darts.runtime.steps import Steps
from tf_darts.search import loop
from tf_darts.search.alpha_summary import alpha_of
from tf_darts.selection import shapley, shapley_search
from tf_darts.workdir import decisions as decisions_lib
from tf_darts.workdir.decisions import PermutationRow

EPOCHS = 5
FIELDS = {
    "search__method": "shapley",
    "search__epochs": EPOCHS,
    "search__evaluate_every": 0,
    "search__alpha_scale": 1.0,
    "shapley__permutations": 3,
    "shapley__truncation": 0.0,
    "shapley__batch_size": 12,
}
LEFT = ("metrics.jsonl", "decisions.jsonl", "result.json")


def searched(folder, **fields):
    folder.mkdir(exist_ok=True)
    made = tiny.setup(tiny.config(**{**FIELDS, **fields}))
    start = made.bilevel.architecture.alpha["normal"].numpy()
    loop.run(made, folder)
    return made, start


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return *searched(folder), folder


def alphas(folder):
    rows = [row for row in tiny.rows(folder / "metrics.jsonl") if "finished_epoch" in row]
    return [alpha_of(tiny.SPACE, "normal", row) for row in rows]


def test_alpha_moves_by_the_running_mean_of_standardised_values(whole):
    _, start, folder = whole
    rows, found = decisions_lib.read(folder), alphas(folder)
    # 2.5 epochs of warm-up are 2; the rows of an epoch move alpha after it, those of the last nothing.
    assert [row.epoch for row in rows] == [epoch for epoch in (1, 2, 3) for _ in range(3)]
    np.testing.assert_array_equal(found[0], start)
    np.testing.assert_array_equal(found[1], start)
    mean, moved = np.zeros_like(start), 0
    for epoch in (1, 2, 3):
        lost = np.array([row.lost["normal"] for row in rows if row.epoch == epoch]) / 12
        values = lost.mean(0) - lost.std(0)
        spread = values.std(ddof=1)
        if spread:
            values = (values - values.mean()) / spread
            assert abs(values.mean()) < 1e-12 and values.std(ddof=1) == pytest.approx(1)
        mean = 0.8 * mean + 0.2 * values
        np.testing.assert_allclose(found[epoch + 1] - found[epoch], 0.1 * mean, atol=1e-6)
        moved += bool(np.abs(mean).max() > 0.01)
    assert moved == 3


def test_values_sum_to_the_whole_less_the_empty_supernet_without_a_cut(whole):
    _, _, folder = whole
    rows = decisions_lib.read(folder)
    for row in rows:
        assert isinstance(row, PermutationRow) and row.removed == 6
        assert np.sum(row.lost["normal"]) == row.correct - row.correct_left
    assert any(row.correct != row.correct_left for row in rows)


def test_no_gradient_moves_alpha(whole, tmp_path):
    made, start, folder = whole
    assert made.bilevel.alpha_optimizer.step.numpy() == 0
    # Until it moves first, the search is one that never trains alpha; with a step of 0 to its end.
    fields = {"search__method": "fixed_alpha", "search__fixed_alpha_scale": 1.0}
    own = {name: value for name, value in FIELDS.items() if not name.startswith("shapley")}
    (tmp_path / "fixed").mkdir()
    fixed = tiny.setup(tiny.config(**{**own, **fields}))
    loop.run(fixed, tmp_path / "fixed")
    losses = [
        [row["train_loss"] for row in tiny.rows(at / "metrics.jsonl") if "train_loss" in row]
        for at in (tmp_path / "fixed", folder)
    ]
    warm = 2 * len(losses[0]) // EPOCHS
    assert losses[0][:warm] == losses[1][:warm] and losses[0] != losses[1]
    still, _ = searched(tmp_path / "still", shapley__step_size=0.0)
    tiny.assert_equal(
        tiny.values(still.bilevel.supernet, still.bilevel.weight_optimizer),
        tiny.values(fixed.bilevel.supernet, fixed.bilevel.weight_optimizer),
    )
    np.testing.assert_array_equal(still.bilevel.architecture.alpha["normal"].numpy(), start)


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        pytest.param(shapley, "one_order", 5, id="in_values"),
        pytest.param(Steps, "__call__", 12, id="in_an_epoch"),
    ],
)
def test_it_goes_on_after_a_kill_as_if_there_had_been_none(whole, tmp_path, monkeypatch, owner, name, call):
    made, _, folder = whole
    with monkeypatch.context() as patch:
        patch.setattr("tf_darts.workdir.checkpoints.time.monotonic", iter(range(0, 10**9, 3600)).__next__)
        tiny.stop_at_call(patch, owner, name, call)
        with pytest.raises(tiny.StoppedError):
            searched(tmp_path)
    assert 0 < len(decisions_lib.read(tmp_path)) < 9
    again, _ = searched(tmp_path)
    for file in LEFT:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes(), file
    tiny.assert_equal(tiny.state(again), tiny.state(made))
    tiny.assert_equal(tiny.values(again.method.state), tiny.values(made.method.state))
    assert any(np.any(mean) for mean in tiny.values(made.method.state))


def row_of(*lost):
    lost = {"a": (lost,)}
    return PermutationRow(number=0, images=1, scored=7, correct=4, correct_left=4, removed=6, lost=lost)


def test_values_that_are_all_equal_move_nothing():
    found = shapley_search.standardised([row_of(0, 0)], [("a", 0, 0), ("a", 0, 1)])
    assert found["a"].tolist() == [[0.0, 0.0]]


def test_only_players_are_standardised():
    found = shapley_search.standardised([row_of(3, 9, 1)], [("a", 0, 0), ("a", 0, 2)])
    np.testing.assert_allclose(found["a"], [[0.5**0.5, 0.0, -(0.5**0.5)]], rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"search__alpha_warmup_epochs": 1},
            "warmup_epochs is 1 with search.method 'shapley'; allowed: 0",
        ),
        ({"shapley__warmup": 0.9, "search__epochs": 1}, r"search.epochs is 1 .*; allowed: at least 2"),
        (
            {"shapley__warmup": 0.9, "search__stop_after": 4},
            r"stop_after is 4 .*; allowed: at least 5",
        ),
        ({"search__parts": ("partial_channels",)}, "parts without alpha of edges"),
        ({"search__parts": ("beta_decay",)}, "no step of it trains alpha"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_search(fields, message):
    with pytest.raises(UserError, match=message):
        tiny.setup(tiny.config(**{**FIELDS, **fields}))


def test_its_settings_belong_to_it_alone():
    with pytest.raises(UserError, match="shapley.momentum is 0.5; allowed: only with search.method"):
        tiny.config(shapley__momentum=0.5)
    assert "shapley" in depends.search_sections(tiny.config(**FIELDS))
    assert "shapley" not in depends.search_sections(tiny.config())


def test_its_probes_are_counted(whole):
    _, _, folder = whole
    scored = sum(row.scored for row in decisions_lib.read(folder))
    expected = 12 * scored * cost.FORWARD / cost.TRAINING_STEP
    assert spent._in_probes(decisions_lib.read(folder)) == pytest.approx(expected)
