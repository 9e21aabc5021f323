"""What NAS-Bench-201 says about selected genotypes: kept in their folder, in TensorBoard, and as text."""

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Mapping

from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench.nas_bench_201 import DATA_SETS, SPLITS, Entry, NasBench201, accuracy_column
from tf_darts.plots.table import aligned_lines
from tf_darts.workdir import tensorboard_texts
from tf_darts.workdir.events import Events
from tf_darts.workdir.records import SCHEMA_VERSION, read_json, write_json

FILE = "table.json"

_COMPARED = "test"  # the split of `comparison`
_TAG = "selection/true_accuracy"


def look_up(table: NasBench201, folder: pathlib.Path, genotype: Genotype, tensorboard: bool) -> Entry:
    """Look a selected genotype up in the table; write nothing if nothing is new.

    Args:
      table: the table.
      folder: that of the selection; what the table says is left in its table.json.
      genotype: what was selected.
      tensorboard: whether it is shown in TensorBoard too.
    """
    entry, path = table.lookup(genotype), folder / FILE
    content = {"table": table.source, "architectures": len(table), **dataclasses.asdict(entry)}
    as_read = json.loads(json.dumps({"schema_version": SCHEMA_VERSION, **content}))
    if path.exists() and read_json(path) == as_read:
        return entry
    if tensorboard:
        events = Events(folder, keep=lambda tag, step: tag != _TAG)
        events.text(_TAG, tensorboard_texts.code(entry_table(entry, table)))
        events.close()
    write_json(path, content)  # last: it says that the rest is there
    return entry


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
    """Format a line per selection method, and one for each cell to compare with; joined by newlines.

    Args:
      entries: what the table says, by method.
      table: the same table.
    """
    columns = [accuracy_column(data_set, _COMPARED) for data_set in DATA_SETS]
    rows = []
    for method, entry in entries.items():
        scores = [entry.scores[data_set][_COMPARED] for data_set in DATA_SETS]
        cells = (_cells(s.accuracy, f"{s.rank:,}", s.regret) for s in scores)
        rows.append((method, *itertools.chain(*cells)))
    for same in zip(*(table.references(column) for column in columns), strict=True):
        cells = (_cells(r.accuracy, "" if r.rank is None else f"{r.rank:,}", r.regret) for r in same)
        rows.append((same[0].name, *itertools.chain(*cells)))
    headings = ("selection method", *(heading for d in DATA_SETS for heading in (d, "rank", "regret")))
    head = f"True test accuracy in NAS-Bench-201, %; rank among {len(table):,}; regret, percentage points:"
    return "\n".join([head, *aligned_lines(headings, rows, right=range(1, len(headings)))])


def _cells(accuracy: float, rank: str, regret: float) -> tuple[str, str, str]:
    return f"{accuracy:.2f}", rank, f"{regret:.2f}"
