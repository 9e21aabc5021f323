"""Text tables: the closing table of a run, aligned columns, and Markdown."""

import dataclasses
import re
from collections.abc import Collection, Sequence


@dataclasses.dataclass(frozen=True)
class NetworkRow:
    """One architecture.

    Attributes:
      method: name of the selection method.
      genotype: its text form; empty: not shown.
      parameters: number of trainable weights, or None where it is not known.
      test_accuracy: share of test images classified correctly, 0 to 1, or None where not trained.
      true_accuracy: of its cell in NAS-Bench-201 on CIFAR-10, percent, or None where it is not known.
      rank: of that among all cells; None: of a mean.
      images: that were passed forward and backward until it was trained (`report.spent`); None: not known.
      cpu_seconds: of all cores that this took; None: not known.
      rival: whether it was trained to compare what was found with.
    """

    method: str
    genotype: str
    parameters: int | None
    test_accuracy: float | None
    true_accuracy: float | None = None
    rank: int | None = None
    images: int | None = None
    cpu_seconds: float | None = None
    rival: bool = False

    def cost(self) -> tuple[str, str]:
        """Format images and seconds of all cores; what is not known is a dash."""
        return (
            "-" if self.images is None else f"{self.images:,}",
            "-" if self.cpu_seconds is None else f"{self.cpu_seconds:,.0f}",
        )

    def figures(self) -> tuple[str, str, str, str]:
        """Format the four figures; what is not known is a dash."""
        return (
            "-" if self.parameters is None else f"{self.parameters:,}",
            "-" if self.test_accuracy is None else f"{100 * self.test_accuracy:.2f} %",
            "-" if self.true_accuracy is None else f"{self.true_accuracy:.2f} %",
            "-" if self.rank is None else f"{self.rank:,}",
        )


WIDTH = 100  # characters of a line in a terminal
_HEADINGS = ("selection method", "parameters", "test accuracy")
_TRUE_HEADINGS = ("CIFAR-10, true", "rank")
COST_HEADINGS = ("images seen", "CPU s")


def comparison_table(rows: Sequence[NetworkRow], width: int = WIDTH) -> str:
    """Return a plain text table with a line per architecture.

    With true accuracies where some are known; with what each took where rivals are among them.

    Genotypes stand in a column of their own if the table then fits `width` characters; otherwise on
    lines of their own under their row, broken only between entries so that they can be copied.

    Args:
      rows: in the order to show.
      width: characters a line should not pass.

    Returns:
      Lines joined by newlines, without one at the end. Accuracies are in percent.
    """
    true = any(row.true_accuracy is not None for row in rows)
    cost = any(row.rival for row in rows)
    headings = _HEADINGS + COST_HEADINGS * cost + _TRUE_HEADINGS * true
    cells = []
    for row in rows:
        parameters, accuracy, *truth = row.figures()
        cells.append((row.method, parameters, accuracy, *row.cost() * cost, *truth * true))
    with_genotype = [(*c, r.genotype) for c, r in zip(cells, rows, strict=True)]
    inline = aligned_lines((*headings, "genotype"), with_genotype, range(1, len(headings)))
    if max(map(len, inline)) <= width:
        return "\n".join(inline)
    head, rule, *body = aligned_lines(headings, cells, range(1, len(headings)))
    lines = [head, rule]
    for line, row in zip(body, rows, strict=True):
        lines.append(line)
        if row.genotype:
            lines.extend(f"    {part}" for part in _wrap(row.genotype, width - 4))
    return "\n".join(lines)


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
