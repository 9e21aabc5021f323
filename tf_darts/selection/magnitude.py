"""Magnitude-based selection: keep what has the largest alpha (DARTS; the paper's baseline)."""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from tf_darts.genotypes.derive import candidates_of, check_finite, read_genotype
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models.architecture import Architecture
from tf_darts.models.budget import Budget
from tf_darts.models.decision_state import DecisionState
from tf_darts.models.genotype_costs import SKIPS
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.pictures import show_alone
from tf_darts.spaces import Space
from tf_darts.spaces.space import NONE
from tf_darts.workdir.decisions import DecisionsFile, MagnitudeDecision


def run(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Select from the searched supernet; leave decisions.jsonl, of the cell types that the supernet has."""
    selected = select(setup.bilevel.architecture, setup.budget, setup.config.selection.threshold)
    there = setup.bilevel.alphas
    DecisionsFile(folder).append(*(d for d in selected.decisions if d.cell_type in there))
    show_alone(setup, folder, selected.genotype)
    return selected.genotype


@dataclasses.dataclass(frozen=True)
class MagnitudeSelection:
    """A genotype and, for every edge, what was found.

    Attributes:
      genotype: the genotype.
      decisions: one for every edge.
    """

    genotype: Genotype
    decisions: list[MagnitudeDecision]


def select(
    architecture: Architecture, budget: Budget | None = None, threshold: float = 0.0
) -> MagnitudeSelection:
    """Select by magnitude, within a budget if there is one; every edge is recorded with its weights.

    Args:
      architecture: alpha and the masks.
      budget: what the genotype has to fit.
      threshold: as in `judged_by_threshold`; 0: none.

    Raises:
      UserError: what the search decided does not fit the budget.
    """
    space = architecture.space
    weights = architecture.current_weights()
    check_finite(space, weights)
    if threshold:
        weights = judged_by_threshold(space, weights, threshold)
    if budget is None:
        genotype = read_genotype(space, weights)
    else:
        genotype = magnitude_within(budget, space, weights, DecisionState.of(architecture))
    decisions = []
    for cell_type, rows in weights.items():
        kept = {(c.target, c.source): c.operation for c in genotype.cells[cell_type]}
        for e, edge in enumerate(space.edges):
            names = space.candidates[cell_type][e]
            decisions.append(
                MagnitudeDecision(
                    cell_type=cell_type,
                    edge=e,
                    edge_name=str(edge),
                    mixing_weights={n: float(w) for n, w in zip(names, rows[e], strict=False)},
                    chosen=kept.get((edge.target, edge.source)),
                )
            )
    return MagnitudeSelection(genotype, decisions)


def judged_by_threshold(
    space: Space, weights: Mapping[str, np.ndarray], threshold: float
) -> dict[str, np.ndarray]:
    """Return mixing weights in which `none` is the threshold, which others have to exceed.

    FairDARTS keeps an operation only where its sigmoid does (Chu et al., ECCV 2020, section 3.3).

    Args:
      space: a space with `none` on every edge.
      weights: mixing weights, float [edges, operations] per cell type.
      threshold: the threshold.
    """
    judged = {}
    for t, rows in weights.items():
        judged[t] = np.array(rows, np.float64)
        for e, names in enumerate(space.candidates[t]):
            none = names.index(NONE)
            judged[t][e, none] = 0.0
            # Just above it, so that an operation that has the threshold's weight does not tie with it.
            above = judged[t][e, : len(names)].max() > threshold
            judged[t][e, none] = 0.0 if above else np.nextafter(threshold, 1.0)
    return judged


def magnitude_within(
    budget: Budget, space: Space, weights: Mapping[str, np.ndarray], start: DecisionState | None = None
) -> Genotype:
    """Return the genotype that is read from mixing weights within a budget.

    Edges are decided in order of their largest weight, the most certain first, each for the operation of
    largest weight that is allowed; then nodes, in the same order, each dropping the allowed edge of smallest
    weight until it has as many as a genotype keeps. Without a choice that is refused this is
    `genotypes.derive.read_genotype`, with its ties: to the lower operation and the lower edge. With a limit
    of skip connections it is P-DARTS's rule (`few_skips`), where what it gives fits.

    Args:
      budget: what the genotype has to fit.
      space: the search space.
      weights: mixing weights, float [edges, operations] per cell type.
      start: what the search left open; None: everything.

    Raises:
      UserError: no genotype fits.
    """
    state = DecisionState.undecided(space) if start is None else start.holdable(space)
    budget.check(None if start is None else state)
    if budget.max_skips:
        genotype = few_skips(space, weights, state, budget)
        if genotype is not None:
            return genotype
    places = [(t, e) for t in space.cell_types for e in range(len(space.edges))]
    largest = {(t, e): weights[t][e, np.flatnonzero(state.operations[t][e])].max() for t, e in places}
    chosen: dict[tuple[str, int], int] = {}
    weight: dict[tuple[str, int], float] = {}
    for t, e in sorted(places, key=lambda place: -largest[place]):
        allowed = budget.allowed_operations(state, t, e)
        chosen[t, e] = max(np.flatnonzero(allowed).tolist(), key=weights[t][e].__getitem__)
        weight[t, e] = weights[t][e, chosen[t, e]]
        state = state.with_operation(t, e, chosen[t, e])

    left = {
        (t, node): [e for e in space.incoming(node) if state.edges[t][e]]
        for t in space.cell_types
        for node in space.targets
    }
    certainty = {(t, node): max(weight[t, e] for e in edges) for (t, node), edges in left.items()}
    for t, node in sorted(left, key=lambda place: -certainty[place]):
        edges, of_type = left[t, node], {e: w for (of, e), w in weight.items() if of == t}
        while len(edges) > space.keeps(node):
            allowed = budget.allowed_removals(state, t, node, edges)
            droppable = [e for e, may in zip(edges, allowed, strict=True) if may]
            edges.remove(min(reversed(droppable), key=of_type.__getitem__))
        state = state.without_edges(t, set(space.incoming(node)) - set(edges))
        if space.kept_edges is not None:
            edges.sort(key=of_type.__getitem__, reverse=True)  # a genotype lists the stronger edge first
    cells = {
        t: tuple(
            Choice(node, space.edges[e].source, space.candidates[t][e][chosen[t, e]])
            for node in space.targets
            for e in left[t, node]
        )
        for t in space.cell_types
    }
    return Genotype(space.name, cells)


def few_skips(
    space: Space, weights: Mapping[str, np.ndarray], state: DecisionState, budget: Budget
) -> Genotype | None:
    """Return the genotype of few skip connections that P-DARTS reads (Chen et al., ICCV 2019, section 3.3).

    While a normal cell has too many, the one of smallest weight is taken out of its edge, and the genotype is
    read anew.

    Args:
      space: the search space.
      weights: as in `magnitude_within`.
      state: what is open.
      budget: says what counts as one, and how many a cell may have.

    Returns:
      The genotype; None where it does not fit the budget.
    """
    weights = {t: rows[:, : space.num_operations] for t, rows in weights.items()}  # without those of edges
    least = {t: rows.min() - 1.0 for t, rows in weights.items()}
    left = {t: np.where(state.operations[t], rows, least[t]) for t, rows in weights.items()}
    index = {(edge.target, edge.source): e for e, edge in enumerate(space.edges)}

    def there(t: str, e: int) -> list[int]:
        return [o for o in candidates_of(space, t, e) if left[t][e, o] > least[t]]

    while True:
        genotype = read_genotype(space, left)
        too_many = []
        for t, choices in genotype.cells.items():
            chosen = [(index[c.target, c.source], c.operation) for c in choices]
            places = [(e, space.candidates[t][e].index(name)) for e, name in chosen]
            skips = [(left[t][e, o], t, e, o) for e, o in places if budget.costs.edges[t][e, o, SKIPS]]
            if len(skips) > budget.max_skips:
                too_many += [skip for skip in skips if len(there(t, skip[2])) > 1]
        if not too_many:
            return genotype if budget.allows(genotype) else None
        _, t, e, o = min(too_many)
        left[t][e, o] = least[t]
