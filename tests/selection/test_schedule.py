"""The plan of decisions: the orders and epochs of the authors' release."""

import pytest

from tests.search import tiny, two_cells
from tf_darts import spaces
from tf_darts.selection.schedule import at_random, event_epochs, plan

DARTS, NAS_BENCH_201 = spaces.SPACES["darts"], spaces.SPACES["nas_bench_201"]

# By seed: edges of the normal and of the reduction cell, nodes of both; from NumPy's legacy generator.
DARTS_ORDERS = {
    0: ("12 0 13 8 4 3 11 1 9 5 6 7 2 10", "5 3 4 12 8 7 11 0 6 1 9 10 13 2", "0 2 1", "0 2 1"),
    1: ("5 13 10 6 0 11 2 8 12 9 1 3 4 7", "11 8 13 0 2 9 4 12 5 7 6 3 1 10", "0 2 1", "1 2 0"),
    2: ("8 9 13 10 2 6 5 11 7 4 12 3 0 1", "13 6 2 9 1 7 8 5 4 11 10 3 0 12", "1 0 2", "0 1 2"),
    3: ("10 9 8 0 4 7 12 6 13 3 5 11 2 1", "8 3 10 6 13 11 0 7 1 4 9 12 2 5", "1 2 0", "2 0 1"),
}
NAS_BENCH_201_ORDERS = {0: "4 0 5 2 3 1", 1: "5 3 0 1 4 2", 2: "0 1 4 5 3 2", 3: "2 0 3 1 4 5"}


def numbers(text):
    return [int(word) for word in text.split()]


def all_edges(space):
    return {cell_type: list(range(len(space.edges))) for cell_type in space.cell_types}


def places(planned, kind, cell_type):
    return [p.place for p in planned if (p.kind, p.cell_type) == (kind, cell_type)]


@pytest.mark.parametrize("seed", range(4))
def test_darts_orders_are_those_of_the_release(seed):
    planned, _ = plan(DARTS, all_edges(DARTS), 5, at_random(seed))
    normal, reduce, normal_nodes, reduce_nodes = map(numbers, DARTS_ORDERS[seed])
    assert places(planned, "operation", "normal") == normal
    assert places(planned, "operation", "reduce") == reduce
    # The release counts the nodes that have something to choose from 0; the first of them is node 3.
    assert places(planned, "topology", "normal") == [3 + n for n in normal_nodes]
    assert places(planned, "topology", "reduce") == [3 + n for n in reduce_nodes]


@pytest.mark.parametrize("seed", range(4))
def test_nas_bench_201_orders_are_those_of_the_release(seed):
    planned, _ = plan(NAS_BENCH_201, all_edges(NAS_BENCH_201), 5, at_random(seed))
    assert [p.place for p in planned] == numbers(NAS_BENCH_201_ORDERS[seed])
    assert {(p.kind, p.cell_type) for p in planned} == {("operation", "normal")}


def test_darts_events_come_every_five_epochs_normal_before_reduce():
    planned, epochs = plan(DARTS, all_edges(DARTS), 5, at_random(0))
    assert epochs == 81 and len(planned) == 2 * 17
    assert [p.epoch for p in planned[::2]] == list(range(0, 81, 5)) == [p.epoch for p in planned[1::2]]
    assert [p.event for p in planned[::2]] == list(range(17)) == [p.event for p in planned[1::2]]
    assert [p.kind for p in planned] == ["operation"] * 28 + ["topology"] * 6
    assert [p.cell_type for p in planned] == ["normal", "reduce"] * 17


def test_nas_bench_201_ends_with_the_last_event_one_epoch_early():
    planned, epochs = plan(NAS_BENCH_201, all_edges(NAS_BENCH_201), 5, at_random(0))
    assert [p.epoch for p in planned] == [0, 5, 10, 15, 20, 24] and epochs == 25


@pytest.mark.parametrize(
    ("events", "interval", "extra_epoch", "expected"),
    [
        (4, 0, True, ([0, 0, 0, 0], 0)),  # no fine-tuning
        (3, 1, True, ([0, 1, 2], 3)),
        (3, 1, False, ([0, 1, 1], 2)),  # the last epoch has two events
        (1, 5, False, ([0], 1)),
        (0, 5, False, ([], 0)),  # nothing to decide
    ],
)
def test_event_epochs(events, interval, extra_epoch, expected):
    assert event_epochs(events, interval, extra_epoch) == expected


def test_without_an_interval_everything_comes_at_once_in_the_same_order():
    at_once, epochs = plan(DARTS, all_edges(DARTS), 0, at_random(3))
    spread, _ = plan(DARTS, all_edges(DARTS), 5, at_random(3))
    assert epochs == 0 and {p.epoch for p in at_once} == {0}
    assert [(p.event, p.kind, p.cell_type, p.place) for p in at_once] == [
        (p.event, p.kind, p.cell_type, p.place) for p in spread
    ]


def test_edges_that_are_decided_are_not_planned():
    undecided = {"normal": [1, 4], "reduce": [7, 2, 11]}
    planned, epochs = plan(DARTS, undecided, 1, at_random(0))
    assert sorted(places(planned, "operation", "normal")) == [1, 4]
    assert sorted(places(planned, "operation", "reduce")) == [2, 7, 11]
    assert sorted(places(planned, "topology", "normal")) == [3, 4, 5]
    assert [p.event for p in planned] == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5]  # the third edge is alone
    assert epochs == 6


def test_topology_first_plans_only_the_edges_that_are_kept():
    def planned(dropped):
        found, epochs = plan(DARTS, all_edges(DARTS), 5, at_random(0), topology_first=True, dropped=dropped)
        assert epochs == 51  # 3 nodes and 8 edges: 10 intervals and the last epoch
        assert [p.epoch for p in found[::2]] == list(range(0, 51, 5))
        assert [p.kind for p in found] == ["topology"] * 6 + ["operation"] * 16
        return found

    start = planned(None)
    dropped = {"normal": [2, 5, 7, 9, 10, 12], "reduce": [4, 7, 8, 11, 12, 13]}
    end = planned(dropped)
    assert [p for p in end if p.kind == "topology"] == [p for p in start if p.kind == "topology"]
    for cell_type, gone in dropped.items():
        assert sorted(places(end, "operation", cell_type)) == sorted(set(range(14)) - set(gone))
    half = planned({"normal": [2], "reduce": []})  # what one node dropped is known
    assert sorted(places(half, "operation", "normal")) == [0, 1, 3, 4, 5, 6, 9, 10]


def test_topology_first_with_edges_that_are_decided_already():
    """Edge 0 of two nodes has one candidate: perhaps one event less than planned, at the same epochs."""
    undecided = {"normal": [1, 2, 4]}
    space = two_cells.SPACE
    undecided["reduce"] = []

    def ends(dropped):
        found, epochs = plan(space, undecided, 2, at_random(0), None, True, {"normal": dropped})
        return [p.epoch for p in found if (p.kind, p.cell_type) == ("operation", "normal")], epochs

    assert ends([]) == ends([3]) == ([2, 4, 6], 7)
    assert ends([2]) == ([2, 4], 7)


def test_passes_that_a_decision_takes():
    planned, _ = plan(DARTS, all_edges(DARTS), 5, at_random(0))
    # 14 edges of 7 operations, and nodes of 3, 4 and 5 edges: for each of two cell types.
    assert sum(p.passes(DARTS) for p in planned) == 2 * (14 * 7 + 3 + 7 + 12)
    planned, _ = plan(tiny.SPACE, all_edges(tiny.SPACE), 1, at_random(0))
    assert [p.passes(tiny.SPACE) for p in planned] == [2, 2, 2, 3]
