"""The studies in results/: their summaries and pictures, made again from the recorded rows.

    python -m tests.docs.recorded

writes results/*/summary.md, results/leaderboard*/leaderboard.csv, the pictures of studies in docs/, and in
docs/results.md the rows that say what to compare with, the leaderboard with two tables more.

Rows come from results.csv, epochs.csv and correlations.csv; nothing is searched or trained.
"""

import ast
import csv
import dataclasses
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import ROOT
from tf_darts.config import files
from tf_darts.nas_bench.nas_bench_201 import DATA_SETS, NasBench201, accuracy_column
from tf_darts.report import leaderboard
from tf_darts.study import correlations, pictures, settings
from tf_darts.study.collect import TEST, TRUE_TEST, Row
from tf_darts.study.report import report
from tf_darts.study.settings import Study
from tf_darts.study.summary import Statistics, summarise


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A study in results/.

    Attributes:
      folder: its name.
      config: the name of the study's config.
      comparison: the picture in docs/ of its selections; empty: none.
      epochs: of magnitude over the epochs.
      correlations: of how measures of operations agree.
      arguments: of the config, what stands behind its colon.
      fields: of the config, what was given as --config.FIELD=VALUE.
    """

    folder: str
    config: str
    comparison: str
    epochs: str = ""
    correlations: str = ""
    arguments: tuple[str, ...] = ()
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def study(self) -> Study:
        """Return the study."""
        loaded = files.load(self.config, *self.arguments)
        loaded.update_from_flattened_dict(self.fields)
        config = loaded.to_dict()
        if config["base"]["data"]["source"] == "npz":
            config["base"]["data"]["path"] = "images.npz"  # as --data_dir gives it; nothing is read there
        return settings.validate(config)

    def rows(self, name: str) -> list[Row]:
        """Return the rows of one of its files; none without it."""
        path = ROOT / "results" / self.folder / f"{name}.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as file:
            return [{column: _value(text) for column, text in row.items()} for row in csv.DictReader(file)]


# One-shot selections of the leaderboard, with `selection.probe_statistics` of each.
STATISTICS = {"one_shot": "batch", "one_shot_running": "running", "one_shot_recalibrated": "recalibrated"}
EPOCHS = (1, 5, 10, 15, 20)  # of the leaderboard's searches, in its table of magnitude
LEADERBOARD = Recorded("leaderboard", "study_leaderboard", "", arguments=("small",))
LARGER = Recorded("leaderboard_16000", "study_leaderboard", "")
NAS_BENCH_201 = Recorded(
    "nas_bench_201_reduced",
    "study_nas_bench_201",
    *("study_nas_bench_201.png", "study_epochs.png", "study_mechanism.png"),
)
STUDIES = (
    LEADERBOARD,
    LARGER,
    NAS_BENCH_201,
    Recorded("methods_cifar10", "study_methods_cifar10", "study_methods_cifar10.png"),
    Recorded("methods_digits", "study_digits", "study_methods_digits.png"),
    Recorded(
        "paper_nas_bench_201",
        *("study_paper", ""),
        arguments=("nas_bench_201_cifar10_darts_pt_fixed_alpha",),
        fields={
            "base.search.epochs": 20,
            "base.search.evaluate_every": 10,
            "base.data.source": "npz",
            "seeds": (0,),
        },
    ),
    Recorded("recommended", "study_recommended", "study_recommended.png"),
    Recorded("recommended_small", "study_recommended_small", ""),
    Recorded("s2_s4", "study_s2_s4", "study_s2_s4.png"),
    Recorded("search_epochs", "study_search_epochs", "study_search_epochs.png"),
)


# Tables of docs/results.md with true accuracies, by their first columns: the data set of each column, if any.
_C10, _C100, _IN16 = DATA_SETS
_TWO = ("", _C10, "", _C10, "")
TABLES = {
    "| search | selection | seeds | mean | std | min | the paper, full scale |": (
        "",
        "",
        "",
        _C10,
        "",
        "",
        "",
    ),
    "| epochs | magnitude, mean |": (
        *_TWO,
        "",
        "",
    ),
    "| cell | CIFAR-10 | CIFAR-100 | ImageNet16-120 |": ("", _C10, _C100, _IN16),
    "| selection | genotype | test accuracy here, % |": ("", "", "", _C10),
    "| search | selection | CIFAR-10, mean |": ("", "", _C10, "", "", _C100, _IN16, ""),
    "| search | selection by | CIFAR-10, mean |": ("", "", _C10, "", "", _C100, _IN16),
    "| search | magnitude, mean |": (*_TWO, ""),
}


def _value(text: str) -> object:
    """Return a cell of a CSV file: a number, a text, or None where it is empty."""
    try:
        return ast.literal_eval(text) if text else None
    except (ValueError, SyntaxError):
        return text


def references(data_set: str = "CIFAR-10") -> dict[str, tuple[str, str]]:
    """Return what to compare with, by name: accuracy in percent and rank, as a page shows them."""
    found = NasBench201.of_package().references(accuracy_column(data_set, TEST))
    return {r.name: (f"{r.accuracy:.2f}", "" if r.rank is None else f"{r.rank:,}") for r in found}


def with_references(page: str) -> str:
    """Return a page with the rows to compare with at the end of each of its TABLES.

    Raises:
      ValueError: a table is not in the page.
    """
    known = {data_set: references(data_set) for data_set in DATA_SETS}
    names = list(known[_C10])
    lines = [line for line in page.split("\n") if not any(line.startswith(f"| {name} |") for name in names)]
    for header, columns in TABLES.items():
        places = [i for i, line in enumerate(lines) if line.startswith(header)]
        if not places:
            raise ValueError(f"not in the page: {header}")
        for place in reversed(places):
            end = next(i for i in range(place, len(lines)) if not lines[i].startswith("|"))
            cells = [[known[c][name][0] if c else "" for c in columns] for name in names]
            rows = [[name, *row[1:]] for name, row in zip(names, cells, strict=True)]
            lines[end:end] = map(_line, rows)
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    """Return a row of a page's table; twice, as neighbours that are empty share a bar."""
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def made(recorded: Recorded) -> tuple[str, dict[str, bytes]]:
    """Return summary.md and the pictures by name of one study."""
    study = recorded.study()
    rows, epochs = recorded.rows("results"), recorded.rows("epochs")
    tables = [NasBench201.of_package()] if any(row["space"] == "nas_bench_201" for row in rows) else []
    summary = summarise(study, rows, tables)
    agreements = correlations.agreements(recorded.rows("correlations"))
    drawn = {
        recorded.comparison: pictures.comparison(study, summary) if recorded.comparison else None,
        recorded.epochs: pictures.over_epochs(study, epochs, summary) if recorded.epochs else None,
        recorded.correlations: pictures.correlations(study, agreements),
    }
    text = report(study, summary, agreements)
    return text, {name: png for name, png in drawn.items() if name and png is not None}


def with_leaderboard(page: str) -> str:
    """Return a page with the leaderboard instead of the table that begins with its first line.

    A row is a search: its cost, and by selection mean, standard deviation and the worst seed. The last row is
    what the selections cost.

    Raises:
      ValueError: there is no such line.
    """
    study, rows, groups = _leaderboard()
    costs = leaderboard.costs_of(study, rows)
    searches = [name for name in study.searches if any(search == name for search, _ in groups)]
    shown = {selection for _, selection in groups} - (STATISTICS.keys() - {"one_shot"})  # of the other table
    selections = [name for name in study.selections if name in shown]
    table = [["search", "seeds", "CPU s", *selections], ["---"] * (len(selections) + 3)]
    for name in searches:
        own = {selection: groups.get((name, selection)) for selection in selections}
        seeds = {found.number for found in own.values() if found is not None}
        spent = [cost.search_cpu for (search, _), cost in costs.items() if search == name and cost.search_cpu]
        counted = " to ".join(str(number) for number in sorted({min(seeds), max(seeds)}))
        table.append([name, counted, _mean(spent), *(_cell(found) for found in own.values())])
    spent_by = [[cost.selection_cpu for (_, s), cost in costs.items() if s == name] for name in selections]
    table.append(["CPU s of the selection", "", "", *(_mean(spent) for spent in spent_by)])
    return _replaced(page, "| search | seeds | CPU s |", table)


def with_statistics(page: str) -> str:
    """Return a page with the table of one-shot probes by the statistics of their batch norms, likewise.

    A row is a search: by selection mean, standard deviation and the worst seed. The last is what they cost.

    Raises:
      ValueError: there is no such table.
    """
    study, rows, groups = _leaderboard()
    searches = [
        name for name in study.searches if all((name, selection) in groups for selection in STATISTICS)
    ]
    table = [["search", *(f"`{statistics}`" for statistics in STATISTICS.values())]]
    table.append(["---"] * len(table[0]))
    table += [[name, *(_cell(groups[name, selection]) for selection in STATISTICS)] for name in searches]
    costs = leaderboard.costs_of(study, rows)
    spent = [[costs[name, selection].selection_cpu for name in searches] for selection in STATISTICS]
    table.append(["CPU s of the selection", *map(_mean, spent)])
    return _replaced(page, "| search | `batch` |", table)


def _leaderboard() -> tuple[Study, list[Row], dict[tuple[str, str], Statistics]]:
    """Return the leaderboard's study, its rows, and the statistics by search and selection."""
    study, rows = LEADERBOARD.study(), LEADERBOARD.rows("results")
    groups = {
        (group.search, group.selection): group.statistics
        for group in summarise(study, rows, ()).groups
        if group.measure == TRUE_TEST[0]
    }
    return study, rows, groups


def with_larger(page: str) -> str:
    """Return a page with the table of what was searched with 16,000 images, instead of the one there.

    A row is a selection: by search mean, standard deviation and the worst seed, of the leaderboard and of the
    study at the head of the page, which has the same scale.

    Raises:
      ValueError: there is no such table.
    """
    found = {}
    for recorded in (LARGER, NAS_BENCH_201):
        for group in summarise(recorded.study(), recorded.rows("results"), ()).groups:
            if group.measure == TRUE_TEST[0]:
                found[group.search, group.selection] = group.statistics
    searches = list(dict.fromkeys(search for search, _ in found))
    larger = dict.fromkeys(row["selection"] for row in LARGER.rows("results"))
    table = [["selection, 16,000 images", *searches], ["---"] * (1 + len(searches))]
    table += [[s, *(_cell(found.get((search, s))) for search in searches)] for s in larger]
    return _replaced(page, "| selection, 16,000 images |", table)


def write_leaderboard(path: Path, recorded: Recorded = LEADERBOARD) -> None:
    """Write a leaderboard's leaderboard.csv."""
    study, rows = recorded.study(), recorded.rows("results")
    summary = summarise(study, rows, [NasBench201.of_package()])
    leaderboard.write_table(path, summary, leaderboard.costs_of(study, rows))


def with_epochs(page: str) -> str:
    """Return a page with the table of magnitude over the leaderboard's epochs, instead of the one there.

    A row is a search: by epoch the mean true accuracy of magnitude's cell over the seeds, and the median
    epoch in which that cell changed for the last time.

    Raises:
      ValueError: there is no such table.
    """
    rows = [row for row in LEADERBOARD.rows("epochs") if row["genotype"]]
    table = [["search", *(f"after {epoch}" for epoch in EPOCHS), "last change, median epoch"]]
    table.append(["---"] * len(table[0]))
    for search in dict.fromkeys(row["search"] for row in rows):
        own = [row for row in rows if row["search"] == search]
        means = [_mean([row[TRUE_TEST[0]] for row in own if row["epoch"] == e], 2) for e in EPOCHS]
        changes = []
        for seed in {row["seed"] for row in own}:
            cells = [row["genotype"] for row in own if row["seed"] == seed]  # by epoch
            changed = [e for e in range(1, len(cells)) if cells[e] != cells[e - 1]]
            changes.append(1 + max(changed, default=0))
        table.append([search, *means, f"{statistics.median(changes):g}"])
    return _replaced(page, "| search | after 1 |", table)


def _replaced(page: str, beginning: str, table: list[list[str]]) -> str:
    """Return a page with a table instead of the one whose first line begins so.

    Raises:
      ValueError: there is no such line.
    """
    lines = page.split("\n")
    begin = next((i for i, line in enumerate(lines) if line.startswith(beginning)), None)
    if begin is None:
        raise ValueError(f"not in the page: {beginning}")
    end = next(i for i in range(begin, len(lines)) if not lines[i].startswith("|"))
    lines[begin:end] = map(_line, table)
    return "\n".join(lines)


def _cell(found: Statistics | None) -> str:
    """Return mean, standard deviation and the worst, as 93.06 ± 0.25, 92.60; empty for None."""
    if found is None:
        return ""
    spread = "" if found.std is None else f" ± {found.std:.2f}"
    return f"{found.mean:.2f}{spread}, {found.min:.2f}"


def _mean(values: list[float | None], digits: int = 0) -> str:
    """Return the mean of the values that are known; empty where none is."""
    known = [value for value in values if value is not None]
    return f"{statistics.mean(known):.{digits}f}" if known else ""


def write(root: Path = ROOT) -> None:
    """Write summaries and pictures."""
    for recorded in STUDIES:
        text, drawn = made(recorded)
        (root / "results" / recorded.folder / "summary.md").write_text(text, encoding="utf-8")
        for name, png in drawn.items():
            (root / "docs" / name).write_bytes(png)
        print(f"{recorded.folder}: {', '.join(drawn)}", file=sys.stderr)
    for recorded in (LEADERBOARD, LARGER):
        write_leaderboard(root / "results" / recorded.folder / "leaderboard.csv", recorded)
    page = root / "docs" / "results.md"
    text = page.read_text(encoding="utf-8")
    for make in (with_references, with_leaderboard, with_statistics, with_epochs, with_larger):
        text = make(text)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
