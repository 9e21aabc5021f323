"""The results of a study: a table with a row for every finished selection.

Accuracies are percentages, times seconds; what is not known is empty (null in JSON).
"""

import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tf_darts import spaces
from tf_darts.config.depends import supernets_of
from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench import nas_bench_301, table_file
from tf_darts.nas_bench.nas_bench_201 import SPLITS, NasBench201, of_config
from tf_darts.nas_bench.nas_bench_301 import NasBench301
from tf_darts.study.output import Output
from tf_darts.study.settings import Job, Study
from tf_darts.workdir import seconds, stage_folders
from tf_darts.workdir.records import read_json, read_lines, write_csv, write_json

Row = dict[str, Any]

# What is counted in a genotype: edges whose operation has a name like this.
COUNTED = {
    "skip_connections": "skip_connect",
    "none": "none",
    "noise": "noise",
    "convolutions": ".*conv.*",
}

TEST = "test"  # the split of NAS-Bench-201 that selections are compared by
TRAINED = "test_accuracy"  # column of networks that were trained here
# Where a study has several trainings of a network: of all of them.
MEAN_TRAINED, BEST_TRAINED = "mean_test_accuracy", "best_test_accuracy"
# What NAS-Bench-301 predicts, and by how much the members of its ensemble differ.
PREDICTED, PREDICTED_DEVIATION = "predicted_accuracy", "predicted_deviation"
SUPERNET = "supernet_test_accuracy"


def true_column(prefix: str, split: str, figure: str) -> str:
    """Return the column of a figure of NAS-Bench-201: c10_test_accuracy, in16_validation_rank, and so on.

    Args:
      prefix: of a data set, as in `table_file.PREFIXES`.
      split: one of `nas_bench_201.SPLITS`.
      figure: accuracy, rank or regret.
    """
    return f"{prefix}_{split}_{figure}"


TRUE_TEST = tuple(true_column(prefix, TEST, "accuracy") for prefix in table_file.PREFIXES.values())


def counts(genotype: Genotype) -> dict[str, int]:
    """Count the edges of a genotype that have an operation of each of the kinds in `COUNTED`."""
    names = [choice.operation for choices in genotype.cells.values() for choice in choices]
    return {
        column: sum(re.fullmatch(pattern, name) is not None for name in names)
        for column, pattern in COUNTED.items()
    }


def true_figures(table: NasBench201 | None, genotype: Genotype | None, splits: Sequence[str] = SPLITS) -> Row:
    """Look a genotype up in NAS-Bench-201; return figures by column, None without a table or genotype."""
    entry = table.lookup(genotype) if table is not None and genotype is not None else None
    return {
        true_column(prefix, split, figure): getattr(entry.scores[data_set][split], figure) if entry else None
        for data_set, prefix in table_file.PREFIXES.items()
        for split in splits
        for figure in ("accuracy", "rank", "regret")
    }


class Tables:
    """NAS-Bench-201's tables and NAS-Bench-301's surrogates of a study's configs, each read once."""

    def __init__(self):
        self._read: dict[tuple[str, str], NasBench201 | None] = {}
        self._surrogates: dict[str, NasBench301 | None] = {}

    def of(self, job: Job) -> NasBench201 | None:
        """Return the table of the job's config; None in a space without one.

        Raises:
          UserError: the file is missing, or is not the table.
        """
        key = (job.config.space, job.config.report.table)
        if key not in self._read:
            self._read[key] = of_config(job.config)
        return self._read[key]

    def surrogate(self, job: Job) -> NasBench301 | None:
        """Return the surrogate of the job's config; None: it names none.

        Raises:
          UserError: the file is missing, or is no surrogate.
        """
        key = job.config.report.surrogate
        if key not in self._surrogates:
            self._surrogates[key] = nas_bench_301.of_config(job.config)
        return self._surrogates[key]

    def all(self) -> list[NasBench201]:
        """Return the tables that were read."""
        return [table for table in self._read.values() if table is not None]


def results(study: Study, output: Output, tables: Tables) -> list[Row]:
    """Return a row for every finished selection, by search, selection and seed."""
    predicts = any(job.config.report.surrogate for job in study.jobs)
    rows = [row for job in study.jobs for row in _rows(study, job, output, tables, predicts)]
    order = {name: i for i, name in enumerate((*study.searches, *study.selections))}
    return sorted(rows, key=lambda row: (order[row["search"]], order[row["selection"]], row["seed"]))


def _rows(study: Study, job: Job, output: Output, tables: Tables, predicts: bool) -> Iterator[Row]:
    space = spaces.of(job.config)
    searched = output.search_stage(job).path
    supernet = _searched_epoch(searched).get("evaluation/test_accuracy")
    for selection in job.selections:
        genotype = output.genotype(job, selection, space)
        if genotype is None:
            continue
        prediction = predicted(tables.surrogate(job), genotype) if predicts else {}
        yield {
            "search": job.search,
            "selection": selection,
            "seed": job.seed,
            "space": space.name,
            "genotype": genotype.to_text(space),
            **counts(genotype),
            **true_figures(tables.of(job), genotype),
            **prediction,
            **_trained(study, output.training_folders(job, selection)),
            SUPERNET: percent(supernet),
            **_seconds(output, job, selection),
        }


def _seconds(output: Output, job: Job, selection: str) -> dict[str, float | None]:
    """Return how long the stages of a row took, by the clock and of all cores; of search, all supernets."""
    numbers = range(1, supernets_of(job.selections[selection]) + 1)
    stages = {
        "search": [output.workdir(job) / stage_folders.supernet_folder(number) for number in numbers],
        "selection": [output.selection_stage(job, selection).path],
        "training": [*output.training_folders(job, selection).values()],
    }
    found: dict[str, float | None] = {}
    for which in ("seconds", "cpu_seconds"):
        for stage, folders in stages.items():
            took = [value for folder in folders if (value := seconds.of(folder, which)) is not None]
            known = bool(took) and len(took) == len(folders)
            found[f"{stage}_{which}"] = round(sum(took), 3) if known else None
    return found


def predicted(surrogate: NasBench301 | None, genotype: Genotype) -> Row:
    """Return what NAS-Bench-301 predicts of a genotype, by column; None without a surrogate."""
    found = None if surrogate is None else surrogate.predict(genotype)
    return {
        PREDICTED: found and round(found.accuracy, 6),
        PREDICTED_DEVIATION: found and round(found.deviation, 6),
    }


def _trained(study: Study, folders: Mapping[str, pathlib.Path]) -> Row:
    """Return what the trainings of a genotype reached, by column.

    Args:
      study: the study, which may have several trainings.
      folders: by name of the training; none where the genotype is not trained.
    """
    found = {name: _result(folder) for name, folder in folders.items()}
    accuracies = {name: percent(result.get("test_accuracy")) for name, result in found.items()}
    parameters = {"parameters": next((r["parameters"] for r in found.values() if "parameters" in r), None)}
    if not study.config["trainings"]:
        return {TRAINED: accuracies.get(""), **parameters}
    known = [value for value in accuracies.values() if value is not None]
    whole = len(known) == len(study.config["trainings"])
    return {
        TRAINED: None,
        **{f"{TRAINED}.{name}": accuracies.get(name) for name in study.config["trainings"]},
        MEAN_TRAINED: round(sum(known) / len(known), 6) if whole else None,
        BEST_TRAINED: max(known) if whole else None,
        **parameters,
    }


def _searched_epoch(folder: pathlib.Path) -> dict[str, Any]:
    """Return the row of the epoch whose supernet was taken: the last, unless the search stopped early."""
    result = _result(folder)
    taken = result.get("taken_from_epoch")
    if taken is None:
        return result.get("last_epoch", {})
    rows = read_lines(folder / "metrics.jsonl")
    return next(row for row in rows if row.get("finished_epoch") == taken)


def _result(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / "result.json"
    return read_json(path) if path.exists() else {}


def percent(share: float | None) -> float | None:
    """Convert a share (0 to 1) to a percentage, without the digits that only rounding makes."""
    return None if share is None else round(100 * share, 6)


def write(output: Output, rows: Sequence[Row], others: Mapping[str, Sequence[Row]]) -> None:
    """Write results.csv and results.json, and other tables, by name, as NAME.csv; no CSV without rows."""
    write_json(output / "results.json", {"rows": list(rows)})
    for name, table in {"results": rows, **others}.items():
        _write_csv(output / f"{name}.csv", table)


def _write_csv(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """Write rows with the columns of the first; without rows, remove the file."""
    if rows:
        write_csv(path, list(rows[0]), rows)
    else:
        path.unlink(missing_ok=True)  # it would be of another study
