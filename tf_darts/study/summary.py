"""Summaries over the seeds: means with intervals, and paired differences from a baseline selection."""

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from scipy import stats

from tf_darts.nas_bench import table_file
from tf_darts.nas_bench.nas_bench_201 import NasBench201, accuracy_column
from tf_darts.study.collect import (
    BEST_TRAINED,
    MEAN_TRAINED,
    PREDICTED,
    PREDICTED_DEVIATION,
    TEST,
    TRAINED,
    TRUE_TEST,
    Row,
)
from tf_darts.study.settings import WITHOUT, Study

CONFIDENCE = 0.95

# What is summarised, by column of results.csv, and how it is spoken of.
MEASURES = {
    **{
        column: f"True test accuracy on {data_set} in NAS-Bench-201, %"
        for column, data_set in zip(TRUE_TEST, table_file.PREFIXES, strict=True)
    },
    PREDICTED: "Validation accuracy on CIFAR-10 that NAS-Bench-301 predicts, %",
    TRAINED: "Test accuracy of the network trained here, %",
    MEAN_TRAINED: "Test accuracy of the network trained here, mean over all trainings, %",
    BEST_TRAINED: "Test accuracy of the network trained here, best of all trainings, %",
}


@dataclasses.dataclass(frozen=True)
class Statistics:
    """A sample's statistics.

    Attributes:
      number: of values, at least 1.
      mean: of them.
      std: standard deviation, with one degree of freedom less; None for one value.
      low: where the t-interval of `CONFIDENCE` for the mean begins; None for one value.
      high: where it ends.
      min: the smallest value.
    """

    number: int
    mean: float
    std: float | None
    low: float | None
    high: float | None
    min: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Statistics":
        """Compute the statistics of these values."""
        number, mean, least = len(values), float(np.mean(values)), float(np.min(values))
        if number < 2:
            return cls(number, mean, None, None, None, least)
        std = float(np.std(values, ddof=1))
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, number - 1)) * std / math.sqrt(number)
        return cls(number, mean, std, mean - half, mean + half, least)


@dataclasses.dataclass(frozen=True)
class Group:
    """A measure of one search and selection over the seeds.

    Attributes:
      search: name of the search.
      selection: name of the selection.
      measure: a key of `MEASURES`.
      values: by seed.
      statistics: of the values.
      baseline: what it was compared with, as SEARCH/SELECTION; empty: nothing.
      differences: this one's value minus the baseline's, by seed, for the seeds that both have.
      difference: statistics of the differences; None where there are none.
      deviation: by how much the members of an ensemble that predicts differ, the mean over the seeds; None:
        nothing is predicted.
    """

    search: str
    selection: str
    measure: str
    values: dict[int, float]
    statistics: Statistics
    baseline: str
    differences: dict[int, float]
    difference: Statistics | None
    deviation: float | None = None


@dataclasses.dataclass(frozen=True)
class OverSearches:
    """A selection beside the baseline in the same search, over all searches that have both.

    Attributes:
      selection: name of the selection.
      baseline: of the selection that it is compared with.
      measure: a key of `MEASURES`.
      searches: names of the searches.
      difference: the mean over these searches of the selection's value minus the baseline's; statistics over
        the seeds that all of them have.
    """

    selection: str
    baseline: str
    measure: str
    searches: tuple[str, ...]
    difference: Statistics


@dataclasses.dataclass(frozen=True)
class ReferenceAccuracy:
    """What a measure is at best, and at random.

    Attributes:
      random: the mean of all architectures, percent: what a random one has.
      resnet: ResNet's cell, percent.
      best: the best architecture of the table, percent.
    """

    random: float
    resnet: float
    best: float


@dataclasses.dataclass(frozen=True)
class Summary:
    """A study's summary.

    Attributes:
      groups: by measure, search and selection, in the study's order.
      references: by measure, where a table knows it.
      finished: number of rows.
      planned: number of selections of the study.
    """

    groups: tuple[Group, ...]
    references: dict[str, ReferenceAccuracy]
    finished: int
    planned: int

    def measures(self) -> list[str]:
        """Return the measures that have results, in the order of `MEASURES`."""
        return [measure for measure in MEASURES if any(g.measure == measure for g in self.groups)]

    def over_searches(self, measure: str) -> list[OverSearches]:
        """Compare selections with the baseline over all searches, for those of at least two searches.

        Where a study is not finished, these are the searches with the most seeds.
        """
        compared: dict[tuple[str, str], list[Group]] = {}
        for group in self.groups:
            search, _, baseline = group.baseline.rpartition("/")
            if group.measure == measure and search == group.search:
                compared.setdefault((group.selection, baseline), []).append(group)
        found = []
        for (selection, baseline), begun in compared.items():
            most = max(len(group.differences) for group in begun)
            groups = [group for group in begun if len(group.differences) == most]
            seeds = sorted(set.intersection(*(set(group.differences) for group in groups)))
            if len(groups) > 1 and seeds:
                means = [float(np.mean([group.differences[seed] for group in groups])) for seed in seeds]
                searches = tuple(group.search for group in groups)
                found.append(OverSearches(selection, baseline, measure, searches, Statistics.of(means)))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the summary as summary.json has it."""
        together = [dataclasses.asdict(found) for m in self.measures() for found in self.over_searches(m)]
        return {"confidence": CONFIDENCE, **dataclasses.asdict(self), "over_searches": together}


def summarise(study: Study, rows: Sequence[Row], tables: Sequence[NasBench201]) -> Summary:
    """Summarise the rows of `collect.results`.

    Args:
      study: the study.
      rows: what is finished of it.
      tables: NAS-Bench-201's tables that were used; the references are of the first.
    """
    groups = groups_of(rows, lambda search: _baseline(study, search))
    planned = sum(len(job.selections) for job in study.jobs)
    return Summary(tuple(groups), _references(tables), len(rows), planned)


def groups_of(rows: Sequence[Row], baseline_of: Callable[[str], tuple[str, str] | None]) -> list[Group]:
    """Group rows by measure, search and selection, with the differences from a baseline.

    Args:
      rows: with search, selection, seed and the measures; None where one is not known.
      baseline_of: returns the search and selection that a search's selections are compared with, or None.
    """
    groups = []
    for measure in MEASURES:
        values = _values(rows, measure)
        deviations = _values(rows, PREDICTED_DEVIATION) if measure == PREDICTED else {}
        for (search, selection), found in values.items():
            baseline = baseline_of(search)
            differences = {}
            if baseline not in (None, (search, selection)):
                others = values.get(baseline, {})
                differences = {seed: v - others[seed] for seed, v in found.items() if seed in others}
            groups.append(
                Group(
                    search,
                    selection,
                    measure,
                    found,
                    Statistics.of(list(found.values())),
                    "/".join(baseline) if differences else "",
                    differences,
                    Statistics.of(list(differences.values())) if differences else None,
                    _mean(deviations.get((search, selection), {}).values()),
                )
            )
    return groups


def _mean(values: Collection[float]) -> float | None:
    return float(np.mean(list(values))) if values else None


def _values(rows: Sequence[Row], measure: str) -> dict[tuple[str, str], dict[int, float]]:
    """Return the measure by seed, for each search and selection."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        if row.get(measure) is not None:
            found.setdefault((row["search"], row["selection"]), {})[row["seed"]] = row[measure]
    return found


def _baseline(study: Study, search: str) -> tuple[str, str] | None:
    """Return the search and selection that this search's selections are compared with."""
    if study.baseline == WITHOUT:
        return None
    named, _, selection = study.baseline.rpartition("/")
    return named or search, selection


def _references(tables: Sequence[NasBench201]) -> dict[str, ReferenceAccuracy]:
    if not tables:
        return {}
    references = {}
    for measure, data_set in zip(TRUE_TEST, table_file.PREFIXES, strict=True):
        found = tables[0].references(accuracy_column(data_set, TEST))
        references[measure] = ReferenceAccuracy(**{r.kind: r.accuracy for r in found})
    return references
