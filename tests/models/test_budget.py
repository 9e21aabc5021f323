"""Budgets: what is allowed, against all completions; and the decisions of a selection within them."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.search import tiny
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Choice, validate
from tf_darts.models.architecture import Architecture
from tf_darts.models.budget import Budget
from tf_darts.models.decision_state import DecisionState, agree, apply
from tf_darts.models.evaluator import Score
from tf_darts.models.genotype_costs import GenotypeCosts
from tf_darts.selection import magnitude, sampling, schedule
from tf_darts.selection.decide import Decider
from tf_darts.selection.race import Race
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import as_row

# --- what is allowed, against all completions


def made_up(input_nodes, nodes, kept, none_in_genotype, *rows_of_types):
    """A space whose edges have the same candidates; nobody builds its networks."""
    edges = sum(range(input_nodes, input_nodes + nodes))
    return Space(
        name="made up",
        input_nodes=input_nodes,
        nodes=nodes,
        candidates={t: (row,) * edges for t, row in zip(("normal", "reduce"), rows_of_types, strict=False)},
        output_nodes=(input_nodes + nodes - 1,),
        kept_edges=kept,
        stacking=tiny.SPACE.stacking,
        none_in_genotype=none_in_genotype,
    )


A, B, C = "skip_connect", "max_pool_3x3", "nor_conv_1x1"
MADE_UP = [
    made_up(2, 2, 2, False, ("none", A, B)),
    made_up(2, 2, 2, False, (A, "none"), (B, C)),
    made_up(1, 3, 1, False, (A, "none")),
    made_up(3, 1, 2, True, ("none", A, B), (A, B)),
    made_up(1, 2, None, True, ("none", A, B)),
    made_up(1, 2, None, False, ("none", A, B), (C, B)),
    dataclasses.replace(  # an edge that has nothing but `none` keeps it
        made_up(2, 2, 2, False, ("none", A)),
        candidates={"normal": (("none", A), ("none", A), ("none",), ("none", A), (A, B))},
    ),
]


@dataclasses.dataclass(frozen=True)
class Completion:
    """A way of making all decisions of one cell type: what they are, and what the genotype then costs."""

    operations: tuple[int, ...]
    kept: frozenset[int]
    cost: tuple[int, ...]


def completions(space, costs, state, cell_type):
    """All there are; the genotype is read from the masks as at the end of a selection."""
    open_operations, open_edges = state.operations[cell_type], state.edges[cell_type]
    kept = itertools.product(
        *(
            itertools.combinations([e for e in space.incoming(n) if open_edges[e]], space.keeps(n))
            for n in space.targets
        )
    )
    kept = [frozenset(itertools.chain(*of_nodes)) for of_nodes in kept]
    found = []
    for operations in itertools.product(*(np.flatnonzero(row).tolist() for row in open_operations)):
        one_hot = np.zeros(open_operations.shape)
        one_hot[range(len(operations)), operations] = 1
        for edges in kept:
            weights = one_hot * np.isin(range(len(operations)), list(edges))[:, None]
            genotype = read_genotype(space, {cell_type: weights})
            price = np.int64(costs.of(genotype))[: len(costs.fixed)] - costs.fixed
            found.append(Completion(operations, edges, tuple(price.tolist())))
    return found


def together(fixed, *lists_of_completions):
    """The costs of all combinations of completions of each cell type."""
    totals = {tuple(fixed.tolist())}
    for found in lists_of_completions:
        prices = {c.cost for c in found}
        totals = {tuple(map(sum, zip(total, price, strict=True))) for total in totals for price in prices}
    return totals


@st.composite
def costs_and_states(draw, space, entries=2):
    """Made-up costs, and a state of some decisions in which every node still has edges enough."""
    numbers = st.integers(0, 9)
    shape = (len(space.edges), space.num_operations, entries)
    edges = {t: draw(arrays(np.int64, shape, elements=numbers)) for t in space.cell_types}
    operations, open_edges = {}, {}
    for t in space.cell_types:
        operations[t] = np.zeros(shape[:2], bool)
        for e, names in enumerate(space.candidates[t]):
            operations[t][e, sorted(draw(st.sets(st.integers(0, len(names) - 1), min_size=1)))] = True
        open_edges[t] = np.zeros(shape[0], bool)
        for node in space.targets:
            incoming, keep = space.incoming(node), space.keeps(node)
            decided = draw(st.booleans())
            most = keep if decided else len(incoming)
            present = draw(st.sets(st.sampled_from(incoming), min_size=most, max_size=most))
            open_edges[t][sorted(present)] = True
    fixed = np.int64(draw(st.tuples(*[numbers] * entries)))
    return GenotypeCosts(space, fixed, edges), DecisionState(operations, open_edges)


def limits_near(totals, draw):
    """One limit or several, close to what some completion costs; 0 for none."""
    near = draw(st.sampled_from(sorted(totals)))
    which = draw(st.sampled_from(list(itertools.product([False, True], repeat=len(near)))[1:]))
    shift = st.integers(-2, 2)
    return [
        max(number + draw(shift), 1) if limited else 0 for number, limited in zip(near, which, strict=True)
    ]


def fit(totals, limits):
    return any(
        all(not limit or number <= limit for number, limit in zip(total, limits, strict=True))
        for total in totals
    )


def pareto(totals, limits):
    """The front of the limited entries."""
    points = {tuple(n for n, limit in zip(total, limits, strict=True) if limit) for total in totals}

    def beaten(point):
        return any(p != point and all(a <= b for a, b in zip(p, point, strict=True)) for p in points)

    return sorted(point for point in points if not beaten(point))


@pytest.mark.parametrize("number", range(len(MADE_UP)))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_what_is_allowed_is_what_some_completion_keeps(number, data):
    space = MADE_UP[number]
    costs, state = data.draw(costs_and_states(space, data.draw(st.sampled_from([2, 4]))))
    found = {t: completions(space, costs, state, t) for t in space.cell_types}
    totals = together(costs.fixed, *found.values())
    limits = limits_near(totals, data.draw)
    budget = Budget(space, costs, *limits)
    assert budget.fits(state) == fit(totals, limits)
    assert budget.least(state) == pareto(totals, limits)

    def some_fits(cell_type, condition):
        chosen = {**found, cell_type: [c for c in found[cell_type] if condition(c)]}
        return fit(together(costs.fixed, *chosen.values()), limits)

    for t in space.cell_types:
        for e, names in enumerate(space.candidates[t]):
            expected = [some_fits(t, lambda c, e=e, o=o: c.operations[e] == o) for o in range(len(names))]
            assert budget.allowed_operations(state, t, e) == expected
        for node in space.topology_nodes:
            present = [e for e in space.incoming(node) if state.edges[t][e]]
            left = sorted(data.draw(st.sets(st.sampled_from(present), min_size=space.kept_edges)))
            dropped = set(present) - set(left)
            if len(left) > space.kept_edges:
                expected = [some_fits(t, lambda c, without=dropped | {e}: not c.kept & without) for e in left]
                assert budget.allowed_removals(state, t, node, left) == expected


def every_genotype_costs(space, costs):
    start = DecisionState.undecided(space)
    return together(costs.fixed, *(completions(space, costs, start, t) for t in space.cell_types))


@pytest.mark.parametrize("number", range(len(MADE_UP)))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_magnitude_keeps_to_the_budget(number, data):
    space = MADE_UP[number]
    costs, _ = data.draw(costs_and_states(space))
    seed = data.draw(st.integers(0, 1000))
    draw = np.random.default_rng(seed)
    size = (len(space.edges), space.num_operations)
    weights = {t: draw.integers(1, 5, size) / 10 for t in space.cell_types}  # with ties
    totals = every_genotype_costs(space, costs)
    limits = limits_near(totals, data.draw)
    budget = Budget(space, costs, *limits)
    if not fit(totals, limits):
        with pytest.raises(UserError, match="config: selection.max_"):
            budget.check()
        return
    budget.check()
    genotype = magnitude.magnitude_within(budget, space, weights)
    assert budget.allows(genotype) and fit([costs.of(genotype)[:2]], limits)
    free = read_genotype(space, weights)
    assert budget.allows(free) == (genotype == free)


@pytest.mark.parametrize("draws", [sampling.DRAWS, 0])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_random_genotypes_keep_to_the_budget(draws, data):
    space = data.draw(st.sampled_from(MADE_UP))
    costs, _ = data.draw(costs_and_states(space))
    totals = every_genotype_costs(space, costs)
    limits = limits_near(totals, data.draw)
    if not fit(totals, limits):
        return
    draw = np.random.default_rng(data.draw(st.integers(0, 1000)))
    budget = Budget(space, costs, *limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "DRAWS", draws)
        weights = sampling.random_mixing_weights(space, draw, budget)
    genotype = read_genotype(space, weights)
    assert fit([costs.of(genotype)[:2]], limits)
    kept = sum(space.keeps(node) for node in space.targets)
    for t, rows in weights.items():
        assert rows.sum() == len(genotype.cells[t]) == kept and rows.max() == 1


def test_random_genotypes_are_uniform_over_those_that_fit():
    costs = GenotypeCosts(tiny.SPACE, np.int64([5, 5]), {"normal": np.int64([[[0, 0], [10, 10]]] * 3)})
    budget, draw = Budget(tiny.SPACE, costs, 15), np.random.default_rng(0)
    drawn = [
        read_genotype(tiny.SPACE, sampling.random_mixing_weights(tiny.SPACE, draw, budget)).cells["normal"]
        for _ in range(900)
    ]
    assert len(set(drawn)) == 9  # of two edges of three: no convolution, or one on either
    assert all(60 < drawn.count(cell) < 140 for cell in set(drawn))  # of 100, four standard deviations


@pytest.mark.parametrize("name", spaces.SPACES)
def test_a_budget_that_everything_fits_changes_no_genotype(name):
    space = spaces.get(name)
    sizes = {t: np.ones((len(space.edges), space.num_operations, 2), np.int64) for t in space.cell_types}
    budget = Budget(space, GenotypeCosts(space, np.int64([0, 0]), sizes), 28, 28)
    draw = np.random.default_rng(0)
    weights = {t: draw.integers(0, 20, size.shape[:2]) / 10 for t, size in sizes.items()}
    genotype = magnitude.magnitude_within(budget, space, weights)
    assert genotype == read_genotype(space, weights)
    validate(genotype, space)


# --- decisions

CONV_COSTS = GenotypeCosts(tiny.SPACE, np.int64([5, 5]), {"normal": np.int64([[[0, 0], [10, 10]]] * 3)})


def test_magnitude_decides_the_most_certain_first():
    # One convolution fits. Edges 0 and 1 may both hold one, as the node can do without either; edge 2 may
    # not, and then it has to stay in the place of edge 1.
    weights = {"normal": np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])}
    choices = magnitude.magnitude_within(Budget(tiny.SPACE, CONV_COSTS, 15), tiny.SPACE, weights).cells
    assert choices["normal"] == (Choice(3, 0, "nor_conv_1x1"), Choice(3, 2, "skip_connect"))
    weights = {"normal": np.array([[0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])}
    choices = magnitude.magnitude_within(Budget(tiny.SPACE, CONV_COSTS, 15), tiny.SPACE, weights).cells
    assert choices["normal"] == (Choice(3, 2, "nor_conv_1x1"), Choice(3, 0, "skip_connect"))
    none = magnitude.magnitude_within(Budget(tiny.SPACE, CONV_COSTS, 0, 5), tiny.SPACE, weights).cells
    assert none["normal"] == (Choice(3, 0, "skip_connect"), Choice(3, 1, "skip_connect"))


class MadeUpProber:
    """Scores removals by how many images of 100 are lost, or otherwise seen by a race."""

    def __init__(self, lost):
        self.lost, self.probed, self.races = lost, [], []

    def score(self, cell_type, removals, pass_index, race=None, each_call=lambda batches: None):
        self.probed.append(list(removals))
        self.races.append(race)
        return [Score(100 - self.lost.get(removal, 0), 100, 1.0) for removal in removals]


def planned(kind, place):
    return PlannedDecision(event=0, epoch=0, kind=kind, cell_type="normal", place=place)


def test_perturbation_makes_the_best_choice_that_is_allowed():
    architecture = Architecture(tiny.SPACE)
    lost = {(e, 1): 50 for e in range(3)} | {(0, None): 30, (1, None): 20, (2, None): 10}
    prober = MadeUpProber(lost)
    decider = Decider(architecture, prober, "accuracy", budget=Budget(tiny.SPACE, CONV_COSTS, 15))
    rows = [decider.decide(planned("operation", e), 0) for e in range(3)]
    assert [row.chosen for row in rows] == ["nor_conv_1x1", "nor_conv_1x1", "skip_connect"]
    assert [row.refused for row in rows] == [(), (), ("nor_conv_1x1",)]
    assert [probe.operation for probe in rows[2].probes] == [*tiny.OPERATIONS]  # measured all the same
    rows.append(decider.decide(planned("topology", 3), 0))
    # Edge 2 is needed least, but with the convolutions of the other two nothing fits.
    assert rows[3].removed == (1,) and rows[3].kept == (0, 2)
    (dropping,) = rows[3].rounds
    assert dropping.refused == (2,) and [probe.edge for probe in dropping.probes] == [0, 1, 2]
    assert agree(architecture, rows)


def test_one_shot_decisions_count_although_they_are_not_made_yet():
    architecture = Architecture(tiny.SPACE)
    lost = {(e, 1): 50 for e in range(3)} | {(0, None): 30, (1, None): 20, (2, None): 10}
    budget, rows = Budget(tiny.SPACE, CONV_COSTS, 15), []
    for kind, place in (*(("operation", e) for e in range(3)), ("topology", 3)):
        # Each by a new one, as after a restart.
        decider = Decider(
            architecture, MadeUpProber(lost), "accuracy", at_once=True, decisions=rows, budget=budget
        )
        rows.append(decider.decide(planned(kind, place), 0))
    assert [row.chosen for row in rows[:3]] == ["nor_conv_1x1", "nor_conv_1x1", "skip_connect"]
    assert rows[3].removed == (1,) and rows[3].rounds[0].refused == (2,)


@pytest.mark.parametrize("at_once", [False, True], ids=["in turn", "one shot"])
@pytest.mark.parametrize("criterion", ["accuracy", "magnitude"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_decisions_in_any_order_end_within_the_budget(criterion, at_once, data):
    space = data.draw(st.sampled_from(MADE_UP))
    costs, _ = data.draw(costs_and_states(space))
    totals = every_genotype_costs(space, costs)
    limits = limits_near(totals, data.draw)
    if not fit(totals, limits):
        return
    seed = data.draw(st.integers(0, 1000))
    draw = np.random.default_rng(seed)
    choices = itertools.product(range(len(space.edges)), (None, *range(space.num_operations)))
    prober = MadeUpProber({choice: int(draw.integers(5)) for choice in choices})

    def select(budget):
        architecture = Architecture(space, alpha_scale=1.0, seed=seed)
        undecided = {t: architecture.undecided_edges(t) for t in space.cell_types}
        order, _ = schedule.plan(space, undecided, 0, schedule.at_random(seed))
        decider = Decider(architecture, prober, criterion, at_once=at_once, budget=budget)
        rows = [decider.decide(decision, 0) for decision in order]
        for row in rows if at_once else ():
            apply(architecture, row)
        weights = architecture.current_weights()
        return read_genotype(space, weights), rows

    genotype, rows = select(Budget(space, costs, *limits))
    assert fit([costs.of(genotype)[:2]], limits)
    free = select(None)
    assert genotype == free[0] or "refused" in str([as_row(row) for row in rows])
    assert select(Budget(space, costs, 10**6, 10**6)) == free


def test_what_may_not_be_kept_anyway_is_no_matter_of_the_budget():
    decider = Decider(
        Architecture(tiny.SPACE),
        MadeUpProber({(0, 1): 50}),
        "accuracy",
        allow=lambda space, cell_type, edge: [True, False],
        budget=Budget(tiny.SPACE, CONV_COSTS, 15),
    )
    row = decider.decide(planned("operation", 0), 0)
    assert row.chosen == "skip_connect" and not row.refused


def test_what_a_search_decided_stays_or_is_refused():
    architecture = Architecture(tiny.SPACE, alpha_scale=0.0)
    architecture.decide_operation("normal", 1, 1)
    architecture.remove_edges("normal", [0])
    decided = magnitude.select(architecture, Budget(tiny.SPACE, CONV_COSTS, 15)).genotype.cells["normal"]
    assert decided == (Choice(3, 1, "nor_conv_1x1"), Choice(3, 2, "skip_connect"))
    budget = Budget(tiny.SPACE, CONV_COSTS, 14)
    budget.check()
    message = "selection.max_parameters is 14; allowed: at least 15 .* and what the search decided, or 0"
    for refusing in (
        lambda: magnitude.select(architecture, budget),
        lambda: budget.check(DecisionState.of(architecture)),
    ):
        with pytest.raises(UserError, match=message):
            refusing()


def test_what_is_refused_takes_no_part_in_a_race():
    prober = MadeUpProber({(e, 1): 50 for e in range(3)})
    budget = Budget(tiny.SPACE, CONV_COSTS, 5)  # no convolution fits: one of three edges may hold one
    decider = Decider(Architecture(tiny.SPACE), prober, "accuracy", racing_confidence=0.9, budget=budget)
    chosen = [decider.decide(planned("operation", e), 0).chosen for e in range(2)]
    assert chosen == ["nor_conv_1x1", "skip_connect"]
    assert prober.races == [Race("accuracy", True, 0.9, 2, frozenset(refused)) for refused in ((), (1,))]
