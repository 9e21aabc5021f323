"""Curves of a search, of fine-tuning and of training, from the rows of metrics.jsonl."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_darts.plots.colours import GRID, INK, SOFT, of_methods
from tf_darts.plots.heat_map import PANEL, TEXT, new

_POINTS = 200  # of a curve of steps: more cannot be told apart at the width of a page
_SHORT = 22  # characters of a label, if two labels stand beside each other
_HALVES = {"train": "training half", "valid": "validation half"}


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
      label: what it is.
      x: float [points].
      y: float [points].
      dashed: how it is drawn.
      method: whose colour it has; empty: one by its place.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    dashed: bool = False
    method: str = ""


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart: its title, what the axes are, and its lines."""

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]


def of_search(
    steps: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]], alpha: bool = True
) -> list[Chart]:
    """Return the charts of a search, without those that would be empty.

    Args:
      steps: rows of its steps.
      epochs: rows of its finished epochs.
      alpha: whether alpha changes: otherwise there are no charts of it.
    """
    of_alpha = epochs if alpha else ()
    charts = [
        Chart(
            "Accuracy of the supernet",
            "epoch",
            "%",
            (
                *_of_steps(
                    steps, {"train_accuracy": "training half", "valid_accuracy": "validation half"}, 100
                ),
                *_of_epochs(
                    epochs,
                    {
                        "evaluation/valid_accuracy": "evaluated, validation",
                        "evaluation/test_accuracy": "evaluated, test",
                    },
                    100,
                ),
            ),
        ),
        Chart(
            "Loss of the supernet",
            "epoch",
            "cross-entropy",
            tuple(_of_steps(steps, {f"{half}_loss": label for half, label in _HALVES.items()})),
        ),
        Chart(
            "Skip connections by magnitude",
            "epoch",
            "% of edges",
            tuple(_of_epochs(of_alpha, {"skip_share": "share"}, 100)),
        ),
        Chart(
            "How undecided alpha is",
            "epoch",
            "entropy, nats",
            tuple(_of_epochs(of_alpha, _named(epochs, "alpha_entropy/"))),
        ),
        Chart(
            "Largest eigenvalue of alpha's Hessian",
            "epoch",
            "",
            tuple(_of_epochs(epochs, {"hessian/largest_eigenvalue": "eigenvalue"})),
        ),
    ]
    return [chart for chart in charts if chart.curves]


def of_trainings(trainings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Chart]:
    """Return the charts of accuracy and loss of networks trained from scratch, by name."""
    curves: dict[str, list[Curve]] = {"accuracy": [], "loss": []}
    for name, rows in trainings.items():
        steps = [row for row in rows if "finished_epoch" not in row]
        epochs = [row for row in rows if "finished_epoch" in row]
        for measure, factor in (("accuracy", 100), ("loss", 1)):
            for curve in _of_steps(steps, {f"train_{measure}": f"{name}, training"}, factor):
                curves[measure].append(dataclasses.replace(curve, dashed=True, method=name))
            for curve in _of_epochs(epochs, {f"test_{measure}": f"{name}, test"}, factor):
                curves[measure].append(dataclasses.replace(curve, method=name))
    charts = [
        Chart("Accuracy of the trained networks", "epoch", "%", tuple(curves["accuracy"])),
        Chart("Loss of the trained networks", "epoch", "cross-entropy", tuple(curves["loss"])),
    ]
    return [chart for chart in charts if chart.curves]


def draw(chart: Chart) -> Figure:
    """Draw a chart for a page that may be as narrow as a phone."""
    figure = new(PANEL, 2.9)
    axes = figure.subplots()
    colours = of_methods(curve.method or curve.label for curve in chart.curves)
    for curve in chart.curves:
        (line,) = axes.plot(
            curve.x,
            curve.y,
            color=colours[curve.method or curve.label],
            linewidth=1.0 if curve.dashed else 1.7,
            linestyle="--" if curve.dashed else "-",
            marker="o" if len(curve.x) < 12 and not curve.dashed else "",
            markersize=3.5,
            label=curve.label,
        )
        figure.hover(line, f"{curve.label}: {curve.y[-1]:.4g} at the end")
    axes.set_title(chart.title, fontsize=10, loc="left", color=INK)
    plain_axes(axes)
    axes.set_xlabel(chart.x, fontsize=TEXT)
    axes.set_ylabel(chart.y, fontsize=TEXT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    if len(chart.curves) > 1:
        columns = 1 if max(len(curve.label) for curve in chart.curves) > _SHORT else 2
        figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=TEXT)
    return figure


def plain_axes(axes: Axes) -> None:
    """Make axes light: a grid across, no frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT, colors=INK, length=3)


def _of_steps(
    steps: Sequence[Mapping[str, Any]], names: Mapping[str, str], factor: float = 1.0
) -> list[Curve]:
    """Return curves of steps by epochs done, averaged so that each has at most `_POINTS` points."""
    if not steps:
        return []
    per_epoch = max(np.bincount([row["epoch"] for row in steps]))
    curves = []
    for name, label in names.items():
        rows = [row for row in steps if row.get(name) is not None]  # not those that were skipped
        if rows:
            groups = np.array_split(np.arange(len(rows)), min(_POINTS, len(rows)))
            steps_done = np.array([rows[g[-1]]["step"] for g in groups], float)
            means = np.array([np.mean([rows[i][name] for i in g]) for g in groups])
            curves.append(Curve(label, steps_done / per_epoch, factor * means))
    return curves


def _of_epochs(
    epochs: Sequence[Mapping[str, Any]], names: Mapping[str, str], factor: float = 1.0
) -> list[Curve]:
    curves = []
    for name, label in names.items():
        points = [(row["finished_epoch"] + 1, factor * row[name]) for row in epochs if name in row]
        if points:
            x, y = np.array(points, float).T
            curves.append(Curve(label, x, y))
    return curves


def _named(epochs: Sequence[Mapping[str, Any]], start: str) -> dict[str, str]:
    names = dict.fromkeys(name for row in epochs for name in row if name.startswith(start))
    return {name: f"{name.removeprefix(start)} cell" for name in names}
