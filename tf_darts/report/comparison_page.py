"""The page that compares work directories: methods by seeds, means with intervals, paired differences."""

import os
import pathlib
import textwrap
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_darts.config.field import value_of
from tf_darts.errors import UserError
from tf_darts.nas_bench.nas_bench_201 import NasBench201, accuracy_column
from tf_darts.nas_bench.table_file import PREFIXES
from tf_darts.plots import svg
from tf_darts.plots.cell_diagram import draw_cell
from tf_darts.plots.colours import GRID, INK, of_methods
from tf_darts.plots.heat_map import PANEL, TEXT, new
from tf_darts.report import page
from tf_darts.report.curves import plain_axes
from tf_darts.report.page import HtmlTable
from tf_darts.report.workdir_contents import WorkdirContents
from tf_darts.report.workdir_page import SUPERNET_TEST, percent
from tf_darts.runtime import command
from tf_darts.runtime.progress import duration
from tf_darts.search.alpha_summary import skip_share_of
from tf_darts.study.collect import TEST, TRAINED, TRUE_TEST, true_column
from tf_darts.study.report import interval, number, of_accuracy
from tf_darts.study.summary import CONFIDENCE, MEASURES, Group, groups_of

_INTERVAL = f"{100 * CONFIDENCE:.0f} % interval"
_SAME = ("seed", "runtime.", "report.", "extensions.", "data.path")  # what makes no other method
_SHOWN = 12  # genotypes drawn
_LINE = 24  # characters of a line that names a search in a picture
_MORE_SEEDS = (
    "More seeds make the intervals narrower. One command runs searches, selections and seeds side by side:"
)


def make(records: Sequence[WorkdirContents], baseline: str | None, path: pathlib.Path) -> str:
    """Return the page, as HTML.

    Args:
      records: what the work directories hold.
      baseline: SEARCH/SELECTION that the others are compared with; None: the first.
      path: where the page will be, for links to the pages of the work directories.

    Raises:
      UserError: there is no such baseline, nothing was selected, or two work directories hold the same
        search, selection and seed.
    """
    labels = labels_of(records)
    rows = [row for record, label in zip(records, labels, strict=True) for row in rows_of(record, label)]
    if not rows:
        raise UserError(f"--compare: nothing is selected in them; run {command.of('select')} there first")
    seen: dict[tuple, str] = {}
    for row in rows:
        key = (row["search"], row["selection"], row["seed"])
        if key in seen:
            raise UserError(
                f"--compare: {seen[key]} and {row['workdir']} both hold {key[0]}/{key[1]}, seed {key[2]};"
                " allowed: one of each"
            )
        seen[key] = row["workdir"]
    names = list(dict.fromkeys(f"{row['search']}/{row['selection']}" for row in rows))
    if baseline is not None and baseline not in names:
        raise UserError(f"--baseline: {baseline!r}; allowed: {', '.join(names)}")
    compared = tuple((baseline or names[0]).rsplit("/", 1))
    groups = groups_of(rows, lambda search: compared)
    colours = of_methods(group.selection for group in groups)
    measures = [_measure(name, [g for g in groups if g.measure == name], colours) for name in MEASURES]
    measures = [measure for measure in measures if measure]
    for measure in measures:
        measure["baseline"] = "/".join(compared)
    content = {
        "measures": measures,
        "nothing": "" if measures else "Nothing says how good they are, because nothing was trained.",
        "differing": _differing(records, labels),
        "runs": _runs(records, labels, rows, path),
        "genotypes": _genotypes(records, rows, path),
        "further": [(_MORE_SEEDS, f"{command.of('study')} --config=CONFIG --output=OUTPUT")],
    }
    sections = [("results", "Results"), ("runs", "Work directories"), ("genotypes", "Genotypes")]
    sections.append(("further", "What now"))
    seeds = len({row["seed"] for row in rows})
    subtitle = f"{len(records)} work directories, {len(names)} methods, {seeds} seed{'s' * (seeds > 1)}"
    return page.render("comparison.html", "Comparison of searches", subtitle, sections, **content)


def labels_of(records: Sequence[WorkdirContents]) -> list[str]:
    """Return a name for each record's search: its method, and whatever else differs among the configs."""
    differing = [name for name in _differing_fields(records) if not name.startswith("training.")]
    names = ["search.method", *(name for name in differing if name != "search.method")]
    return [
        ", ".join(
            str(value_of(r.config, name))
            if name == "search.method"
            else f"{name.split('.')[-1]}={value_of(r.config, name)}"
            for name in names
        )
        for r in records
    ]


def _flat(record: WorkdirContents) -> dict[str, Any]:
    flat = {}
    for name, value in record.config.to_dict().items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{field}": item for field, item in value.items()}
        else:
            flat[name] = value
    return {name: value for name, value in flat.items() if not name.startswith(_SAME)}


def _differing_fields(records: Sequence[WorkdirContents]) -> list[str]:
    """Return the fields in which configs differ, without those that make no other method."""
    flat = [_flat(record) for record in records]
    names = dict.fromkeys(name for fields in flat for name in fields)
    ignored = ("selection.method", "selection.name")  # a selection is named by its folder
    return [
        name for name in names if name not in ignored and len({repr(fields.get(name)) for fields in flat}) > 1
    ]


def _differing(records: Sequence[WorkdirContents], labels: Sequence[str]) -> HtmlTable:
    names = _differing_fields(records)
    first = dict(reversed(list(zip(labels, records, strict=True))))
    rows = [
        (label, *(str(value_of(first[label].config, name)) for name in names))
        for label in dict.fromkeys(labels)
    ]
    return HtmlTable(("search", *names), rows if set(names) - {"search.method"} else ())


def rows_of(record: WorkdirContents, label: str) -> list[dict[str, Any]]:
    """Return a row per network of a work directory, as `study.summary` takes them; accuracies in percent.

    A network is that of a genotype, or a residual one that was trained beside it, whose genotype is None.
    """
    rows = []
    others = dict.fromkeys(name for name in record.trainings if record.rival(name).get("network"))
    for name, genotype in (record.genotypes | others).items():
        training = record.trainings.get(name)
        result = training.result if training else {}
        scores = record.true_scores(name)
        true = {
            true_column(prefix, TEST, "accuracy"): scores[data_set][TEST]["accuracy"] if scores else None
            for data_set, prefix in PREFIXES.items()
        }
        rows.append(
            {
                "search": label,
                "selection": name,
                "seed": record.config.seed,
                "workdir": str(record.workdir),
                TRAINED: 100 * result["test_accuracy"] if result else None,
                "parameters": result.get("parameters"),
                "genotype": genotype,
                **true,
            }
        )
    return rows


def _measure(name: str, groups: Sequence[Group], colours: Mapping[str, str]) -> dict[str, Any]:
    """Return a measure's table and picture; empty without results of it."""
    if not groups:
        return {}
    rows = []
    for g in groups:
        own, other = g.statistics, g.difference
        rows.append(
            (
                f"{g.search}/{g.selection}",
                str(own.number),
                f"{own.mean:.2f}",
                of_accuracy(own),
                number(own.std),
                f"{own.min:.2f}",
                "baseline" if other is None and not g.differences else number(other and other.mean, "+"),
                "" if other is None else interval(other, "+"),
                "" if other is None else str(other.number),
            )
        )
    if name in TRUE_TEST:
        column = accuracy_column(list(PREFIXES)[TRUE_TEST.index(name)], TEST)
        for reference in NasBench201.of_package().references(column):
            rows.append((reference.name, "-", f"{reference.accuracy:.2f}", *["-"] * 5, ""))
    headings = ("method", "seeds", "mean", _INTERVAL, "std", "least", "difference", _INTERVAL, "pairs")
    return {
        "title": MEASURES[name],
        "table": HtmlTable(headings, rows, range(1, len(headings))),
        "picture": svg.inline(
            _draw(groups, colours), f"measure-{name}", f"{MEASURES[name]}: every seed, mean, interval"
        ),
        "differences": None,
    } | _differences(name, groups, colours)


def _differences(name: str, groups: Sequence[Group], colours: Mapping[str, str]) -> dict[str, svg.Drawing]:
    paired = [g for g in groups if g.difference is not None]
    if not paired:
        return {}
    drawn = _draw(
        [_of_differences(g) for g in paired], colours, zero=True, label=f"minus {paired[0].baseline}, points"
    )
    return {"differences": svg.inline(drawn, f"difference-{name}", "Paired differences from the baseline")}


def _of_differences(group: Group) -> Group:
    """Return a group of the differences, to be drawn."""
    return Group(
        group.search, group.selection, group.measure, group.differences, group.difference, "", {}, None
    )


def _draw(
    groups: Sequence[Group], colours: Mapping[str, str], zero: bool = False, label: str = "%"
) -> Figure:
    """Draw a line of points for each group: seeds, mean and interval, in the colour of its selection."""
    names = [f"{textwrap.fill(g.search, _LINE)}\n{g.selection}" for g in groups]
    figure = new(PANEL, 0.75 + 0.19 * sum(name.count("\n") + 1.2 for name in names))
    axes = figure.subplots()
    for place, group in enumerate(groups):
        colour, own = colours[group.selection], group.statistics
        if own.low is not None and own.high is not None:
            low, high = (own.low, own.high) if zero else (max(own.low, 0.0), min(own.high, 100.0))
            axes.hlines(place, low, high, color=colour, linewidth=5, alpha=0.3)
        for seed, value in group.values.items():
            (point,) = axes.plot(value, place, "o", color=colour, markersize=5)
            figure.hover(point, f"{group.selection}, seed {seed}: {value:{'+' if zero else ''}.2f}")
        axes.vlines(own.mean, place - 0.27, place + 0.27, color=INK, linewidth=1.8)
    axes.set_yticks(range(len(groups)), names)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    if zero:
        axes.axvline(0.0, color=INK, linewidth=0.8)
    plain_axes(axes)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.tick_params(axis="y", length=0, labelsize=TEXT)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(label, fontsize=TEXT)
    return figure


def _runs(
    records: Sequence[WorkdirContents], labels: Sequence[str], rows: Sequence[dict], path: pathlib.Path
) -> list[dict[str, Any]]:
    """Return each work directory's line, with a link to its own page."""
    found = []
    for record, label in zip(records, labels, strict=True):
        accuracies = {row["selection"]: row[TRAINED] for row in rows if row["workdir"] == str(record.workdir)}
        trained = ", ".join(f"{n} {v:.2f} %" for n, v in accuracies.items() if v is not None)
        epochs = [row for row in record.search.epochs if SUPERNET_TEST in row]
        spent = [stage.seconds for stage in record.stages if stage.seconds is not None]
        found.append(
            {
                "name": record.workdir.name,
                "link": _link(record.workdir, path),
                "cells": [
                    label,
                    str(record.config.seed),
                    percent(epochs[-1][SUPERNET_TEST]) if epochs else "-",
                    trained or "-",
                    duration(sum(spent)) if spent else "-",
                ],
            }
        )
    return found


def _link(workdir: pathlib.Path, path: pathlib.Path) -> str:
    """Return where a work directory's page is from the comparison; the folder itself, if it has none."""
    own = workdir / "report" / "index.html"
    return urllib.parse.quote(os.path.relpath(own if own.exists() else workdir, path.absolute().parent))


def _genotypes(
    records: Sequence[WorkdirContents], rows: Sequence[dict], path: pathlib.Path
) -> dict[str, Any]:
    """Return what was selected, as texts and, for the first few, pictures."""
    spaces = {str(record.workdir): record.space for record in records}
    rows = [row for row in rows if row["genotype"] is not None]
    listed, drawn = [], []
    for row in rows:
        space, genotype = spaces[row["workdir"]], row["genotype"]
        title = f"{row['search']}/{row['selection']}, seed {row['seed']}"
        skips = percent(skip_share_of(genotype), 0)
        listed.append((title, skips, genotype.to_text(space)))
        if len(listed) <= _SHOWN:
            for t in space.cell_types:
                figure = draw_cell(space, t, genotype, f"{t} cell")
                drawn.append(
                    (svg.inline(figure, f"genotype-{len(listed)}-{t}", f"The {t} cell of {title}"), title)
                )
    return {
        "table": HtmlTable(
            ("method", "skip connections", "genotype"),
            listed,
            (1,),
            links=[_link(pathlib.Path(row["workdir"]), path) for row in rows],
        ),
        "pictures": drawn,
        "left_out": max(len(rows) - _SHOWN, 0),
    }
