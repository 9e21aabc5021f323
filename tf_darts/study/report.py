"""The summary of a study, as Markdown: summary.md."""

import dataclasses
import math
from collections.abc import Sequence

from tf_darts.nas_bench.nas_bench_201 import REFERENCES
from tf_darts.plots.table import markdown
from tf_darts.study.correlations import Agreement
from tf_darts.study.settings import Study
from tf_darts.study.summary import CONFIDENCE, MEASURES, OverSearches, Statistics, Summary

_HEADINGS = ("search", "selection", "seeds", "mean", f"{100 * CONFIDENCE:.0f} % interval", "std", "min")


def report(study: Study, summary: Summary, agreements: Sequence[Agreement]) -> str:
    """Return the summary as Markdown.

    Args:
      study: the study.
      summary: its summary.
      agreements: what its analyses say about alpha and perturbation.
    """
    parts = [
        f"{summary.finished} of {summary.planned} selections are finished. Intervals are"
        f" {100 * CONFIDENCE:.0f} % t-intervals for the mean over seeds; differences are taken seed by seed."
    ]
    parts += [_measure(study, summary, measure) for measure in summary.measures()]
    if summary.finished and not summary.measures():
        parts.append("Nothing says how good they are, because nothing was trained.")
    if agreements:
        parts.append(_agreements(agreements))
    if study.skipped:
        parts.append("\n".join(f"- {line}" for line in study.skipped))
    return "\n\n".join(parts) + "\n"


def _measure(study: Study, summary: Summary, measure: str) -> str:
    groups = [group for group in summary.groups if group.measure == measure]
    compared = any(group.difference for group in groups)
    predicted = any(group.deviation is not None for group in groups)
    headings = _HEADINGS + (("members differ by",) if predicted else ())
    headings += (f"minus {study.baseline}", _HEADINGS[4]) if compared else ()
    rows = []
    for group in groups:
        own = group.statistics
        cells = [group.search, group.selection, str(own.number), number(own.mean), of_accuracy(own)]
        cells += [number(own.std), number(own.min)]
        if predicted:
            cells.append(number(group.deviation))
        if compared:
            found = group.difference
            cells += [number(found.mean, "+"), interval(found, "+")] if found else ["-", "-"]
        rows.append(cells)
    if measure in summary.references:
        for kind, accuracy in dataclasses.asdict(summary.references[measure]).items():
            cells = ["NAS-Bench-201", REFERENCES[kind], "-", number(accuracy)]
            rows.append(cells + ["-"] * (len(headings) - len(cells)))
    parts = [f"{MEASURES[measure]}:", markdown(headings, rows)]
    if together := summary.over_searches(measure):
        headings = ("selection", "searches", "seeds", f"minus {together[0].baseline}", _HEADINGS[4])
        rows = [[found.selection, *over_searches(found)] for found in together]
        parts += ["The mean over all searches that have both:", markdown(headings, rows, texts=1)]
    return "\n\n".join(parts)


def over_searches(found: OverSearches) -> tuple[str, str, str, str]:
    """Format how many searches and seeds a difference is over, the difference and its interval."""
    own = found.difference
    return str(len(found.searches)), str(own.number), number(own.mean, "+"), interval(own, "+")


def _agreements(agreements: Sequence[Agreement]) -> str:
    headings = ("search", "analysis", "measure", "judged by", "seeds", "Spearman", _HEADINGS[4])
    headings += ("Spearman, pooled", _HEADINGS[4], "same best")
    rows = []
    for found in agreements:
        cells = [found.search, found.analysis, found.measure, found.against]
        within, pooled = (found.statistics.get(name) for name in ("spearman", "spearman_pooled"))
        cells.append(str(within.number if within else 0))
        for of in (within, pooled):
            cells += [number(of.mean), interval(of, "", -1.0, 1.0)] if of else ["-", "-"]
        rows.append([*cells, f"{100 * found.same_best:.0f} %"])
    said = (
        "Rank correlations between measures of operations, within edges and averaged over them, and over all"
        " edges together (pooled); `same best`: edges where both measures have the same best operation:"
    )
    return f"{said}\n\n{markdown(headings, rows, texts=4)}"


def number(value: float | None, sign: str = "") -> str:
    """Format a number with two digits; a dash for None. With the sign "+" it always has one."""
    return "-" if value is None else f"{value:{sign}.2f}"


def interval(found: Statistics, sign: str = "", least: float = -math.inf, most: float = math.inf) -> str:
    """Format the interval of a mean; a dash if there is none.

    Args:
      found: mean and interval.
      sign: "+" for a sign before every number.
      least: what a mean can be at least: the interval of few seeds is cut off there.
      most: what it can be at most.
    """
    if found.low is None or found.high is None:
        return "-"
    return f"{max(found.low, least):{sign}.2f} to {min(found.high, most):{sign}.2f}"


def of_accuracy(found: Statistics) -> str:
    """Format the interval of a mean accuracy, percent."""
    return interval(found, "", 0.0, 100.0)
