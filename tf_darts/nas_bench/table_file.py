"""The file of the NAS-Bench-201 table: a gzip-compressed CSV with a row for each architecture.

`arch` is the architecture as `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, `index` the benchmark's number of it, and
rows stand in that order. Every other column holds numbers; those of `REQUIRED` have to be there, in every
row. Columns are named by data set (`PREFIXES`), what was measured, and the epochs of the training schedule.
"""

import csv
import functools
import gzip
import io
import itertools
import math
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tf_darts.errors import UserError, show
from tf_darts.genotypes import text_forms as forms
from tf_darts.spaces.nas_bench_201 import NAS_BENCH_201 as SPACE
from tf_darts.workdir.files import write_atomically

PREFIXES = {"CIFAR-10": "c10", "CIFAR-100": "c100", "ImageNet16-120": "in16"}
# Top-1 in percent after the schedule of 200 epochs, mean over the benchmark's runs. On CIFAR-10 the
# validation accuracy is of models trained on half of the training images; others, trained on all, give the
# test accuracy.
ACCURACIES = {"validation": "val200", "test": "test200"}
PARAMETERS, MULTIPLY_ADDS = "params_M", "flops_M"  # in millions

# Columns that have to be there, with the smallest and the largest value that they may hold.
REQUIRED: dict[str, tuple[float, float]] = {
    **{f"{p}_{a}": (0.0, 100.0) for p in PREFIXES.values() for a in ACCURACIES.values()},
    **{f"{p}_{cost}": (0.0, 1e6) for p in PREFIXES.values() for cost in (PARAMETERS, MULTIPLY_ADDS)},
}
INDEX, ARCHITECTURE = "index", "arch"
NUMBER = math.prod(len(row) for row in SPACE.candidates["normal"])  # 15,625 architectures

_MOST_BYTES = 1 << 26  # unpacked; the whole table takes five million


@functools.cache
def architectures() -> dict[str, tuple[int, ...]]:
    """Return every architecture of the space: its text form, and the candidate operation on each edge.

    Edges are in the order of `Space.edges`, which is that of the text form; operations are columns of alpha.
    """
    candidates = SPACE.candidates["normal"]
    write = forms.of(SPACE).write
    found = {}
    for chosen in itertools.product(*(range(len(row)) for row in candidates)):
        entries = [
            (edge.target, edge.source, row[o])
            for edge, row, o in zip(SPACE.edges, candidates, chosen, strict=True)
        ]
        found[write({"normal": entries}, SPACE)] = chosen
    return found


def read(path: str | os.PathLike) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read and check a file.

    Returns:
      The text forms in the order of the rows, and every column of numbers by name, float64 [15625]; nan where
      a column that may have gaps has one.

    Raises:
      UserError: the file is missing or not gzip, or what is in it is not the whole table.
    """
    name = f"NAS-Bench-201 table {os.fspath(path)!r}"
    try:
        with gzip.open(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{name}: no such file") from None
    except gzip.BadGzipFile:
        raise UserError(f"{name} is not gzip-compressed; allowed: a CSV file compressed with gzip") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{name} cannot be read: {reason}") from None
    if len(data) > _MOST_BYTES:
        raise UserError(f"{name} is larger than {_MOST_BYTES} bytes; allowed: one row per architecture")
    try:
        return parse(data.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text: byte {error.start}") from None


def parse(text: str, name: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read and check the text of an unpacked file; `name` says in messages where it comes from."""
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        raise UserError(f"{name} is not CSV: {error}") from None
    except ValueError:
        raise UserError(f"{name} is empty") from None
    needed = (INDEX, ARCHITECTURE, *REQUIRED)
    for column in (*needed, *header):
        if header.count(column) != 1:
            fault = "lacks the column" if column not in header else "names twice the column"
            raise UserError(f"{name} {fault} {column!r}; needed: {', '.join(needed)}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise UserError(
                f"{name}: line {number} has {len(row)} values; allowed: {len(header)}, as line 1 names"
            )
    if len(rows) != NUMBER:
        raise UserError(f"{name} has {len(rows)} architectures; allowed: {NUMBER}, each architecture once")
    values = dict(zip(header, zip(*rows, strict=True), strict=True))
    texts = list(values.pop(ARCHITECTURE))
    _check_architectures(texts, name)
    columns = {column: _numbers(column, items, name) for column, items in values.items()}
    wrong = np.flatnonzero(columns[INDEX] != np.arange(NUMBER))
    if wrong.size:
        first = int(wrong[0])
        raise UserError(
            f"{name}: line {first + 2}, {INDEX} is {show(values[INDEX][first])};"
            f" allowed: {first}, the number of the row"
        )
    return texts, columns


def _check_architectures(texts: Sequence[str], name: str) -> None:
    known = architectures()
    lines: dict[str, int] = {}
    for number, text in enumerate(texts, 2):
        if text not in known:
            form = "a genotype as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
            raise UserError(
                f"{name}: line {number}, {ARCHITECTURE} is {show(text)}; allowed: {form} with op one of"
                f" {', '.join(SPACE.candidates['normal'][0])}"
            )
        if text in lines:
            raise UserError(
                f"{name}: line {number}, {ARCHITECTURE} is {text!r}, which is also in line {lines[text]};"
                " allowed: each architecture once"
            )
        lines[text] = number


def _numbers(column: str, items: Sequence[str], name: str) -> np.ndarray:
    """Return a column as float64; a gap is nan where the column may have gaps."""
    needed = column in REQUIRED or column == INDEX
    low, high = REQUIRED.get(column, (-math.inf, math.inf))
    numbers = np.array([_number(item) for item in items])
    right = np.isfinite(numbers) & (numbers >= low) & (numbers <= high)
    if not needed:
        right |= np.array([not item for item in items])
    if not right.all():
        row = int(np.argmin(right))
        allowed = "a number" + (f" from {low:g} to {high:g}" if column in REQUIRED else "")
        raise UserError(f"{name}: line {row + 2}, {column} is {show(items[row])}; allowed: {allowed}")
    return numbers


def _number(item: str) -> float:
    try:
        return float(item)
    except ValueError:
        return math.nan


def csv_text(rows: Iterable[Mapping[str, str | float | None]], columns: Sequence[str]) -> str:
    """Return rows as the text of a file with the `columns` in this order; None and what a row lacks are gaps.

    Numbers are rounded to six decimals.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(column) for column in columns]
        writer.writerow([round(value, 6) if isinstance(value, float) else value for value in values])
    return file.getvalue()


def write(path: str | os.PathLike, text: str) -> None:
    """Write a file that appears whole or not at all; the same text makes the same bytes.

    Raises:
      UserError: the folder does not exist or cannot be written.
    """
    write_atomically(path, gzip.compress(text.encode(), mtime=0))
