"""Agreement of two measures of operations: rank correlations, and the best operation of every edge.

Selection compares operations within an edge, so that correlations are taken within each edge and then
averaged; over all edges together (pooled) they also count what edges have in common, which no selection
uses.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from tf_darts.plots.table import aligned_lines
from tf_darts.runtime.seeds import fold

CONFIDENCE, RESAMPLES = 0.95, 1000

# Measures by their key in rows: what a picture or table calls them.
LABELS = {
    "mixing_weight": "mixing weight (softmax of alpha)",
    "perturbation": "loss of accuracy when removed",
    "perturbation_loss": "rise of cross-entropy when removed",
    "strength": "accuracy when the edge holds it alone, trained",
    "true_strength": "true strength (NAS-Bench-201)",
}
CORRELATIONS: dict[str, Callable] = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}

Pairs = list[tuple[np.ndarray, np.ndarray]]  # for each edge, both measures of its operations


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.low is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def correlation(kind: str, x: np.ndarray, y: np.ndarray) -> tuple[float | None, float | None]:
    """Return a rank correlation and its p-value; None where one of the two is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None, None
    found = CORRELATIONS[kind](x, y)
    value, chance = float(found.statistic), float(found.pvalue)
    return value, None if math.isnan(chance) else chance


def fisher(kind: str, value: float | None, number: int) -> Interval:
    """Return the confidence interval of a rank correlation, by Fisher's transformation.

    The variance is (1 + r^2/2)/(n - 3) for Spearman's (Bonett and Wright, 2000) and 0.437/(n - 4) for
    Kendall's (Fieller et al., 1957). No interval for too few operations and for perfect order.

    Args:
      kind: of the correlation.
      value: the correlation.
      number: of pairs.
    """
    least = {"spearman": 3, "kendall": 4}[kind]
    if value is None or number <= least or abs(value) >= 1.0:
        return Interval(value)
    variance = (1.0 + value**2 / 2.0) / (number - 3) if kind == "spearman" else 0.437 / (number - 4)
    half = stats.norm.ppf((1.0 + CONFIDENCE) / 2.0) * math.sqrt(variance)
    return Interval(value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half))


def over_edges(edges: Sequence, statistic: Callable[[Sequence], float | None], seed: int) -> Interval:
    """Compute a statistic of all edges, with a percentile bootstrap interval over the edges.

    Args:
      edges: what the statistic takes of every edge.
      statistic: what is estimated.
      seed: of the resampling.
    """
    value = statistic(edges)
    if value is None or len(edges) < 2:
        return Interval(value)

    def resampled(chosen: np.ndarray) -> float:
        found = statistic([edges[int(i)] for i in chosen])
        return value if found is None else found  # a resample of nothing but constants says nothing

    interval = stats.bootstrap(
        (np.arange(len(edges)),),
        resampled,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(fold(seed, "bootstrap")),
    ).confidence_interval
    return Interval(value, float(interval.low), float(interval.high))


def mean_within(kind: str, pairs: Pairs, seed: int) -> Interval:
    """Return the mean of the edges' own correlations; leave out those that are not defined."""

    def mean(values: Sequence[float | None]) -> float | None:
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    return over_edges([correlation(kind, x, y)[0] for x, y in pairs], mean, seed)


def pooled(kind: str, pairs: Pairs, seed: int) -> Interval:
    """Return the correlation over all operations of all edges together."""

    def together(chosen: Pairs) -> float | None:
        return correlation(kind, *(np.concatenate(column) for column in zip(*chosen, strict=True)))[0]

    return over_edges(pairs, together, seed)


def by_edge(rows: Sequence[dict]) -> dict[tuple[str, int], list[dict]]:
    """Group rows of operations by cell type and edge."""
    edges: dict[tuple[str, int], list[dict]] = {}
    for row in rows:
        edges.setdefault((row["cell_type"], row["edge"]), []).append(row)
    return edges


def best(rows: Sequence[dict], measure: str) -> dict:
    """Return the operation of an edge with the largest measure; of equal ones the first."""
    return max(rows, key=lambda row: row[measure])


def compare(rows: Sequence[dict], measure: str, against: str, seed: int) -> dict:
    """Compare the order of operations by one measure with their order by another.

    Args:
      rows: one per operation, with `cell_type`, `edge`, `edge_name`, `operation`, `allowed` (whether a
        genotype may hold it: others are left out) and both measures.
      measure: key of the one that is judged.
      against: key of the one that it is judged by.
      seed: of the bootstrap.

    Returns:
      For result.json: by edge the correlations with p-values and Fisher intervals, and the best operation by
      each measure; over all edges the mean within edges and the pooled correlation with bootstrap intervals;
      the number of edges where the best operation is the same, the number by chance, and how much of
      `against` is lost on average by choosing by `measure`.
    """
    edges = by_edge([row for row in rows if row["allowed"]])
    edges = {place: operations for place, operations in edges.items() if len(operations) > 1}
    pairs = [
        (np.array([row[measure] for row in o]), np.array([row[against] for row in o])) for o in edges.values()
    ]
    each = []
    for operations, (x, y) in zip(edges.values(), pairs, strict=True):
        row = {name: operations[0][name] for name in ("cell_type", "edge", "edge_name")}
        row["operations"] = len(x)
        for kind in CORRELATIONS:
            value, chance = correlation(kind, x, y)
            row[kind] = dataclasses.asdict(fisher(kind, value, len(x))) | {"p": chance}
        chosen, wanted = best(operations, measure), best(operations, against)
        row |= {"chosen": chosen["operation"], "best": wanted["operation"]}
        each.append(row | {"lost": wanted[against] - chosen[against]})
    whole = {
        name: {kind: dataclasses.asdict(estimate(kind, pairs, seed)) for kind in CORRELATIONS}
        for name, estimate in (("within_edges", mean_within), ("pooled", pooled))
    }
    return {
        "measure": measure,
        "against": against,
        **whole,
        "edges": len(each),
        "same_best": sum(row["chosen"] == row["best"] for row in each),
        "same_best_by_chance": sum(1.0 / row["operations"] for row in each),
        "lost": float(np.mean([row["lost"] for row in each])) if each else None,
        "by_edge": each,
    }


def summary(comparisons: Sequence[dict]) -> str:
    """Format the comparisons as a plain text table: a line each, joined by newlines."""
    rows = []
    for found in comparisons:
        within, all_edges = found["within_edges"], found["pooled"]
        rows.append(
            (
                found["measure"],
                found["against"],
                str(Interval(**within["spearman"])),
                str(Interval(**within["kendall"])),
                str(Interval(**all_edges["spearman"])),
                f"{found['same_best']} of {found['edges']} (chance {found['same_best_by_chance']:.1f})",
                f"{found['lost']:.4g}",
            )
        )
    headings = ("measure", "against", "Spearman", "Kendall", "Spearman, pooled", "same best", "lost")
    return "\n".join(aligned_lines(headings, rows, right=(2, 3, 4, 5, 6)))
