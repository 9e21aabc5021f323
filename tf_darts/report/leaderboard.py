"""The leaderboard of a study: searches down, selections across, as a page and as a table.

OUTPUT/leaderboard.html    a matrix for each measure, coloured and sortable; what published figures say
OUTPUT/leaderboard.csv     a row for every search, selection and measure
"""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_darts import paper
from tf_darts.analysis.measures import LABELS
from tf_darts.paper import nas_bench_201_figures
from tf_darts.registry import NEEDS_NO_SUPERNET
from tf_darts.report import page
from tf_darts.report.page import HtmlTable
from tf_darts.runtime.progress import duration
from tf_darts.study.collect import BEST_TRAINED, MEAN_TRAINED, PREDICTED, TRAINED, TRUE_TEST, Row, Tables
from tf_darts.study.correlations import Agreement, agreements, correlations
from tf_darts.study.output import Output
from tf_darts.study.report import interval, number, of_accuracy, over_searches
from tf_darts.study.settings import Study
from tf_darts.study.summary import CONFIDENCE, MEASURES, Group, Summary, summarise
from tf_darts.workdir.records import read_json, write_csv

NAMES = ("leaderboard.html", "leaderboard.csv")
_INTERVAL = f"{100 * CONFIDENCE:.0f} % interval"
_LEAST_ERROR = 0.1  # percentage points: the scale of colours is logarithmic in the error
_NO_DIFFERENCE = ("data.path", "data.source", "data.name", "search.method", "search.evaluate_every")
_SHORT = {
    PREDICTED: "predicted",
    TRAINED: "trained here",
    MEAN_TRAINED: "mean of trainings",
    BEST_TRAINED: "best of trainings",
}
_COLUMNS = ("measure", "search", "selection", "seeds", "mean", "std", "low", "high", "worst", "best")
_PREDICTION = ("deviation",)
_COST = ("search_seconds", "selection_seconds", "cost_seconds")  # and of all cores: *_cpu_seconds
_CPU_COST = tuple(name.replace("seconds", "cpu_seconds") for name in _COST)
_PUBLISHED = ("published", "published_by", "published_differs")


@dataclasses.dataclass(frozen=True)
class SpentSeconds:
    """What a search with a selection takes, mean seconds over the seeds; None: not known.

    Attributes:
      search: of the search; 0 for a selection that needs none.
      selection: of the selection.
      search_cpu: the seconds of all cores.
      selection_cpu: likewise.
    """

    search: float | None
    selection: float | None
    search_cpu: float | None
    selection_cpu: float | None

    @property
    def both(self) -> float | None:
        """Both together."""
        return _sum(self.search, self.selection)

    @property
    def both_cpu(self) -> float | None:
        """Both together, of all cores."""
        return _sum(self.search_cpu, self.selection_cpu)


Spent = Mapping[tuple[str, str], SpentSeconds]  # by search and selection


@dataclasses.dataclass(frozen=True)
class MeanCell:
    """A cell of a matrix.

    Attributes:
      value: the mean.
      more: what stands below it, in lines.
      about: what is shown when it is pointed at.
      level: 0 to 1, where the mean is between the worst and the best of the matrix.
    """

    value: str
    more: Sequence[str]
    about: str
    level: float


@dataclasses.dataclass(frozen=True)
class MeasureMatrix:
    """A measure: searches down, selections across.

    Attributes:
      title: of the measure.
      selections: headings.
      rows: name of the search, and a cell for each selection; None: there is none.
    """

    title: str
    selections: Sequence[str]
    rows: Sequence[tuple[str, Sequence[MeanCell | None]]]


def leave(study: Study, output: Output, tables: Tables) -> None:
    """Write page and table from the results that were collected; without any, remove them.

    Args:
      study: the study.
      output: its folder, which holds results.json.
      tables: NAS-Bench-201's tables.
    """
    rows = read_json(output / "results.json")["rows"]
    summary = summarise(study, rows, tables.all())
    if not summary.groups:
        for name in NAMES:
            (output / name).unlink(missing_ok=True)
        return
    costs = costs_of(study, rows)
    compared = agreements(correlations(study, output))
    page.write(output / NAMES[0], make(study, summary, costs, compared))
    write_table(output / NAMES[1], summary, costs)


def write_table(path: pathlib.Path, summary: Summary, costs: Spent) -> None:
    """Write the leaderboard as CSV, a row for every measure, search and selection."""
    columns = (*_COLUMNS, *_COST, *_CPU_COST, *_PUBLISHED, *_PREDICTION)
    write_csv(path, list(columns), [_csv_row(group, costs) for group in summary.groups])


def costs_of(study: Study, rows: Iterable[Row]) -> Spent:
    """Return the mean cost by search and selection."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["search"], row["selection"]), []).append(row)
    methods = {name: config.selection.method for job in study.jobs for name, config in job.selections.items()}
    costs = {}
    for (search, selection), group in found.items():
        without = methods[selection] in NEEDS_NO_SUPERNET
        costs[search, selection] = SpentSeconds(
            search=0.0 if without else _mean(group, "search_seconds"),
            selection=_mean(group, "selection_seconds"),
            search_cpu=0.0 if without else _mean(group, "search_cpu_seconds"),
            selection_cpu=_mean(group, "selection_cpu_seconds"),
        )
    return costs


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _mean(rows: Sequence[Row], column: str) -> float | None:
    values = [row.get(column) for row in rows]
    return None if None in values else float(np.mean(values))


def make(
    study: Study,
    summary: Summary,
    costs: Spent,
    compared: Sequence[Agreement],
) -> str:
    """Return the page, as HTML.

    Args:
      study: the study.
      summary: its summary.
      costs: by search and selection.
      compared: what its analyses say of measures of operations.
    """
    content = {
        "matrices": [matrix(study, summary, measure, costs) for measure in summary.measures()],
        "differences": _differences(summary),
        "baseline": study.baseline,
        "all": _all(summary, costs),
        "correlations": _correlations(compared),
        "published": _published(summary),
        "differs": _differs(study) if any(m in TRUE_TEST for m in summary.measures()) else [],
        "skipped": study.skipped,
    }
    sections = [("leaderboard", "Leaderboard"), ("all", "Every combination")]
    if content["differences"].rows:
        sections.insert(1, ("differences", f"Differences from {study.baseline}"))
    if content["correlations"].rows:
        sections.append(("correlations", "Rank correlations"))
    if content["published"].rows:
        sections.append(("published", "Published figures"))
    seeds = len(study.config["seeds"])
    subtitle = (
        f"{len(study.searches)} searches, {len(study.selections)} selections,"
        f" {seeds} seed{'s' * (seeds > 1)}; {summary.finished} of {summary.planned} selections are finished"
    )
    return page.render("leaderboard.html", "Leaderboard", subtitle, sections, **content)


def matrix(study: Study, summary: Summary, measure: str, costs: Spent) -> MeasureMatrix:
    """Return the matrix of a measure; arguments as of `make`."""
    groups = {(g.search, g.selection): g for g in summary.groups if g.measure == measure}
    searches = [name for name in study.searches if any(search == name for search, _ in groups)]
    selections = [name for name in study.selections if any(selection == name for _, selection in groups)]
    scale = [_scaled(group.statistics.mean) for group in groups.values()]

    def cell(group: Group) -> MeanCell:
        own, cost = group.statistics, costs[group.search, group.selection].both
        level = (_scaled(own.mean) - min(scale)) / max(max(scale) - min(scale), 1e-9)
        more = [] if own.std is None else [f"± {own.std:.2f}"]
        more += [] if group.deviation is None else [f"members ± {group.deviation:.2f}"]
        more += [f"worst {own.min:.2f}", *([] if cost is None else [duration(cost)])]
        seeds = ", ".join(f"seed {seed}: {value:.2f}" for seed, value in group.values.items())
        about = f"{group.search}, {group.selection}; {_INTERVAL} {of_accuracy(own)}; {seeds}"
        return MeanCell(f"{own.mean:.2f}", more, about, round(level, 3))

    rows = []
    for search in searches:
        found = [groups.get((search, selection)) for selection in selections]
        rows.append((search, [None if group is None else cell(group) for group in found]))
    return MeasureMatrix(MEASURES[measure], selections, rows)


def _scaled(accuracy: float) -> float:
    return -math.log(max(100.0 - accuracy, _LEAST_ERROR))


def _all(summary: Summary, costs: Spent) -> HtmlTable:
    """Return a row for every search and selection: the first measure with its spread, the others' means."""
    measures = summary.measures()
    by_pair: dict[tuple[str, str], dict[str, Group]] = {}
    for group in summary.groups:
        by_pair.setdefault((group.search, group.selection), {})[group.measure] = group
    rows = []
    for (search, selection), found in by_pair.items():
        first, cost = found.get(measures[0]), costs[search, selection]
        own = None if first is None else first.statistics
        cells = ["-"] * 5 if own is None else [
            str(own.number), f"{own.mean:.2f}", of_accuracy(own), number(own.std), f"{own.min:.2f}"
        ]  # fmt: skip
        cells += [f"{found[m].statistics.mean:.2f}" if m in found else "-" for m in measures[1:]]
        took = [cost.search, cost.selection, cost.both, cost.both_cpu]
        rows.append((search, selection, *cells, *("-" if s is None else duration(s) for s in took)))
    rows.sort(key=lambda row: -float(row[3]) if row[3] != "-" else 0.0)  # the best first
    headings = ["search", "selection", "seeds", "mean", _INTERVAL, "std", "worst"]
    headings += [_short(measure) for measure in measures[1:]]
    headings += ["search time", "selection time", "both", "CPU time of both"]
    return HtmlTable(headings, rows, range(2, len(headings)))


def _differences(summary: Summary) -> HtmlTable:
    """Return differences from the baseline in the first measure, over all searches and by search."""
    measure = summary.measures()[0]
    rows = []
    for found in summary.over_searches(measure):
        rows.append((f"all {len(found.searches)}", found.selection, *over_searches(found)[1:]))
    for group in summary.groups:
        own = group.difference
        if group.measure == measure and own is not None:
            cells = (str(own.number), number(own.mean, "+"), interval(own, "+"))
            rows.append((group.search, group.selection, *cells))
    headings = ("search", "selection", "seeds", "difference", _INTERVAL)
    return HtmlTable(headings, rows, range(2, len(headings)))


def _short(measure: str) -> str:
    """Return the heading of a mean beside the first measure's."""
    return _SHORT.get(measure, measure.removesuffix("_test_accuracy"))


def _correlations(compared: Sequence[Agreement]) -> HtmlTable:
    rows = []
    for found in compared:
        own = found.statistics.get("spearman")
        if own is not None:
            labels = [LABELS.get(name, name) for name in (found.measure, found.against)]
            cells = [str(own.number), f"{own.mean:.2f}", interval(own, "", -1.0, 1.0)]
            rows.append((found.search, *labels, *cells, f"{100 * found.same_best:.0f} %"))
    headings = ("search", "measure", "judged by", "seeds", "Spearman", _INTERVAL, "same best")
    return HtmlTable(headings, rows, range(3, len(headings)))


def _published(summary: Summary) -> HtmlTable:
    """Return the published figures, each beside what the study found, if it did."""
    shown = [measure for measure in TRUE_TEST if measure in summary.measures()]
    rows = []
    for figures in nas_bench_201_figures.published() if shown else []:
        cells = []
        for measure, accuracy in zip(TRUE_TEST, figures.accuracies, strict=True):
            if measure in shown:
                group = _group(summary, measure, figures.search, figures.selection)
                found = "-" if group is None else f"{group.statistics.mean:.2f}"
                cells += ["-" if accuracy is None else f"{accuracy:.2f}", found]
        rows.append((figures.search, figures.selection, *cells, figures.source, figures.differs))
    headings = ["search", "selection"]
    for measure in shown:
        headings += [f"{_short(measure)}, published", f"{_short(measure)}, here"]
    return HtmlTable([*headings, "by", "what differs"], rows, range(2, len(headings)))


def _group(summary: Summary, measure: str, search: str, selection: str) -> Group | None:
    wanted = (measure, search, selection)
    return next((g for g in summary.groups if (g.measure, g.search, g.selection) == wanted), None)


def _differs(study: Study) -> list[str]:
    """Return in which fields what is searched here is not as published: the scale, for all searches."""
    published = paper.settings("nas_bench_201", "cifar10").to_dict()
    base = study.config["base"]
    said = []
    for section in ("data", "search"):
        for field, there in published[section].items():
            here, name = base[section][field], f"{section}.{field}"
            if here != there and name not in _NO_DIFFERENCE:
                said.append(f"{name} {here!r}, published {there!r}")
    return said


def _csv_row(group: Group, costs: Spent) -> dict[str, Any]:
    own, cost = group.statistics, costs[group.search, group.selection]
    row: dict[str, Any] = dict.fromkeys((*_COLUMNS, *_COST, *_CPU_COST, *_PUBLISHED, *_PREDICTION))
    row |= {"measure": group.measure, "search": group.search, "selection": group.selection}
    row |= {"seeds": own.number, "mean": own.mean, "std": own.std, "low": own.low, "high": own.high}
    row |= {"worst": own.min, "best": max(group.values.values()), "deviation": group.deviation}
    row |= dict(zip(_COST, (cost.search, cost.selection, cost.both), strict=True))
    row |= dict(zip(_CPU_COST, (cost.search_cpu, cost.selection_cpu, cost.both_cpu), strict=True))
    for figures in nas_bench_201_figures.published():
        if group.measure in TRUE_TEST and (figures.search, figures.selection) == (
            group.search,
            group.selection,
        ):
            accuracy = figures.accuracies[TRUE_TEST.index(group.measure)]
            if accuracy is not None:
                row |= dict(zip(_PUBLISHED, (accuracy, figures.source, figures.differs), strict=True))
    return row
