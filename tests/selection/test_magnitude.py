"""Selection by magnitude: cases worked out by hand."""

import dataclasses

import numpy as np
import pytest

from tests.search import tiny
from tf_darts import spaces
from tf_darts.genotypes.derive import candidates_of, read_genotype
from tf_darts.models.architecture import Architecture
from tf_darts.models.budget import Budget
from tf_darts.models.genotype_costs import SKIPS, GenotypeCosts
from tf_darts.search.parts.sigmoid import sigmoids
from tf_darts.selection import magnitude

TIED = 0.1


def rows(space, changes=None):
    """Equal mixing weights for a cell type, but for `changes`: {(edge, operation): weight}."""
    weights = np.full((len(space.edges), space.num_operations), TIED)
    for place, value in (changes or {}).items():
        weights[place] = value
    return weights


def read(space, normal, reduce=None):
    """The normal cell as (target, source, operation)."""
    weights = {"normal": normal}
    if "reduce" in space.cell_types:
        weights["reduce"] = rows(space) if reduce is None else reduce
    cells = read_genotype(space, weights).cells
    return [(c.target, c.source, c.operation) for c in cells["normal"]]


def test_ties_go_to_the_lower_edge_and_the_lower_operation():
    first = "max_pool_3x3"
    space = spaces.get("darts")
    assert read(space, rows(space)) == [(n, s, first) for n in (2, 3, 4, 5) for s in (0, 1)]


def test_edges_are_listed_by_rank_so_that_node_2_may_be_reversed():
    space = spaces.get("darts")
    changes = {
        (1, 3): 0.5,  # node 2: edge 1 before edge 0
        (4, 6): 0.4,  # node 3: source 2, then source 0
        (2, 2): 0.3,
        (6, 4): 0.2,  # node 4: sources 1 and 3 equal: in order
        (8, 1): 0.2,
        (13, 5): 0.9,  # node 5: source 4, then source 3
        (12, 0): 0.8,
        (9, 0): 0.7,
    }
    assert read(space, rows(space, changes)) == [
        (2, 1, "sep_conv_3x3"),
        (2, 0, "max_pool_3x3"),
        (3, 2, "dil_conv_5x5"),
        (3, 0, "skip_connect"),
        (4, 1, "sep_conv_5x5"),
        (4, 3, "avg_pool_3x3"),
        (5, 4, "dil_conv_3x3"),
        (5, 3, "max_pool_3x3"),
    ]


def test_an_edge_ranks_by_its_best_operation_not_by_its_sum():
    space = spaces.get("s2")
    weights = rows(space)
    weights[2:5] = [[0.45, 0.45], [0.1, 0.5], [0.48, 0.0]]
    assert read(space, weights)[2:4] == [(3, 1, "sep_conv_3x3"), (3, 2, "skip_connect")]


def test_columns_mean_what_the_edge_offers():
    space = spaces.get("s1")
    chosen = read(space, rows(space, {(e, 1): 0.9 for e in (0, 1, 5, 6, 12, 13)}))
    assert chosen == [
        (2, 0, "dil_conv_3x3"),
        (2, 1, "dil_conv_5x5"),
        (3, 0, "skip_connect"),
        (3, 1, "skip_connect"),
        (4, 0, "skip_connect"),  # edge 5 offers max_pool_3x3, skip_connect
        (4, 1, "sep_conv_3x3"),
        (5, 3, "dil_conv_5x5"),
        (5, 4, "dil_conv_5x5"),
    ]


@pytest.mark.parametrize(("name", "none"), [("s3", 0), ("darts_with_none", 0)])
def test_none_is_not_chosen_and_gives_no_rank(name, none):
    space = spaces.get(name)
    assert space.candidates["normal"][0][none] == "none"
    chosen = read(space, rows(space, {(0, none): 0.99, (2, none): 0.99, (4, 2): 0.3}))
    first = space.candidates["normal"][0][1]
    assert chosen[0] == (2, 0, first)
    assert chosen[2:4] == [(3, 2, space.candidates["normal"][4][2]), (3, 0, first)]
    assert not any(operation == "none" for _, _, operation in chosen)


def test_none_counts_in_the_softmax():
    # Edge 2 has the larger alpha for sep_conv_3x3, but shares with `none`: 1/(1+e^2+e^3) e^3 = 0.66 ...
    architecture = Architecture(spaces.get("s3"), alpha_scale=0)
    alpha = np.zeros((14, 3), np.float32)
    alpha[2] = [5.0, 0.0, 3.0]  # none takes 0.88, sep_conv_3x3 has 0.12: less than 1/3
    alpha[3] = [0.0, 0.0, 1.0]  # 0.58
    architecture.alpha["normal"].assign(alpha)
    cell = magnitude.select(architecture).genotype.cells["normal"]
    assert [(c.source, c.operation) for c in cell[2:4]] == [(1, "sep_conv_3x3"), (2, "skip_connect")]


def test_noise_may_be_chosen():
    space = spaces.get("s4")
    assert read(space, rows(space))[0] == (2, 0, "noise")


def test_nas_bench_201_takes_the_best_of_every_edge_none_included():
    architecture = Architecture(spaces.get("nas_bench_201"), alpha_scale=0)
    alpha = np.zeros((6, 5), np.float32)
    for edge, operation in enumerate([3, 0, 4, 1, 2, 0]):
        alpha[edge, operation] = 0.1 + edge
    architecture.alpha["normal"].assign(alpha)
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
    assert magnitude.select(architecture).genotype.to_text() == text


def test_nas_bench_201_keeps_the_order_of_edges_and_gives_ties_to_the_first_operation():
    space = spaces.get("nas_bench_201")
    chosen = read(space, rows(space, {(5, 3): 0.9, (3, 3): 0.5}))
    assert chosen == [
        (1, 0, "none"),
        (2, 0, "none"),
        (2, 1, "none"),
        (3, 0, "nor_conv_3x3"),
        (3, 1, "none"),
        (3, 2, "nor_conv_3x3"),
    ]


def test_what_perturbation_decided_is_read_in_ascending_order():
    architecture = Architecture(spaces.get("darts"), alpha_scale=1.0, seed=2)
    decided = {}
    for cell_type, removed in (("normal", [2, 6, 7, 9, 11, 12]), ("reduce", [4, 5, 8, 10, 11, 13])):
        for edge in range(14):
            decided[cell_type, edge] = (3 * edge + 1) % 7
            architecture.decide_operation(cell_type, edge, decided[cell_type, edge])
        architecture.remove_edges(cell_type, removed)
    cells = magnitude.select(architecture).genotype.cells
    for cell_type, kept in (
        ("normal", [0, 1, 3, 4, 5, 8, 10, 13]),
        ("reduce", [0, 1, 2, 3, 6, 7, 9, 12]),
    ):
        wanted = [
            (edge.target, edge.source, architecture.space.candidates[cell_type][e][decided[cell_type, e]])
            for e, edge in enumerate(architecture.space.edges)
            if e in kept
        ]
        assert [(c.target, c.source, c.operation) for c in cells[cell_type]] == wanted


def test_an_edge_decided_for_none_ties_with_removed_ones():
    # Specification, 9.8: its best other weight is 0, as that of every removed edge.
    architecture = Architecture(spaces.get("s3"), alpha_scale=0)
    for edge in range(14):
        architecture.decide_operation("normal", edge, 0 if edge == 4 else 2)
    architecture.remove_edges("normal", [2, 5, 6, 9, 10, 11])
    cell = magnitude.select(architecture).genotype.cells["normal"]
    assert [(c.source, c.operation) for c in cell[2:4]] == [(1, "sep_conv_3x3"), (0, "skip_connect")]
    assert [c.source for c in cell] == [0, 1, 1, 0, 2, 3, 3, 4]


def test_a_probe_is_not_a_decision():
    space = spaces.get("s2")
    assert candidates_of(space, "normal", 0) == [0, 1]
    assert candidates_of(spaces.get("s3"), "normal", 0) == [1, 2]
    assert candidates_of(spaces.get("nas_bench_201"), "normal", 0) == [0, 1, 2, 3, 4]


def test_every_edge_is_recorded():
    architecture = Architecture(spaces.get("s3"), alpha_scale=1.0)
    selected = magnitude.select(architecture)
    assert len(selected.decisions) == 2 * 14
    weights = architecture.mixing_weights()["reduce"].numpy()
    row = selected.decisions[14 + 4]
    assert (row.cell_type, row.edge, row.edge_name) == ("reduce", 4, "3<-2")
    names = ["none", "skip_connect", "sep_conv_3x3"]
    assert row.mixing_weights == {n: pytest.approx(w) for n, w in zip(names, weights[4], strict=True)}
    kept = {(c.target, c.source): c.operation for c in selected.genotype.cells["reduce"]}
    for e, edge in enumerate(architecture.space.edges):
        assert selected.decisions[14 + e].chosen == kept.get((edge.target, edge.source))


def test_of_two_nodes_the_one_with_the_most_certain_edge_keeps_what_it_wants():
    # Three edges end in a node of each cell type; edge 1 costs 10 whatever is on it, and one such edge fits.
    space = dataclasses.replace(
        tiny.SPACE, candidates=dict.fromkeys(("normal", "reduce"), (tiny.OPERATIONS,) * 3)
    )
    cost = np.int64([[[0, 0]] * 2, [[10, 10]] * 2, [[0, 0]] * 2])
    budget = Budget(space, GenotypeCosts(space, np.int64([5, 5]), {"normal": cost, "reduce": cost}), 15)

    def kept(**largest):
        weights = {t: np.array([[w, 1 - w] for w in row]) for t, row in largest.items()}
        cells = magnitude.magnitude_within(budget, space, weights).cells
        return {t: [choice.source for choice in choices] for t, choices in cells.items()}

    certain, less = (0.9, 0.6, 0.51), (0.8, 0.7, 0.65)
    assert kept(normal=certain, reduce=less) == {"normal": [0, 1], "reduce": [0, 2]}
    assert kept(normal=less, reduce=certain) == {"normal": [0, 2], "reduce": [0, 1]}


def test_what_does_not_exceed_the_threshold_is_none():
    """FairDARTS: two input edges a node at most, each with an operation above the threshold."""
    space = dataclasses.replace(spaces.get("darts_with_none"), none_in_genotype=True)
    none, skip, conv = 0, 3, 4
    weights = np.full((14, 8), 0.2)
    weights[:, none] = 0.99  # which is not judged
    weights[0, conv], weights[0, skip] = 0.9, 0.86
    weights[1, conv] = 0.85  # not above it
    weights[3, skip] = 0.95
    weights[5:8, conv] = [0.86, 0.88, 0.87]  # three above it, of which a node has two
    architecture = Architecture(space, alpha_scale=0, normalise=sigmoids)
    with np.errstate(divide="ignore"):
        architecture.alpha["normal"].assign(np.log(weights / (1 - weights)))
    selected = magnitude.select(architecture, threshold=0.85)
    kept = [(c.target, c.source, c.operation) for c in selected.genotype.cells["normal"]]
    assert kept == [
        (2, 0, "sep_conv_3x3"),
        (2, 1, "none"),
        (3, 1, "skip_connect"),
        (3, 0, "none"),
        (4, 1, "sep_conv_3x3"),
        (4, 2, "sep_conv_3x3"),
        (5, 0, "none"),
        (5, 1, "none"),
    ]
    assert {c.operation for c in selected.genotype.cells["reduce"]} == {"none"}  # sigmoids of 1/2
    assert {c.operation for c in magnitude.select(architecture).genotype.cells["normal"]} == {"none"}


def skip_limit(space, most):
    """Return a budget that limits skip connections to `most`; nothing else costs anything."""
    edges = {t: np.zeros((len(space.edges), space.num_operations, SKIPS + 1), int) for t in space.cell_types}
    for e, names in enumerate(space.candidates["normal"]):
        edges["normal"][e, names.index("skip_connect"), SKIPS] = 1
    return Budget(space, GenotypeCosts(space, np.zeros(SKIPS + 1, int), edges), max_skips=most)


def test_of_too_many_skip_connections_the_weakest_is_taken_out_and_edges_rank_anew():
    """P-DARTS's rule, by hand: the edge may keep another operation, or lose its place."""
    space, skip, conv = spaces.get("darts"), 2, 3
    changes = {
        (0, skip): 0.9,
        (1, skip): 0.5,  # third to go: the edge stays, as node 2 has no other
        (1, conv): 0.4,
        (2, skip): 0.8,
        (3, skip): 0.3,  # first: the edge keeps its next operation, which is better than edge 4's
        (3, conv): 0.28,
        (4, conv): 0.25,
        (5, skip): 0.4,  # second: edge 7 takes its place
        (6, conv): 0.6,
        (7, 5): 0.2,
        (9, conv): 0.7,
        (10, conv): 0.7,
    }
    normal, reduce = rows(space, changes), rows(space, {(e, skip): 0.5 for e in range(14)})
    weights = {"normal": normal, "reduce": reduce}

    def limited(most):
        cells = magnitude.magnitude_within(skip_limit(space, most), space, weights).cells
        assert [c.operation for c in cells["reduce"]] == ["skip_connect"] * 8  # only normal cells are limited
        return [(c.target, c.source, c.operation) for c in cells["normal"]]

    free = read(space, normal)
    assert [o for *_, o in free].count("skip_connect") == 5 and limited(5) == limited(9) == free
    skips, conv_3 = "skip_connect", "sep_conv_3x3"
    fourth = [*free[:3], (3, 1, conv_3), *free[4:]]
    assert limited(4) == fourth
    third = [*fourth[:5], (4, 2, "dil_conv_3x3"), *fourth[6:]]
    assert fourth[4:6] == [(4, 1, conv_3), (4, 0, skips)] and limited(3) == third
    assert limited(2) == [(2, 0, skips), (2, 1, conv_3), *third[2:]]


def test_weights_of_edges_take_no_part_in_limits_and_thresholds():
    """Where channels pass the operations by, mixing weights have a column more, which is 1 here."""
    space = dataclasses.replace(spaces.get("darts_with_none"), none_in_genotype=True)
    alone = {t: np.random.default_rng(1).uniform(0.1, 0.3, (14, 8)) for t in space.cell_types}
    beside = {t: np.concatenate([w, np.ones([14, 1])], 1) for t, w in alone.items()}
    limit = skip_limit(space, 1)
    assert magnitude.magnitude_within(limit, space, beside) == magnitude.magnitude_within(limit, space, alone)
    for judged, expected in zip(
        *(magnitude.judged_by_threshold(space, w, 0.85).values() for w in (beside, alone)), strict=True
    ):
        np.testing.assert_array_equal(judged[:, :8], expected)


def test_decided_skip_connections_are_not_taken_out():
    architecture = Architecture(spaces.get("s2"), alpha_scale=0)
    for edge in (0, 3):
        architecture.decide_operation("normal", edge, 0)
    budget = skip_limit(architecture.space, 2)
    cell = magnitude.select(architecture, budget).genotype.cells["normal"]
    skips = [(c.target, c.source) for c in cell if c.operation == "skip_connect"]
    assert skips == [(2, 0), (3, 1)]
