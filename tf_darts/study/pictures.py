"""Pictures of a study: selections beside each other, and what magnitude would select over the epochs.

Accuracies stand on a logarithmic scale of the error, so that what lies near the best can be told apart and a
collapse is still in the picture.
"""

import dataclasses
import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tf_darts.analysis.measures import LABELS
from tf_darts.nas_bench import table_file
from tf_darts.nas_bench.nas_bench_201 import REFERENCES
from tf_darts.plots.colours import of_methods
from tf_darts.plots.plain_figure import PlainFigure, figure_to_png_bytes
from tf_darts.study.collect import SUPERNET, TRUE_TEST, Row
from tf_darts.study.correlations import Agreement
from tf_darts.study.settings import Study
from tf_darts.study.summary import CONFIDENCE, MEASURES, ReferenceAccuracy, Statistics, Summary

_MARKERS = "osD^vP*X<>h"
_INK, _FAINT = "#222222", "#888888"
_LEAST_ERROR = 0.1  # percentage points; the scale ends there
_SCALE = "accuracies: logarithmic in the error"
_TITLE = {"fontsize": 10, "loc": "left", "color": _INK}
_MEAN = Line2D([], [], color=_INK, marker="_", markersize=9, label=f"mean, {100 * CONFIDENCE:.0f} % interval")
_REFERENCES = tuple(
    Line2D([], [], color=_FAINT, linestyle=style, label=label)
    for style, label in (
        ("--", REFERENCES["best"]),
        ("-.", REFERENCES["resnet"]),
        (":", REFERENCES["random"]),
    )
)
_STEPS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1)  # between ticks, percentage points


def _name_groups(axes: Axes, names: Sequence[str], width: float, count: int) -> None:
    """Write the names of groups below them; break a long name after an underscore.

    Args:
      axes: where they are.
      names: one for each group.
      width: from one group to the next.
      count: places in a group.
    """
    wrapped = [textwrap.fill(name.replace("_", "_ "), 12).replace("_ ", "_") for name in names]
    axes.set_xticks([i * width + (count - 1) / 2 for i in range(len(names))], wrapped)
    axes.set_xlim(-1.0, len(names) * width - width + count)
    axes.tick_params(axis="x", length=0)


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each name."""
    colours = of_methods(names)
    return {name: (colours[name], _MARKERS[i % len(_MARKERS)]) for i, name in enumerate(names)}


def _scale_by_error(axes: Axes, values: Sequence[float]) -> None:
    """Set a logarithmic scale of the error, over these accuracies and a little more."""

    def forward(accuracy):
        return -np.log(np.maximum(100.0 - np.asarray(accuracy, float), _LEAST_ERROR))

    def backward(place):
        return 100.0 - np.exp(-np.asarray(place, float))

    low, high = forward(min(values)), forward(max(values))
    margin = max(0.06 * (high - low), 0.02)
    low, high = low - margin, high + margin
    axes.set_yscale("function", functions=(forward, backward))
    axes.set_ylim(float(backward(low)), float(backward(high)))
    kept: list[float] = []
    for step in _STEPS:  # round numbers first, then others where there is room
        first, last = np.ceil(backward(low) / step), np.floor(backward(high) / step)
        for tick in step * np.arange(first, last + 1):
            if 0 <= tick < 100 and all(abs(forward(tick) - forward(k)) > 0.13 * (high - low) for k in kept):
                kept.append(float(tick))
        if len(kept) >= (6 if step == _STEPS[0] else 4):
            break
    axes.set_yticks(kept, [f"{tick:.10g}" for tick in np.round(kept, 6) + 0.0])
    axes.set_yticks([], minor=True)


def comparison(study: Study, summary: Summary) -> bytes | None:
    """Draw for each search its selections, every seed a point, with means and intervals.

    Returns a PNG, or None where nothing tells how good the selections are.
    """
    measures = summary.measures()
    if not measures:
        return None
    present = {group.selection for group in summary.groups}
    styles = _styles(study.selections)
    shown = [selection for selection in study.selections if selection in present]
    searches = [s for s in study.searches if any(group.search == s for group in summary.groups)]
    width = len(shown) + 1.5  # of a search's group
    inches = min(max(8.0, 0.28 * width * len(searches) + 3.2), 24.0)
    figure = PlainFigure(figsize=(inches, 3.1 * len(measures) + 0.4), layout="constrained")
    for axes, measure in zip(figure.subplots(len(measures), 1, squeeze=False)[:, 0], measures, strict=True):
        groups = [group for group in summary.groups if group.measure == measure]
        values = [value for group in groups for value in group.values.values()]
        bounds = _bounds(values)
        for group in groups:
            place = searches.index(group.search) * width + shown.index(group.selection)
            _points(axes, place, group.values, group.statistics, *styles[group.selection], bounds)
            values += _interval(group.statistics, bounds)
        reference = summary.references.get(measure)
        if reference is not None:
            _reference_lines(axes, reference)
            values += dataclasses.astuple(reference)
        _scale_by_error(axes, values)
        axes.set_title(MEASURES[measure], **_TITLE)
        _name_groups(axes, searches, width, len(shown))
        for i in range(1, len(searches)):
            axes.axvline(i * width - 1.25, color="#DDDDDD", linewidth=0.8)
        _plain(axes)
    handles = [
        Line2D([], [], color=styles[name][0], marker=styles[name][1], linestyle="", label=name)
        for name in shown
    ]
    handles.append(_MEAN)
    if summary.references:
        handles += _REFERENCES
    figure.legend(
        handles=handles,
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        title=_SCALE,
        title_fontsize=8,
        alignment="left",
    )
    return figure_to_png_bytes(figure)


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Return between which accuracies intervals are drawn: those of few seeds may go far beyond."""
    low, high = (100.0 - value for value in (min(values), max(values)))  # errors
    beyond = max(low / max(high, _LEAST_ERROR), 2.0) ** 0.5
    least = max(100.0 - beyond * low, 0.0)
    most = min(100.0 - high / beyond, 100.0 - _LEAST_ERROR)
    return min(least, min(values)), max(most, max(values))


def _points(
    axes: Axes,
    place: float,
    values: dict[int, float],
    statistics: Statistics,
    colour: str,
    marker: str,
    bounds: tuple[float, float],
) -> None:
    """Draw seeds, mean and interval; an arrow is where the interval goes on beyond the bounds."""
    spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [0.0]
    axes.plot(
        place + np.array(spread),
        list(values.values()),
        linestyle="",
        marker=marker,
        markersize=4.5,
        color=colour,
        alpha=0.75,
        markeredgewidth=0.0,
        zorder=3,
    )
    axes.hlines(statistics.mean, place - 0.36, place + 0.36, color=_INK, linewidth=1.6, zorder=4)
    ends = _interval(statistics, bounds)
    if ends:
        axes.vlines(place, *ends, color=colour, alpha=0.55, linewidth=2.5, zorder=2)
    for end, own, arrow in zip(ends, (statistics.low, statistics.high), "v^", strict=False):
        if end != own:  # it goes on
            axes.plot(
                place, end, arrow, color=colour, alpha=0.55, markersize=6, markeredgewidth=0.0, zorder=2
            )


def _interval(statistics: Statistics, bounds: tuple[float, float]) -> list[float]:
    """Return both ends of an interval, within the bounds; empty without one."""
    low, high = statistics.low, statistics.high
    return [] if low is None or high is None else [max(low, bounds[0]), min(high, bounds[1])]


def _reference_lines(axes: Axes, reference: ReferenceAccuracy) -> None:
    axes.axhline(reference.best, color=_FAINT, linestyle="--", linewidth=0.9, zorder=1)
    axes.axhline(reference.resnet, color=_FAINT, linestyle="-.", linewidth=0.9, zorder=1)
    axes.axhline(reference.random, color=_FAINT, linestyle=":", linewidth=1.2, zorder=1)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#EEEEEE", linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)


def correlations(study: Study, agreements: Sequence[Agreement]) -> bytes | None:
    """Draw how well measures of operations order them, every seed a point, with means and intervals.

    A panel for each measure that others are judged by. Returns a PNG, or None if no analysis compares any.
    """
    shown = [agreement for agreement in agreements if "spearman" in agreement.statistics]
    if not shown:
        return None
    judges = list(dict.fromkeys((agreement.analysis, agreement.against) for agreement in shown))
    measured = list(dict.fromkeys(agreement.measure for agreement in shown))
    searches = [name for name in study.searches if any(a.search == name for a in shown)]
    styles, width = _styles(measured), len(measured) + 1.5
    inches = min(max(7.0, 0.4 * width * len(searches) + 3.5), 24.0)
    figure = PlainFigure(figsize=(inches, 2.6 * len(judges) + 0.6), layout="constrained")
    for axes, (analysis, against) in zip(
        figure.subplots(len(judges), 1, squeeze=False)[:, 0], judges, strict=True
    ):
        for found in shown:
            if (found.analysis, found.against) == (analysis, against):
                place = searches.index(found.search) * width + measured.index(found.measure)
                statistics = found.statistics["spearman"]
                _points(
                    axes, place, found.values["spearman"], statistics, *styles[found.measure], (-1.0, 1.0)
                )
        axes.axhline(0.0, color=_FAINT, linewidth=0.9, zorder=1)
        axes.set_ylim(-1.05, 1.05)
        axes.set_title(f"{analysis}: order agrees with {LABELS.get(against, against)}", **_TITLE)
        axes.set_ylabel("Spearman, mean over edges", fontsize=9)
        _name_groups(axes, searches, width, len(measured))
        _plain(axes)
    handles = [
        Line2D([], [], color=styles[m][0], marker=styles[m][1], linestyle="", label=LABELS.get(m, m))
        for m in measured
    ]
    figure.legend(handles=[*handles, _MEAN], loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure_to_png_bytes(figure)


def over_epochs(study: Study, rows: Sequence[Row], summary: Summary) -> bytes | None:
    """Draw over the epochs what magnitude would select: true accuracy and skip connections; and the supernet.

    Each search is a line, the mean over its seeds, with a band from the smallest to the largest. Returns a
    PNG, or None where no search is finished.

    Args:
      study: the study.
      rows: those of `epochs.epochs`.
      summary: of the same study; for the references.
    """
    panels = [
        (column, f"Magnitude: true test accuracy on {data_set}, %")
        for column, data_set in zip(TRUE_TEST, table_file.PREFIXES, strict=True)
    ]
    panels += [
        ("skip_share", "Magnitude: share of skip connections"),
        (SUPERNET, "Supernet: test accuracy, %"),
    ]
    panels = [(column, title) for column, title in panels if any(row[column] is not None for row in rows)]
    if not panels:
        return None
    styles, lines = _styles(study.searches), -(-len(panels) // 2)
    figure = PlainFigure(figsize=(11.0, 3.0 * lines + 0.6), layout="constrained")
    grid = figure.subplots(lines, 2, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.remove()
    for axes, (column, title) in zip(grid, panels, strict=False):
        values = []
        for search in study.searches:
            values += _curve(
                axes, [row for row in rows if row["search"] == search], column, styles[search][0]
            )
        reference = summary.references.get(column)
        if reference is not None:
            _reference_lines(axes, reference)
            values += dataclasses.astuple(reference)
        if column == "skip_share":
            axes.set_ylim(-0.03, 1.03)
        else:
            _scale_by_error(axes, values)
        axes.set_title(title, **_TITLE)
        axes.set_xlabel("epochs of the search", fontsize=9)
        axes.set_xlim(0, max(row["epoch"] for row in rows) + 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _plain(axes)
    drawn = [search for search in study.searches if any(row["search"] == search for row in rows)]
    handles = [Line2D([], [], color=styles[search][0], label=search) for search in drawn]
    if summary.references:
        handles += _REFERENCES
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), 6),
        frameon=False,
        fontsize=9,
        title=f"mean over seeds; bands from the smallest to the largest; {_SCALE}",
        title_fontsize=8,
    )
    return figure_to_png_bytes(figure)


def _curve(axes: Axes, rows: Sequence[Row], column: str, colour: str) -> list[float]:
    """Draw a search's line and band; return all its values."""
    by_epoch: dict[int, list[float]] = {}
    for row in rows:
        if row[column] is not None:
            by_epoch.setdefault(row["epoch"], []).append(row[column])
    if not by_epoch:
        return []
    epochs = sorted(by_epoch)

    def over(function: Callable[[list[float]], float]) -> list[float]:
        return [float(function(by_epoch[epoch])) for epoch in epochs]

    marker = "o" if len(epochs) < 12 else ""
    axes.plot(epochs, over(np.mean), color=colour, linewidth=1.6, marker=marker, markersize=3.5, zorder=3)
    axes.fill_between(epochs, over(min), over(max), color=colour, alpha=0.15, linewidth=0, zorder=2)
    return [value for epoch in epochs for value in by_epoch[epoch]]
