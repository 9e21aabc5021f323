"""A whole selection added up from stages."""

import pytest

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models import decision_state
from tf_darts.models.architecture import Architecture
from tf_darts.tools.benchmark import cases, whole
from tf_darts.workdir.decisions import of_row


def test_stages():
    assert whole.stages(17, 5) == [0, 4, 8, 13, 17]
    assert whole.stages(2, 5) == [0, 1, 2]


@pytest.mark.parametrize("name", ["darts", "s1", "nas_bench_201"])
def test_made_up_decisions_can_be_made(name):
    space = spaces.get(name)
    planned, _ = whole.plan_of(space, 5, 3)
    rows = whole.made_up_decisions(space, planned, 3)
    assert [(row["kind"], row["cell_type"]) for row in rows] == [(p.kind, p.cell_type) for p in planned]
    architecture = Architecture(space)
    for row in rows:
        decision_state.apply(architecture, of_row({"epoch": 0, **row}))
    for cell_type in space.cell_types:
        assert not architecture.undecided_edges(cell_type)
        assert sum(architecture.open_edges[cell_type].numpy()) == (8 if space.kept_edges else 6)


def test_the_probe_of_an_event():
    space = spaces.get("darts")
    planned, _ = whole.plan_of(space, 5, 0)
    assert whole.next_probe(space, planned, 0) == ("normal", planned[0].place, 0)
    cell_type, edge, operation = whole.next_probe(space, planned, 17)  # over: one of the last event's
    assert cell_type == "reduce" and edge in (2, 5, 9) and operation is None


@pytest.mark.parametrize(("anew", "starts"), [(False, 1), (True, 17)])
def test_hours_at_a_constant_cost(anew, starts):
    """The DARTS space: 240 passes and 81 epochs."""
    space = spaces.get("darts")
    planned, epochs = whole.plan_of(space, 5, 0)
    points = [whole.Point(events, 2.0, 0.5, 10.0) for events in (0, 17)]
    hours = whole.hours(space, planned, epochs, points, 100.0, 10.0, anew)
    assert hours.probing == pytest.approx(240 * 10 * 0.5 / 3600)
    assert hours.finetuning == pytest.approx(81 * 100 * 2 / 3600)
    assert hours.starting == pytest.approx(starts * 10 / 3600)
    assert hours.total == pytest.approx(hours.probing + hours.finetuning + hours.starting)


def test_hours_in_between_are_linear():
    """NAS-Bench-201: events before epochs 0, 5, 10, 15, 20, 24 of 25; five passes each."""
    space = spaces.get("nas_bench_201")
    planned, epochs = whole.plan_of(space, 5, 0)
    points = [whole.Point(0, 6.0, 6.0, 0.0), whole.Point(6, 0.0, 0.0, 0.0)]  # 6 less the events made
    hours = whole.hours(space, planned, epochs, points, 1.0, 1.0, False)
    assert hours.probing == pytest.approx(5 * (6 + 5 + 4 + 3 + 2 + 1) / 3600)
    assert hours.finetuning == pytest.approx((5 * 5 + 5 * 4 + 5 * 3 + 5 * 2 + 4 * 1 + 1 * 0) / 3600)


def test_spaces_with_fewer_operations():
    space = cases.first_operations(spaces.get("darts"), 2)
    assert space.name == "darts_first_2" and space.num_operations == 2
    assert set(space.candidates["reduce"]) == {("max_pool_3x3", "avg_pool_3x3")}
    with pytest.raises(UserError, match="operations is 8; allowed: 1 to 7, as space darts has"):
        cases.first_operations(spaces.get("darts"), 8)
