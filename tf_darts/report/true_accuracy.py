"""What NAS-Bench-201's table says about selected genotypes, as plain text."""

from collections.abc import Mapping

from tf_darts.nas_bench.nas_bench_201 import DATA_SETS, SPLITS, Entry, NasBench201, accuracy_column
from tf_darts.plots.table import aligned_lines

_COMPARED = "test"  # the split of `comparison`


def entry_table(entry: Entry, table: NasBench201) -> str:
    """Format all figures of one genotype: a line per data set and split; lines joined by newlines."""
    rows = []
    for data_set in DATA_SETS:
        for split in SPLITS:
            score = entry.scores[data_set][split]
            rows.append((data_set, split, *_cells(score.accuracy, f"{score.rank:,}", score.regret)))
    first = DATA_SETS[0]
    head = (
        f"In NAS-Bench-201 it is architecture {entry.index}, of {len(table):,}:"
        f" {entry.parameters[first]:,} parameters,"
        f" {entry.multiply_adds[first]:,} multiply-adds on {first}."
    )
    headings = ("data set", "split", "true accuracy, %", "rank", "regret")
    return "\n".join([head, *aligned_lines(headings, rows, right=(2, 3, 4))])


def comparison(entries: Mapping[str, Entry], table: NasBench201) -> str:
    """Format a line per selection method, and one for a genotype drawn at random; joined by newlines.

    Args:
      entries: what the table says, by method.
      table: the same table.
    """
    columns = [accuracy_column(data_set, _COMPARED) for data_set in DATA_SETS]
    rows = []
    for method, entry in entries.items():
        scores = [entry.scores[data_set][_COMPARED] for data_set in DATA_SETS]
        rows.append((method, *(cell for s in scores for cell in _cells(s.accuracy, f"{s.rank:,}", s.regret))))
    drawn = [(table.random_search(column).mean, float(table.column(column).max())) for column in columns]
    rows.append(("random, mean", *(cell for mean, best in drawn for cell in _cells(mean, "", best - mean))))
    headings = ("selection method", *(heading for d in DATA_SETS for heading in (d, "rank", "regret")))
    head = f"True test accuracy in NAS-Bench-201, %; rank among {len(table):,}; regret, percentage points:"
    return "\n".join([head, *aligned_lines(headings, rows, right=range(1, len(headings)))])


def _cells(accuracy: float, rank: str, regret: float) -> tuple[str, str, str]:
    return f"{accuracy:.2f}", rank, f"{regret:.2f}"
