"""Alpha against what an operation is worth, edge by edge, from a selection's own decisions.

What it is worth is what decided: the accuracy that is lost without it, or the loss that is gained.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from tf_darts.analysis import measures
from tf_darts.genotypes.derive import candidates_of
from tf_darts.plots.colours import INK, shades
from tf_darts.plots.decisions import WORTH, ShownDecision
from tf_darts.plots.heat_map import new
from tf_darts.plots.plain_figure import PlainFigure
from tf_darts.report.curves import plain_axes
from tf_darts.spaces import Space

MEASURE, AGAINST = "mixing_weight", "perturbation"
_INCHES = (2.5, 2.1)  # of an edge's panel


def rows_of(space: Space, decisions: Sequence[ShownDecision]) -> list[dict]:
    """Return a row for every operation that was probed, as `analysis.measures` takes them.

    `perturbation` is what the operation is worth when its edge is decided: accuracy (0 to 1) that is lost
    without it, loss (nats) that is gained where the loss decides, or what another criterion says.
    """
    edges = {str(edge): number for number, edge in enumerate(space.edges)}
    rows = []
    for decision in decisions:
        if decision.kind not in ("operation", "shapley"):
            continue
        name = decision.place.removeprefix("edge ")
        allowed = {
            space.candidates[decision.cell_type][edges[name]][o]
            for o in candidates_of(space, decision.cell_type, edges[name])
        }
        for effect in decision.effects:
            worth = decision.worth(effect)
            if worth is not None and effect.weight is not None:
                rows.append(
                    {
                        "cell_type": decision.cell_type,
                        "edge": edges[name],
                        "edge_name": name,
                        "operation": effect.name,
                        "allowed": effect.name in allowed,
                        MEASURE: effect.weight,
                        AGAINST: worth,
                        "low": None if decision.by_loss else effect.low,
                        "high": None if decision.by_loss else effect.high,
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


def draw(
    space: Space, rows: Sequence[dict], agreement: StrengthAgreement, about: str = WORTH[False]
) -> list[PlainFigure]:
    """Draw a panel for every edge: mixing weight across, worth upwards, the choice ringed.

    Args:
      space: the search space.
      rows: of `rows_of`.
      agreement: of `compare`.
      about: what worth is; accuracy is drawn in percentage points.
    """
    colours, scale = shades(space.operations), 100 if about == WORTH[False] else 1
    figures = []
    for place, of_edge in measures.by_edge(rows).items():
        figure = new(*_INCHES)
        axes = figure.subplots()
        for row in of_edge:
            x, y = row[MEASURE], scale * row[AGAINST]
            colour = colours[row["operation"]]
            if row["low"] is not None:
                low, high = scale * row["low"], scale * row["high"]
                axes.vlines(x, low, high, color=colour, linewidth=1.0, alpha=0.55)
            (point,) = axes.plot(x, y, "o", color=colour, markersize=6)
            figure.hover(point, f"{row['operation']}: mixing weight {x:.3f}, {about} {y:.3g}")
            if row["chosen"]:
                axes.plot(x, y, "o", markersize=10.5, markerfacecolor="none", markeredgecolor=INK)
        weights = np.array([row[MEASURE] for row in of_edge])
        room = 0.15 * (np.ptp(weights) or 0.1)
        axes.set_xlim(weights.min() - room, weights.max() + room)
        rank = agreement.spearman.get(place)
        text = "" if rank is None else f"  ({rank.value:+.2f})"
        axes.set_title(f"{place[0]} {of_edge[0]['edge_name']}{text}", fontsize=9, loc="left", color=INK)
        plain_axes(axes)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        figures.append(figure)
    return figures
