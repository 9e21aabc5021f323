"""Exchanges: they change what they say and nothing else, as moving the layers by hand does."""

import numpy as np
import pytest

from tests.analysis import made
from tests.search import tiny, two_cells
from tf_darts import spaces
from tf_darts.analysis import shuffle
from tf_darts.workdir.checkpoints import Checkpoints

FIELDS = {"search__cells": 2, "search__alpha_scale": 1.0}  # two cells of one type and width


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Save a supernet of the tiny space as if searched; its statistics differ from layer to layer."""
    folder = tmp_path_factory.mktemp("unsearched")
    setup = tiny.setup(tiny.config(**FIELDS))
    draw = np.random.default_rng(0)
    for variable in setup.bilevel.supernet.variables:
        if variable.dtype == "float32" and not variable.trainable:
            variable.assign(draw.uniform(0.5, 1.5, variable.shape))
    Checkpoints(folder / "search", 0.0, ("step",), **setup.state()).save(step=1)
    return folder


def study(workdir, **fields):
    return made.study("shuffle", workdir, **{**FIELDS, **fields})


@pytest.fixture
def setup(workdir):
    return study(workdir).setup


class Fixed:
    """A generator whose draws are known."""

    def __init__(self, **draws):
        self.draws = draws

    def integers(self, high):
        return self.draws["pairs"].pop(0)

    def permutation(self, group):
        return np.array(self.draws["orders"].pop(0))

    def choice(self, stage, size, replace):
        return np.array(stage[:2])


def logits(setup, **arguments):
    images = setup.test.pass_batch("", 0, 0, 16, 16, False, False)[0]
    return setup.bilevel.forward(images, training=False, **arguments).numpy()


def shuffled(shuffler, setup):
    images = setup.test.pass_batch("", 0, 0, 16, 16, False, False)[0]
    return shuffler.forward(images, batch_statistics=False).numpy()


def test_no_exchange_changes_nothing(setup):
    before = logits(setup), tiny.values(setup.bilevel.supernet)
    shuffler = shuffle.Shuffler(setup)
    assert shuffler.exchange("none", None) == []
    np.testing.assert_array_equal(shuffled(shuffler, setup), before[0])
    expected = setup.evaluator(setup.test, "", training=False, augment=False)()
    scores = shuffler.score()
    assert (scores["running"]["correct"], scores["running"]["images"]) == (expected.correct, 16)
    assert scores["running"]["loss"] == pytest.approx(expected.loss, rel=1e-6)
    tiny.assert_equal(tiny.values(setup.bilevel.supernet), before[1])  # batch statistics moved nothing
    batch = setup.evaluator(setup.test, "", training=True, augment=False)()
    assert scores["batch"]["loss"] == pytest.approx(batch.loss, rel=1e-6)
    assert abs(scores["batch"]["loss"] - scores["running"]["loss"]) > 1e-3


# Pairs of edges of a cell: 0: (0, 1), 1: (0, 2), 2: (1, 2).
@pytest.mark.parametrize("with_alpha", [True, False])
def test_exchanged_edges_are_layers_that_change_places(setup, with_alpha):
    before = logits(setup)
    shuffler = shuffle.Shuffler(setup)
    kind = "edges" if with_alpha else "edges_without_alpha"
    assert shuffler.exchange(kind, Fixed(pairs=[1, 1])) == [[0, 0, 2], [0, 2, 0], [1, 0, 2], [1, 2, 0]]
    ours = shuffled(shuffler, setup)
    shuffler.exchange("none", None)
    np.testing.assert_array_equal(shuffled(shuffler, setup), before)
    rows = setup.bilevel.architecture.mixing_weights()["normal"].numpy()
    for cell in setup.bilevel.supernet.body.blocks:
        cell.edge_layers[0], cell.edge_layers[2] = cell.edge_layers[2], cell.edge_layers[0]
    weights = {"normal": rows[[2, 1, 0]] if with_alpha else rows}
    np.testing.assert_array_equal(ours, logits(setup, mixing_weights=weights))
    assert np.abs(ours - before).max() > 1e-3


def test_each_cell_has_an_exchange_of_its_own(setup):
    shuffler = shuffle.Shuffler(setup)
    shuffler.exchange("edges", Fixed(pairs=[0, 2]))
    ours = shuffled(shuffler, setup)
    first, second = (cell.edge_layers for cell in setup.bilevel.supernet.body.blocks)
    shuffler.exchange("none", None)
    first[0], first[1], second[1], second[2] = first[1], first[0], second[2], second[1]
    rows = setup.bilevel.architecture.mixing_weights()["normal"]
    shuffler._rows.assign([[1, 0, 2], [0, 2, 1]])
    np.testing.assert_array_equal(ours, shuffled(shuffler, setup))
    assert np.ptp(rows.numpy(), axis=0).min() > 1e-3  # the rows differ, so that their places matter


def test_all_edges_go_where_they_are_sent(setup):
    shuffler = shuffle.Shuffler(setup)
    assert len(shuffler.exchange("all_edges", Fixed(orders=[[1, 2, 0], [0, 1, 2]]))) == 3
    ours = shuffled(shuffler, setup)
    shuffler.exchange("none", None)
    layers = setup.bilevel.supernet.body.blocks[0].edge_layers
    layers[0], layers[1], layers[2] = layers[1], layers[2], layers[0]
    shuffler._rows.assign([[1, 2, 0], [0, 1, 2]])
    np.testing.assert_array_equal(ours, shuffled(shuffler, setup))


def test_exchanged_cells_are_cells_that_change_places(setup):
    before = logits(setup)
    shuffler = shuffle.Shuffler(setup)
    assert shuffler.exchange("cells", Fixed()) == [[0, 1], [1, 0]]
    ours = shuffled(shuffler, setup)
    shuffler.exchange("none", None)
    first, second = setup.bilevel.supernet.body.blocks
    first.edge_layers, second.edge_layers = second.edge_layers, first.edge_layers
    np.testing.assert_array_equal(ours, logits(setup))
    assert np.abs(ours - before).max() > 1e-3


def test_groups_have_equal_candidates_and_stride():
    normal, reduce, *_ = two_cells.SPACE.stacking.blocks(4)
    assert shuffle.edge_groups(two_cells.SPACE, normal) == [[0, 1, 2, 3, 4]]
    assert shuffle.edge_groups(two_cells.SPACE, reduce) == [[0, 1, 2, 3]]  # edge 4 has stride 1
    assert shuffle.edge_groups(two_cells.SPACE, reduce, np.array([1, 0, 0, 1, 1])) == [[0, 3]]
    s1 = spaces.get("s1")
    for group in shuffle.edge_groups(s1, s1.stacking.blocks(3)[0]):
        assert len({s1.candidates["normal"][e] for e in group}) == 1 and len(group) > 1


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("darts", 8, [[0, 1], [3, 4], [6, 7]]),
        ("darts", 3, []),
        ("nas_bench_201", 3, [[0, 1, 2], [4, 5, 6], [8, 9, 10]]),
        ("nas_bench_201", 1, []),
    ],
)
def test_stages_lie_between_two_reductions(name, cells, expected):
    assert shuffle.stages(spaces.get(name).stacking.blocks(cells)) == expected


def test_draws_are_what_they_say_and_more_are_added(workdir):
    few = study(workdir, analysis__draws=2)
    said = shuffle.run(few)
    rows = tiny.rows(few.folder / "draws.jsonl")
    kinds = ("edges", "edges_without_alpha", "all_edges", "cells")
    assert [(row["kind"], row["draw"]) for row in rows] == [("none", 0)] + [
        (kind, draw) for kind in kinds for draw in range(2)
    ]
    moved = {(row["kind"], row["draw"]): row["moved"] for row in rows}
    for draw in range(2):
        assert moved["edges", draw] == moved["edges_without_alpha", draw]
        assert len(moved["edges", draw]) == 4  # two edges in each of two cells
        assert moved["cells", draw] == [[0, 1], [1, 0]]
    assert moved["edges", 0] != moved["edges", 1]
    result = few.result()
    accuracies = [row["running"]["accuracy"] for row in rows if row["kind"] == "edges"]
    assert result["after"]["edges"]["running"] == {
        "mean": pytest.approx(np.mean(accuracies)),
        "std": pytest.approx(np.std(accuracies, ddof=1)),
    }
    assert result["before"]["running"] == rows[0]["running"]["accuracy"]
    assert result["paper_percent"]["DARTS supernet"] == {"before": 88.44, "after": 81.09, "std": 1.87}
    assert "88.44 -> 81.09" in said
    more = study(workdir, analysis__draws=3)
    shuffle.run(more)
    again = tiny.rows(more.folder / "draws.jsonl")
    assert again[: len(rows)] == rows and len(again) == len(rows) + 4
    assert (more.folder / "shuffle.png").read_bytes().startswith(b"\x89PNG")


def test_kinds_that_a_space_has_no_room_for_are_left_out(tmp_path):
    setup = tiny.setup(tiny.config(search__cells=1))
    Checkpoints(tmp_path / "search", 0.0, ("step",), **setup.state()).save(step=1)
    one_cell = made.study("shuffle", tmp_path, search__cells=1, analysis__draws=1)
    shuffle.run(one_cell)
    assert list(one_cell.result()["after"]) == ["edges", "edges_without_alpha", "all_edges"]
