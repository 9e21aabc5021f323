"""How well alpha and perturbation order operations, over a study's seeds, as its analyses measured it.

An analysis that compares measures of operations leaves `comparisons` in its result.json
(`analysis.measures.compare`); here each is a row, and over the seeds a mean with its interval.
"""

import dataclasses
from collections.abc import Sequence

from tf_darts.study.collect import Row
from tf_darts.study.output import Output
from tf_darts.study.settings import Study
from tf_darts.study.summary import Statistics
from tf_darts.workdir.records import read_json

# Columns that are summarised: rank correlations within edges, averaged, and over all edges together.
CORRELATIONS = ("spearman", "kendall", "spearman_pooled")


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well a measure orders operations as another one does, over the seeds.

    Attributes:
      search: name of the search.
      analysis: that measured both.
      measure: the one that is judged, a key of `measures.LABELS`.
      against: the one that it is judged by.
      values: by name of a correlation, by seed; seeds where it is not defined are left out.
      statistics: of these values, by name of a correlation.
      same_best: share (0 to 1) of edges where both have the same best operation, over all seeds.
    """

    search: str
    analysis: str
    measure: str
    against: str
    values: dict[str, dict[int, float]]
    statistics: dict[str, Statistics]
    same_best: float


def correlations(study: Study, output: Output) -> list[Row]:
    """Return a row per comparison of each finished analysis, by search, analysis, measure and seed.

    Columns: search, seed, analysis, measure, against, those of `CORRELATIONS` (None: not defined), edges,
    same_best (number of edges with the same best operation) and lost (of `against`, choosing by `measure`).
    """
    rows = []
    for job in study.jobs:
        for analysis in job.analyses:
            path = output.analysis_result(job, analysis)
            found = read_json(path).get("comparisons", ()) if path.exists() else ()
            rows += [{"search": job.search, "seed": job.seed, "analysis": analysis, **_row(f)} for f in found]
    pairs = list(dict.fromkeys((row["measure"], row["against"]) for row in rows))

    def place(row: Row) -> tuple[int, int, int, int]:
        search, analysis = (
            study.searches.index(row["search"]),
            study.config["analyses"].index(row["analysis"]),
        )
        return search, analysis, pairs.index((row["measure"], row["against"])), row["seed"]

    return sorted(rows, key=place)


def _row(comparison: dict) -> Row:
    return {
        "measure": comparison["measure"],
        "against": comparison["against"],
        "spearman": comparison["within_edges"]["spearman"]["value"],
        "kendall": comparison["within_edges"]["kendall"]["value"],
        "spearman_pooled": comparison["pooled"]["spearman"]["value"],
        "edges": comparison["edges"],
        "same_best": comparison["same_best"],
        "lost": comparison["lost"],
    }


def agreements(rows: Sequence[Row]) -> list[Agreement]:
    """Summarise rows over the seeds, for every search, analysis and pair of measures, in their order."""
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        key = (row["search"], row["analysis"], row["measure"], row["against"])
        groups.setdefault(key, []).append(row)
    found = []
    for key, group in groups.items():
        values = {
            name: {row["seed"]: row[name] for row in group if row[name] is not None} for name in CORRELATIONS
        }
        statistics = {name: Statistics.of(list(v.values())) for name, v in values.items() if v}
        edges, same = (sum(row[name] for row in group) for name in ("edges", "same_best"))
        found.append(Agreement(*key, values, statistics, same / edges if edges else 0.0))
    return found
