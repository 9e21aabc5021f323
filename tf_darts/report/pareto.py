"""Accuracy against what networks cost: the best genotypes of each selection, and what was trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_darts.config.depends import BUDGET_FIELDS
from tf_darts.plots import svg
from tf_darts.plots.colours import INK, SOFT, of_methods
from tf_darts.plots.heat_map import PANEL, TEXT, new
from tf_darts.report import outcome
from tf_darts.report.curves import plain_axes
from tf_darts.report.page import HtmlTable
from tf_darts.report.workdir_contents import WorkdirContents
from tf_darts.workdir import top_file
from tf_darts.workdir.top_file import RankedGenotype

SHOWN = 10  # genotypes in a table
# The unit of what a genotype gives up, by the criterion, and how it is written.
_UNITS = {"accuracy": (100, "accuracy given up, points"), "loss": (1, "loss added, nats")}


@dataclasses.dataclass(frozen=True)
class Axis:
    """A kind of cost.

    Attributes:
      name: of the axis.
      field: of `RankedGenotype`.
      scale: what a value is divided by.
      limit: field of the config's selection that limits it.
    """

    name: str
    field: str
    scale: float
    limit: str


AXES = (
    Axis("latency, predicted, ms", "latency_ms", 1.0, BUDGET_FIELDS[3]),
    Axis("TFLite file, estimated, kB", "tflite_bytes", 1000.0, BUDGET_FIELDS[2]),
    Axis("parameters, thousands", "parameters", 1000.0, BUDGET_FIELDS[0]),
)


def make(record: WorkdirContents) -> dict[str, Any]:
    """Return the section of the report, as its template takes it; empty: no selection left its best."""
    tops = {name: top_file.read(stage.folder) for name, stage in record.selections.items()}
    tops = {name: (criterion, found) for name, (criterion, found) in tops.items() if len(found) > 1}
    if not tops:
        return {}
    selections = []
    for name, (criterion, found) in tops.items():
        limits = record.selections[name].file("config.json").get("config", {}).get("selection", {})
        figures = [
            svg.inline(
                draw(name, criterion, found, axis, limits.get(axis.limit, 0)),
                f"pareto-{name}-{axis.field}",
                f"What the best genotypes of {name} give up, against {axis.name}",
            )
            for axis in AXES
            if all(getattr(row, axis.field) is not None for row in found)
        ]
        selections.append({"name": name, "table": _table(criterion, found), "figures": figures})
    trained = _trained(record, [row for _, found in tops.values() for row in found])
    figures = [
        svg.inline(
            draw_trained(rows, axis), f"pareto-trained-{axis.field}", f"Test accuracy against {axis.name}"
        )
        for axis in AXES
        if len(rows := {n: (r, c) for n, (r, c) in trained.items() if c.get(axis.field) is not None}) > 1
    ]
    return {"selections": selections, "trained": figures}


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (cost, what is given up) than which no other is as low in both, by their cost."""
    found: list[tuple[float, float]] = []
    for cost, lost in sorted(points):
        if not found or lost < found[-1][1]:
            found.append((cost, lost))
    return found


def draw(name: str, criterion: str, found: Sequence[RankedGenotype], axis: Axis, limit: float = 0) -> Figure:
    """Draw what genotypes give up against a cost: better ones are higher, the one selected is ringed.

    Args:
      name: of the selection.
      criterion: in whose unit genotypes give something up.
      found: the genotypes.
      axis: the cost.
      limit: of the cost, in the config's unit; 0: none.
    """
    scale, unit = _UNITS.get(criterion, (1, f"given up, {criterion}"))
    points = [(getattr(row, axis.field) / axis.scale, scale * row.lost) for row in found]
    figure = new(PANEL, 2.6)
    axes = figure.subplots()
    colour = of_methods([name])[name]
    line = front(points)
    axes.step(*zip(*line, strict=True), where="post", color=SOFT, linewidth=1.0)
    for row, (x, y) in zip(found, points, strict=True):
        (point,) = axes.plot(x, y, "o", color=colour, markersize=6)
        about = "selected" if row.rank == 1 else "; ".join(row.differs)
        figure.hover(point, f"rank {row.rank}: {x:.4g}, {y:.3g}; {about}")
        if row.rank == 1:
            axes.plot(x, y, "o", markersize=10.5, markerfacecolor="none", markeredgecolor=INK)
    if limit:
        units = {"max_parameters": 1000.0}
        axes.axvline(limit / units.get(axis.limit, 1.0), color=SOFT, linestyle="--", linewidth=1.0)
    axes.invert_yaxis()
    axes.set_title(name, fontsize=10, loc="left", color=INK)
    plain_axes(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(axis.name, fontsize=TEXT)
    axes.set_ylabel(unit, fontsize=TEXT)
    return figure


def draw_trained(rows: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]], axis: Axis) -> Figure:
    """Draw the test accuracy of trained networks against a cost, each with its interval.

    Args:
      rows: result and costs of each training, by name.
      axis: the cost.
    """
    figure = new(PANEL, 2.6 + 0.18 * len(rows))
    axes = figure.subplots()
    for (name, (result, costs)), colour in zip(rows.items(), of_methods(rows).values(), strict=True):
        x, y = costs[axis.field] / axis.scale, 100 * result["test_accuracy"]
        if "test_images" in result:
            low, high = (100 * share for share in outcome.wilson(result))
            axes.vlines(x, low, high, color=colour, linewidth=1.2, alpha=0.6)
        (point,) = axes.plot(x, y, "o", color=colour, markersize=6, label=name)
        figure.hover(point, f"{name}: {x:.4g}, {y:.2f} %")
    axes.set_title("What was trained", fontsize=10, loc="left", color=INK)
    plain_axes(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(axis.name, fontsize=TEXT)
    axes.set_ylabel("test accuracy, %", fontsize=TEXT)
    figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=TEXT)
    return figure


def _trained(
    record: WorkdirContents, ranked: Sequence[RankedGenotype]
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return result and costs of each finished training, as far as they are known."""
    by_text = {row.genotype: dataclasses.asdict(row) for row in reversed(ranked)}
    found = {}
    for name, stage in record.trainings.items():
        if "test_accuracy" not in stage.result:
            continue
        costs = {"parameters": stage.result.get("parameters")}
        genotype = record.genotype_of_training(name)
        same = by_text.get("" if genotype is None else genotype.to_text(record.space), {})
        # The selection may have been made for a network of another size.
        if same.get("parameters") == costs["parameters"]:
            costs |= {axis.field: same.get(axis.field) for axis in AXES}
        found[name] = (stage.result, costs)
    return found


def _table(criterion: str, found: Sequence[RankedGenotype]) -> HtmlTable:
    scale, unit = _UNITS.get(criterion, (1, f"given up, {criterion}"))
    rows = [
        (
            str(row.rank),
            f"{scale * row.lost:.3g}",
            "; ".join(row.differs) or "the one selected",
            "-" if row.parameters is None else f"{row.parameters:,}",
            "-" if row.tflite_bytes is None else f"{row.tflite_bytes / 1000:,.0f} kB",
            "-" if row.tflite_int8_bytes is None else f"{row.tflite_int8_bytes / 1000:,.0f} kB",
            "-" if row.latency_ms is None else f"{row.latency_ms:.3g} ms",
        )
        for row in found[:SHOWN]
    ]
    headings = ["", unit, "differs in", "parameters", "TFLite", "int8", "latency"]
    kept = [i for i in range(len(headings)) if i < 3 or any(row[i] != "-" for row in rows)]
    return HtmlTable(
        [headings[i] for i in kept],
        [[row[i] for i in kept] for row in rows],
        [place for place, i in enumerate(kept) if i != 2],
    )
