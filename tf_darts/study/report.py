"""What a study shows: summary.md."""

from tf_darts.report.table import markdown
from tf_darts.study.settings import Study
from tf_darts.study.summary import CONFIDENCE, MEASURES, Statistics, Summary

_HEADINGS = ("search", "selection", "seeds", "mean", f"{100 * CONFIDENCE:.0f} % interval", "std", "min")


def report(study: Study, summary: Summary) -> str:
    """The summary as Markdown.

    Args:
      study: the study.
      summary: its summary.
    """
    parts = [
        f"{summary.finished} of {summary.planned} selections are finished. Intervals are"
        f" {100 * CONFIDENCE:.0f} % t-intervals for the mean over seeds; differences are taken seed by seed."
    ]
    parts += [_measure(study, summary, measure) for measure in summary.measures()]
    if not summary.measures():
        parts.append("Nothing tells how good they are: no NAS-Bench-201 table was given, nothing trained.")
    if study.skipped:
        parts.append("\n".join(f"- {line}" for line in study.skipped))
    return "\n\n".join(parts) + "\n"


def _measure(study: Study, summary: Summary, measure: str) -> str:
    groups = [group for group in summary.groups if group.measure == measure]
    compared = any(group.difference for group in groups)
    headings = _HEADINGS + ((f"minus {study.baseline}", _HEADINGS[4]) if compared else ())
    rows = []
    for group in groups:
        own = group.statistics
        cells = [group.search, group.selection, str(own.number), _number(own.mean), _interval(own)]
        cells += [_number(own.std), _number(own.min)]
        if compared:
            found = group.difference
            cells += [_number(found.mean, "+"), _interval(found, "+")] if found else ["-", "-"]
        rows.append(cells)
    lines = [f"{MEASURES[measure]}:", markdown(headings, rows)]
    if measure in summary.references:
        reference = summary.references[measure]
        lines.append(
            f"The best architecture of the table has {reference.best:.2f},"
            f" a random one {reference.random:.2f} in the mean."
        )
    return "\n\n".join(lines)


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.2f}"


def _interval(found: Statistics, sign: str = "") -> str:
    return "-" if found.low is None else f"{found.low:{sign}.2f} to {found.high:{sign}.2f}"
