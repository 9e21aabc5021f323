"""What NAS-Bench-201 says about selected genotypes: kept in their folder, in TensorBoard, and as text."""

import dataclasses
import json
import pathlib

from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench.nas_bench_201 import DATA_SETS, SPLITS, Entry, NasBench201
from tf_darts.plots.table import aligned_lines
from tf_darts.workdir import tensorboard_texts
from tf_darts.workdir.events import Events
from tf_darts.workdir.records import SCHEMA_VERSION, read_json, write_json

FILE = "table.json"

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
            rows.append((data_set, split, f"{score.accuracy:.2f}", f"{score.rank:,}", f"{score.regret:.2f}"))
    first = DATA_SETS[0]
    head = (
        f"In NAS-Bench-201 it is architecture {entry.index}, of {len(table):,}:"
        f" {entry.parameters[first]:,} parameters,"
        f" {entry.multiply_adds[first]:,} multiply-adds on {first}."
    )
    headings = ("data set", "split", "true accuracy, %", "rank", "regret")
    return "\n".join([head, *aligned_lines(headings, rows, right=(2, 3, 4))])
