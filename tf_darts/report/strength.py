"""Alpha against what an operation is worth, edge by edge, from a selection's own decisions."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tf_darts.analysis import measures
from tf_darts.genotypes.derive import candidates_of
from tf_darts.plots.colours import INK, shades
from tf_darts.plots.decisions import ShownDecision
from tf_darts.plots.heat_map import new
from tf_darts.report.curves import plain_axes
from tf_darts.spaces import Space

MEASURE, AGAINST = "mixing_weight", "perturbation"
_COLUMNS = 3


def rows_of(space: Space, decisions: Sequence[ShownDecision]) -> list[dict]:
    """Return a row for every operation that was probed, as `analysis.measures` takes them.

    `perturbation` is the accuracy (0 to 1) lost without the operation, at the time of its edge's decision.
    """
    edges = {str(edge): number for number, edge in enumerate(space.edges)}
    rows = []
    for decision in decisions:
        if decision.kind != "operation":
            continue
        name = decision.place.removeprefix("edge ")
        allowed = {
            space.candidates[decision.cell_type][edges[name]][o]
            for o in candidates_of(space, decision.cell_type, edges[name])
        }
        for effect in decision.effects:
            if effect.drop is not None and effect.weight is not None:
                rows.append(
                    {
                        "cell_type": decision.cell_type,
                        "edge": edges[name],
                        "edge_name": name,
                        "operation": effect.name,
                        "allowed": effect.name in allowed,
                        MEASURE: effect.weight,
                        AGAINST: effect.drop,
                        "low": effect.low,
                        "high": effect.high,
                        "chosen": effect.chosen,
                    }
                )
    return rows


@dataclasses.dataclass(frozen=True)
class StrengthAgreement:
    """How well mixing weights order operations as what they are worth does, within edges.

    Attributes:
      spearman: by cell type and edge, the rank correlation with its interval (Fisher), where it is defined.
      mean: over the edges; None where none is defined.
      edges: number of edges with several operations that a genotype may hold.
      same_best: edges where both put the same operation first.
      by_chance: how many that would be by chance.
    """

    spearman: Mapping[tuple[str, int], measures.Interval]
    mean: float | None
    edges: int
    same_best: int
    by_chance: float


def compare(rows: Sequence[dict]) -> StrengthAgreement:
    """Compute the agreement over these rows, without operations that no genotype may hold."""
    edges = measures.by_edge([row for row in rows if row["allowed"]])
    edges = {place: found for place, found in edges.items() if len(found) > 1}
    spearman, same = {}, 0
    for place, found in edges.items():
        x, y = (np.array([row[name] for row in found]) for name in (MEASURE, AGAINST))
        value, _ = measures.correlation("spearman", x, y)
        if value is not None:
            spearman[place] = measures.fisher("spearman", value, len(found))
        same += measures.best(found, MEASURE) is measures.best(found, AGAINST)
    values = [interval.value for interval in spearman.values()]
    chance = sum(1.0 / len(found) for found in edges.values())
    return StrengthAgreement(spearman, float(np.mean(values)) if values else None, len(edges), same, chance)


def draw(space: Space, rows: Sequence[dict], agreement: StrengthAgreement) -> Figure:
    """Draw a small scatter for every edge: mixing weight across, accuracy lost upwards, the choice ringed."""
    edges, colours = measures.by_edge(rows), shades(space.operations)
    columns = min(_COLUMNS, len(edges))
    lines = -(-len(edges) // columns)
    shown = [name for name in space.operations if any(row["operation"] == name for row in rows)]
    names = -(-len(shown) // _COLUMNS)
    figure = new(2.5 * columns, 2.15 * lines + 0.3 + 0.2 * names)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid[len(edges) :]:
        axes.set_axis_off()
    for axes, (place, of_edge) in zip(grid, edges.items(), strict=False):
        for row in of_edge:
            x, y = row[MEASURE], 100 * row[AGAINST]
            colour = colours[row["operation"]]
            axes.vlines(x, 100 * row["low"], 100 * row["high"], color=colour, linewidth=1.0, alpha=0.55)
            axes.plot(x, y, "o", color=colour, markersize=5)
            if row["chosen"]:
                axes.plot(x, y, "o", markersize=9.5, markerfacecolor="none", markeredgecolor=INK)
        weights = np.array([row[MEASURE] for row in of_edge])
        room = 0.15 * (np.ptp(weights) or 0.1)
        axes.set_xlim(weights.min() - room, weights.max() + room)
        rank = agreement.spearman.get(place)
        text = "" if rank is None else f"  (rank corr. {rank.value:+.2f})"
        axes.set_title(f"{place[0]} {of_edge[0]['edge_name']}{text}", fontsize=8.5, loc="left", color=INK)
        plain_axes(axes)
        axes.tick_params(labelsize=7)
    figure.supxlabel("mixing weight (softmax of alpha)", fontsize=8.5)
    figure.supylabel("accuracy lost without it, %", fontsize=8.5)
    points = [Line2D([], [], color=colours[n], marker="o", linestyle="", label=n) for n in shown]
    figure.legend(handles=points, loc="outside upper center", ncols=_COLUMNS, frameon=False, fontsize=8)
    return figure
