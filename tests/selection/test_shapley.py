"""Selection by Shapley values: a game worked out by hand, and the supernet's own."""

import itertools

import numpy as np
import pytest

from tests.probe_masks import ProbeMasks
from tests.search import tiny
from tf_darts.models.decision_state import DecisionState
from tf_darts.plots import decisions as decision_plots
from tf_darts.report import spent
from tf_darts.selection import select as selection_lib
from tf_darts.selection import shapley
from tf_darts.workdir import decisions as decisions_lib
from tf_darts.workdir import top_file
from tf_darts.workdir.checkpoints import load_from
from tf_darts.workdir.decisions import PermutationRow, ShapleyDecision

EDGES = 3
FIELDS = {"selection__method": "shapley", "selection__permutations": 4, "selection__truncation": 0.0}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    tiny.save_unsearched(folder, seed=3)
    return folder


def setup(searched, strategy=None, **fields):
    fields = {f"selection__{name}": value for name, value in fields.items()}
    made = tiny.setup(tiny.config(seed=3, **{**FIELDS, **fields}), strategy=strategy)
    load_from(searched, supernet=made.bilevel.supernet, architecture=made.bilevel.architecture)
    return made


def select(searched, folder, **fields):
    folder.mkdir(exist_ok=True)
    made = setup(searched, **fields)
    genotype = selection_lib.run(made, searched, folder)
    return genotype, decisions_lib.read(folder)


@pytest.fixture(scope="module")
def selected(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("selected")
    return *select(searched, folder), folder


class MadeUp:
    """A game of three players: 40 correct images, 20 for `a`, 10 for `b` or `c` or both."""

    images = 100

    def __init__(self):
        self.calls = 0

    def __call__(self, number, removed):
        self.calls += len(removed)
        assert len(removed) <= shapley.TOGETHER
        return [40 + 20 * (A not in s) + 10 * ((B not in s) or (C not in s)) for s in map(set, removed)]


A, B, C = ("normal", 0, 0), ("normal", 0, 1), ("normal", 1, 0)


def test_the_values_of_a_game_worked_out_by_hand(searched):
    made = setup(searched)
    rows = [
        shapley.one_order(made, MadeUp(), order, number, 0.0)
        for number, order in enumerate(itertools.permutations((A, B, C)))
    ]
    mean, deviation = shapley.values_of(rows)
    # b and c stand in for each other: each is worth half of what they are worth together.
    np.testing.assert_allclose(mean["normal"], [[0.2, 0.05], [0.05, 0], [0, 0]])
    np.testing.assert_allclose(deviation["normal"], [[0, 0.05], [0.05, 0], [0, 0]], atol=1e-15)
    assert {(row.correct, row.correct_left, row.removed) for row in rows} == {(70, 40, 3)}


def test_an_order_is_cut_off_below_a_share_of_the_whole(searched):
    made = setup(searched)
    rows = [shapley.one_order(made, MadeUp(), order, 0, 0.75) for order in ((A, B, C), (B, A, C))]
    # Of 70: less than 52.5.
    assert [(row.removed, row.correct_left) for row in rows] == [(1, 50), (2, 50)]
    assert rows[0].lost["normal"] == ((20, 0), (0, 0), (0, 0))
    assert rows[1].lost["normal"] == ((20, 0), (0, 0), (0, 0))


def test_long_orders_are_scored_in_parts(searched, monkeypatch):
    monkeypatch.setattr(shapley, "TOGETHER", 2)
    made, game = setup(searched), MadeUp()
    row = shapley.one_order(made, game, (B, C, A), 0, 0.0)
    assert row.lost["normal"] == ((20, 0), (10, 0), (0, 0)) and row.scored == game.calls == 4


def test_values_sum_to_the_whole_supernet_less_the_empty_one(searched, selected):
    _, rows, _ = selected
    orders = [row for row in rows if isinstance(row, PermutationRow)]
    mean, _ = shapley.values_of(orders)
    made = setup(searched)
    game, players = shapley.of_selection(made), shapley.players_of(made)
    assert len(players) == 2 * EDGES
    ends = [game(number, [(), players]) for number in range(len(orders))]
    expected = np.mean([(whole - empty) / game.images for whole, empty in ends])
    assert mean["normal"].sum() == pytest.approx(expected, abs=1e-12)
    assert [[row.correct, row.correct_left] for row in orders] == ends
    assert any(whole != empty for whole, empty in ends)
    decided = [row for row in rows if isinstance(row, ShapleyDecision)]
    assert sum(sum(row.values.values()) for row in decided) == pytest.approx(expected, abs=1e-12)


def test_a_score_is_that_of_the_supernet_with_masks(searched):
    made = setup(searched, probe_images=8)
    removed = [(), (("normal", 1, 0),), (("normal", 1, 0), ("normal", 1, 1))]
    found = shapley.of_selection(made)(5, removed)
    masks = ProbeMasks(made.bilevel.architecture)
    evaluate = made.evaluator(made.probe_images(), "selection/probe", training=True, augment=True)
    expected = []
    for place in (None, ("normal", 1, 0), ("normal", 1, None)):
        if place is not None:
            masks.probe(*place)
        expected.append(evaluate(pass_index=5).correct)
    assert found == expected


def test_the_genotype_keeps_the_largest_mean_less_deviation(selected):
    genotype, rows, folder = selected
    decided = [row for row in rows if isinstance(row, ShapleyDecision)]
    mean, deviation = shapley.values_of([row for row in rows if isinstance(row, PermutationRow)])
    for row in decided:
        cautious = mean["normal"][row.edge] - deviation["normal"][row.edge]
        assert list(row.importance.values()) == pytest.approx(cautious.tolist())
    best = {row.edge: max(row.importance, key=row.importance.get) for row in decided}
    ranked = sorted(decided, key=lambda row: -max(row.importance.values()))
    kept = {(row.edge, best[row.edge]) for row in ranked[:2]}
    assert {(c.source, c.operation) for c in genotype.cells["normal"]} == kept
    assert {(row.edge, row.chosen) for row in decided if row.chosen} == kept
    criterion, ranked = top_file.read(folder)
    assert criterion == "shapley" and ranked[0].genotype == genotype.to_text(tiny.SPACE)
    assert ranked[0].lost == 0 < ranked[-1].lost


def test_it_goes_on_after_a_kill_as_if_there_had_been_none(searched, selected, tmp_path, monkeypatch):
    _, _, whole = selected
    one_order = shapley.one_order

    def killed(setup, game, order, number, truncation):
        if number == 2:
            raise KeyboardInterrupt
        return one_order(setup, game, order, number, truncation)

    with monkeypatch.context() as patch:
        patch.setattr(shapley, "one_order", killed)
        with pytest.raises(KeyboardInterrupt):
            select(searched, tmp_path / "killed")
    assert [type(row) for row in decisions_lib.read(tmp_path / "killed")] == [PermutationRow] * 2
    made = []

    def counted(setup, game, order, number, truncation):
        made.append(number)
        return one_order(setup, game, order, number, truncation)

    monkeypatch.setattr(shapley, "one_order", counted)
    select(searched, tmp_path / "killed")
    assert made == [2, 3]
    for name in ("decisions.jsonl", "genotype.json", "top.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole / name).read_bytes(), name


def test_what_a_search_decided_has_no_other_players(searched):
    made = setup(searched)
    architecture = made.bilevel.architecture
    architecture.decide_operation("normal", 0, 1)
    architecture.remove_edges("normal", [2])
    players = shapley.players_of(made)
    assert players == [("normal", 0, 1), ("normal", 1, 0), ("normal", 1, 1)]
    zeros = {"normal": np.zeros((EDGES, 2))}
    values = shapley.cautious(made, players, zeros, zeros)["normal"]
    assert (values[[0, 1, 1], [1, 0, 1]] == 0).all() and (values[[0, 2, 2], [0, 0, 1]] < 0).all()
    assert DecisionState.of(architecture).edges["normal"].tolist() == [True, True, False]


def test_values_are_shown_and_counted(selected):
    _, rows, _ = selected
    shown = decision_plots.shown_all(tiny.SPACE, rows)
    assert [d.criterion for d in shown] == ["shapley"] * EDGES
    decided = [row for row in rows if isinstance(row, ShapleyDecision)]
    for row, decision in zip(decided, shown, strict=True):
        assert [e.importance for e in decision.effects] == list(row.importance.values())
        assert decision_plots.draw(tiny.SPACE, decision).axes[0].get_xlabel() == "importance by shapley"
    orders = [row for row in rows if isinstance(row, PermutationRow)]
    assert spent._in_probes(rows) * 3 == pytest.approx(sum(row.scored * row.images for row in orders))
