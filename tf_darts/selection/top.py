"""The best genotypes of a selection: the one selected, and those that give up the least of its leads.

What a decision chose leads over what it did not by some accuracy (loss, mixing weight: the criterion's unit).
A genotype that takes another operation of an edge, or at a node another edge instead of one, gives up
that lead. Genotypes are ranked by the sum of what they give up, each lead as it was when it was decided.
Samples and proposals, which were scored whole, are ranked by their scores.
"""

import heapq
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tf_darts.errors import UserError
from tf_darts.genotypes.derive import candidates_of
from tf_darts.genotypes.genotype import Choice, Genotype, from_text
from tf_darts.models import budget as budget_lib
from tf_darts.models.evaluator import Score
from tf_darts.models.genotype_costs import GenotypeCosts
from tf_darts.registry import CRITERIA, MAGNITUDE
from tf_darts.search.setup import SearchSetup
from tf_darts.spaces import Space
from tf_darts.workdir import decisions as decisions_lib
from tf_darts.workdir import top_file
from tf_darts.workdir.decisions import (
    Decision,
    MagnitudeDecision,
    OperationDecision,
    Probe,
    ProposalRow,
    SampleDecision,
    ShapleyDecision,
    TopologyDecision,
)
from tf_darts.workdir.top_file import RankedGenotype

KEPT = 20  # genotypes in the file
TRIED = 2000  # of those that give up the least, to find as many within a budget

Option = tuple[float, Any]  # what it gives up, and what it is


def leave(setup: SearchSetup, folder: pathlib.Path, genotype: Genotype) -> None:
    """Write the best genotypes of a selection that has decided; none where its rows do not say them."""
    space, budget = setup.space, setup.budget
    rows = decisions_lib.read(folder)
    ranked = list(ranking(space, genotype, rows))
    if len(ranked) < 2:
        return
    costs = _costs(setup)
    found: dict[str, RankedGenotype] = {}
    for lost, other in ranked:
        text = other.to_text(space)
        if text in found or (found and budget is not None and not budget.allows(other)):
            continue
        differs = tuple(_differences(space, genotype, other))
        about = {} if costs is None else _about(costs, other)
        found[text] = RankedGenotype(rank=len(found) + 1, genotype=text, lost=lost, differs=differs, **about)
        if len(found) == KEPT:
            break
    top_file.write(folder, criterion_of(rows), list(found.values()))


def _costs(setup: SearchSetup) -> GenotypeCosts | None:
    """Return what networks cost; None where the config trains none on these images."""
    if setup.budget is not None:
        return setup.budget.costs
    try:
        return budget_lib.costs_of_config(setup.config, setup.space, setup.classes, setup.image_shape)
    except UserError:  # of a training that nobody has asked for yet
        return None


def _about(costs: GenotypeCosts, genotype: Genotype) -> dict[str, Any]:
    cost = costs.of(genotype)._asdict()
    nanoseconds, _ = cost.pop("nanoseconds"), cost.pop("skips")
    return {**cost, "latency_ms": nanoseconds / 1e6 if nanoseconds else None}


def criterion_of(decisions: Iterable[Decision]) -> str:
    """Return in whose unit leads are: the criterion of operations."""
    for decision in decisions:
        if isinstance(decision, MagnitudeDecision):
            return MAGNITUDE
        if isinstance(decision, SampleDecision):
            return "accuracy"
        if isinstance(decision, OperationDecision | ShapleyDecision):
            return decision.criterion
    return ""


def ranking(space: Space, genotype: Genotype, decisions: Sequence[Decision]) -> list[tuple[float, Genotype]]:
    """Return genotypes with what each gives up, the least first, the one selected before all.

    At most `TRIED`; a budget is not looked at. What it refused is no choice.

    Args:
      space: the search space.
      genotype: the one that was selected.
      decisions: of the selection, as it left them.
    """
    samples = [row for row in decisions if isinstance(row, SampleDecision)]
    if samples:
        best = max(row.correct for row in samples)
        scored = dict.fromkeys((best - row.correct, row.images, row.genotype) for row in samples)
        ordered = sorted(scored, key=_lost)  # of equal ones the first, which is selected
        return [(missed / images, from_text(text, space)) for missed, images, text in ordered[:TRIED]]
    # Of equal scores the first proposal, which is selected.
    proposals = sorted((r for r in decisions if isinstance(r, ProposalRow)), key=lambda row: -row.score)
    if len({row.genotype for row in proposals}) > 1:
        return [(proposals[0].score - row.score, from_text(row.genotype, space)) for row in proposals]
    operations, edges = _leads(space, decisions)
    if not operations and not edges:
        return [(0.0, genotype)]
    nodes: list[list[Option]] = []
    for cell_type in space.cell_types:
        for node in space.targets:
            chosen = [c for c in genotype.cells[cell_type] if c.target == node]
            nodes.append(_of_node(space, cell_type, chosen, operations, edges.get((cell_type, node), {})))
    found = []
    for lost, parts in _together(nodes):
        of_type: dict[str, list[Choice]] = {cell_type: [] for cell_type in space.cell_types}
        places = [cell_type for cell_type in space.cell_types for _ in space.targets]
        for cell_type, choices in zip(places, parts, strict=True):
            of_type[cell_type] += choices
        found.append((lost, Genotype(space.name, {t: tuple(choices) for t, choices in of_type.items()})))
    return found


def _of_node(
    space: Space,
    cell_type: str,
    chosen: Sequence[Choice],
    operations: Mapping[tuple[str, int], list[Option]],
    importance: Mapping[int, float],
) -> list[Option]:
    """Return what a node may have: its choices, or with one of its edges replaced, and other operations."""
    index = {(edge.target, edge.source): e for e, edge in enumerate(space.edges)}
    kept = [index[choice.target, choice.source] for choice in chosen]
    alone = {e: [(0.0, choice.operation)] for e, choice in zip(kept, chosen, strict=True)}

    def of_edge(edge: int) -> list[Option]:
        found = operations.get((cell_type, edge), [])
        # The operation that the genotype has comes first, and gives up nothing.
        own = alone.get(edge, found[:1])
        return own + [(lost, name) for lost, name in found if not own or name != own[0][1]]

    found = [(0.0, kept)]
    for place, edge in enumerate(kept):
        for other in importance:
            if other not in kept and edge in importance and of_edge(other):
                lost = max(importance[edge] - importance[other], 0.0)
                found.append((lost, [*kept[:place], other, *kept[place + 1 :]]))
    options = []
    for lost, edges in found:
        for more, names in _together([of_edge(e) for e in edges]):
            choices = [
                Choice(space.edges[e].target, space.edges[e].source, name)
                for e, name in zip(edges, names, strict=True)
            ]
            options.append((lost + more, choices))
    return heapq.nsmallest(TRIED, options, key=_lost)


def _together(lists: Sequence[Sequence[Option]]) -> list[Option]:
    """Return the combinations of one option of each list that give up the least in all, `TRIED` at most."""
    found: list[Option] = [(0.0, ())]
    for options in lists:
        pairs = (
            (lost + more, (*before, option))
            for i, (lost, before) in enumerate(found)
            for more, option in options[: TRIED // (i + 1)]
        )
        found = heapq.nsmallest(TRIED, pairs, key=_lost)  # of equal ones the earlier
    return found


def _lost(option: tuple[float, Any] | tuple[int, int, str]) -> float:
    return option[0]


def _leads(
    space: Space, decisions: Sequence[Decision]
) -> tuple[dict[tuple[str, int], list[Option]], dict[tuple[str, int], dict[int, float]]]:
    """Return what edges and nodes were judged by.

    Returns:
      By cell type and edge, the operations with what each gives up to the one that was chosen; by cell type
      and node, how important each input edge was.
    """
    operations: dict[tuple[str, int], list[Option]] = {}
    edges: dict[tuple[str, int], dict[int, float]] = {}
    criterion = criterion_of(decisions)
    for row in decisions:
        if isinstance(row, MagnitudeDecision | ShapleyDecision):
            importance = (
                row.importance
                if isinstance(row, ShapleyDecision)
                else {name: weight for name, weight in row.mixing_weights.items() if weight > 0}
            )
            chosen = row.chosen
            held = _holdable(space, row.cell_type, row.edge, importance)
            if held:
                best = max(held.values())
                node = space.edges[row.edge].target
                edges.setdefault((row.cell_type, node), {})[row.edge] = best
        elif isinstance(row, OperationDecision) and row.number is not None:
            importance = _of_operations(row)
            chosen = row.chosen
        elif isinstance(row, TopologyDecision) and row.criterion == criterion:
            edges[row.cell_type, row.node] = _of_edges(space, row)
            continue
        else:
            continue
        refused = getattr(row, "refused", ())
        held = _holdable(space, row.cell_type, row.edge, importance)
        held = {name: value for name, value in held.items() if name not in refused}
        own = held.get(chosen or "", max(held.values(), default=0.0))
        options = [(own - value, name) for name, value in held.items() if value <= own]
        operations[row.cell_type, row.edge] = sorted(options, key=lambda o: (o[0], o[1] != chosen))
    return operations, edges


def _holdable(space: Space, cell_type: str, edge: int, values: Mapping[str, float]) -> dict[str, float]:
    """Return the entries of operations that a genotype may hold on the edge."""
    names = space.candidates[cell_type][edge]
    return {names[o]: values[names[o]] for o in candidates_of(space, cell_type, edge) if names[o] in values}


def _of_operations(row: OperationDecision) -> dict[str, float]:
    """Return how important each operation of an edge was, by name."""
    if row.measured is not None:
        return dict(row.measured.importance)
    if not row.probes:
        return dict(row.mixing_weights)
    return {probe.operation or "": value for probe, value in _judged(row.probes, row.criterion)}


def _of_edges(space: Space, row: TopologyDecision) -> dict[int, float]:
    """Return how important each input edge of a node was, in the last round that it took part in."""
    named = row.mixing_weights if row.measured is None else row.measured.importance
    if named is not None:
        numbers = {str(space.edges[e]): e for e in space.incoming(row.node)}
        return {numbers[name]: value for name, value in named.items()}
    found: dict[int, float] = {}
    for made in row.rounds:
        judged = _judged(made.probes, row.criterion)
        found |= {probe.edge: value for probe, value in judged if probe.edge is not None}
    return found


def _judged(probes: Sequence[Probe], criterion: str) -> list[tuple[Probe, float]]:
    """Return the probes that saw all images (a race breaks others off), with what they say."""
    longest = max(probe.images for probe in probes)
    judge: Callable[[Score], float] = CRITERIA.load(criterion)
    scale = 1 / longest if criterion == "accuracy" else 1.0  # which counts images
    values = [
        (probe, scale * judge(Score(probe.correct, probe.images, probe.loss)))
        for probe in probes
        if probe.images == longest
    ]
    return [(probe, value) for probe, value in values if math.isfinite(value)]


def _differences(space: Space, genotype: Genotype, other: Genotype) -> Iterable[str]:
    """Say what a genotype has otherwise."""
    edges = {(edge.target, edge.source): str(edge) for edge in space.edges}
    for cell_type in space.cell_types:
        for node in space.targets:
            before, after = (
                {c.source: c.operation for c in g.cells[cell_type] if c.target == node}
                for g in (genotype, other)
            )
            for source in before:
                if source in after and before[source] != after[source]:
                    name = edges[node, source]
                    yield f"{cell_type} {name}: {after[source]} for {before[source]}"
            gone, new = ([s for s in a if s not in b] for a, b in ((before, after), (after, before)))
            for old, source in zip(gone, new, strict=False):
                yield (
                    f"{cell_type} {edges[node, source]} {after[source]} for {edges[node, old]} {before[old]}"
                )
