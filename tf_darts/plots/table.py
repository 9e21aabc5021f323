"""Text tables: the closing table of a run, aligned columns, and Markdown."""

import dataclasses
import re
from collections.abc import Collection, Sequence


@dataclasses.dataclass(frozen=True)
class NetworkRow:
    """One architecture.

    Attributes:
      method: name of the selection method.
      genotype: its text form.
      parameters: number of trainable weights, or None where it is not known.
      test_accuracy: share of test images classified correctly, 0 to 1, or None where not trained.
    """

    method: str
    genotype: str
    parameters: int | None
    test_accuracy: float | None


_HEADINGS = ("selection method", "parameters", "test accuracy")
_RIGHT = (1, 2)  # the numbers


def comparison_table(rows: Sequence[NetworkRow], width: int = 100) -> str:
    """Return a plain text table with a line per architecture.

    Genotypes stand in a column of their own if the table then fits `width` characters; otherwise on
    lines of their own under their row, broken only between entries so that they can be copied.

    Args:
      rows: in the order to show.
      width: characters a line should not pass.

    Returns:
      Lines joined by newlines, without one at the end. Accuracies are in percent.
    """
    cells = [(row.method, _count(row.parameters), _percent(row.test_accuracy)) for row in rows]
    with_genotype = [(*c, r.genotype) for c, r in zip(cells, rows, strict=True)]
    inline = aligned_lines((*_HEADINGS, "genotype"), with_genotype, _RIGHT)
    if max(map(len, inline)) <= width:
        return "\n".join(inline)
    head, rule, *body = aligned_lines(_HEADINGS, cells, _RIGHT)
    lines = [head, rule]
    for line, row in zip(body, rows, strict=True):
        lines.append(line)
        lines.extend(f"    {part}" for part in _wrap(row.genotype, width - 4))
    return "\n".join(lines)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def aligned_lines(
    headings: Sequence[str], cells: Sequence[Sequence[str]], right: Collection[int]
) -> list[str]:
    """Return heading, rule and rows with aligned columns: texts to the left, columns `right` to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    lines = []
    for row in (headings, ["-" * width for width in widths], *cells):
        parts = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return lines


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 2) -> str:
    """Return a Markdown table with aligned columns; the first `texts` columns are text, the rest numbers."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([line(headings), line(rule), *map(line, rows)])


def _wrap(genotype: str, width: int) -> list[str]:
    """Break a genotype after `),` or `],` only: never inside a pair."""
    lines = [""]
    for part in re.split(r"(?<=[\])],) ", genotype):
        if lines[-1] and len(lines[-1]) + 1 + len(part) > width:
            lines.append("")
        lines[-1] += f" {part}" if lines[-1] else part
    return lines
