"""Magnitude-based selection: keep what has the largest alpha (DARTS; the paper's baseline)."""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from tf_darts.genotypes.derive import check_finite, read_genotype
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models.architecture import Architecture
from tf_darts.models.budget import Budget
from tf_darts.models.decision_state import DecisionState
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.pictures import show_alone
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import DecisionsFile, MagnitudeDecision


def run(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Select from the searched supernet; leave decisions.jsonl."""
    selected = select(setup.bilevel.architecture, setup.budget)
    DecisionsFile(folder).append(*selected.decisions)
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


def select(architecture: Architecture, budget: Budget | None = None) -> MagnitudeSelection:
    """Select by magnitude, within a budget if there is one; every edge is recorded with its weights.

    Raises:
      UserError: what the search decided does not fit the budget.
    """
    space = architecture.space
    weights = architecture.current_weights()
    check_finite(space, weights)
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


def magnitude_within(
    budget: Budget, space: Space, weights: Mapping[str, np.ndarray], start: DecisionState | None = None
) -> Genotype:
    """Return the genotype that is read from mixing weights within a budget.

    Edges are decided in order of their largest weight, the most certain first, each for the operation of
    largest weight that is allowed; then nodes, in the same order, each dropping the allowed edge of smallest
    weight until it has as many as a genotype keeps. Without a choice that is refused this is
    `genotypes.derive.read_genotype`, with its ties: to the lower operation and the lower edge.

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
