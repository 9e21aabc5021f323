"""NAS-Bench-201's accuracies as they come with the package: `data/nas_bench_201.npz`, which `pack.py` makes.

An accuracy is a mean over two or three runs, each on a known number of images. It is kept as the number of
images that six runs would classify correctly: a whole number, so nothing is lost. The arrays:

architecture   uint16 [15625]: its place in `table_file.architectures()`, by the benchmark's index
COLUMN         uint16 or uint32 [15625]: correct images of `RUNS` runs, for each column of `IMAGES`
costs          int64 [2, 3, 6]: parameters and multiply-adds, by data set, of the network whose edges are all
               `none`, and what each operation adds on any one edge
"""

import io
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_darts.errors import UserError
from tf_darts.nas_bench import table_file
from tf_darts.spaces.nas_bench_201 import NAS_BENCH_201 as SPACE

PATH = pathlib.Path(__file__).with_name("data") / "nas_bench_201.npz"
RUNS = math.lcm(2, 3)  # the benchmark made two or three
# Images that an accuracy was measured on, by column.
IMAGES = {
    "c10_val200": 25_000,
    "c10_test200": 10_000,
    "c100_val200": 5_000,
    "c100_test200": 5_000,
    "in16_val200": 3_000,
    "in16_test200": 3_000,
}
COSTS = (table_file.PARAMETERS, table_file.MULTIPLY_ADDS)

_DECIMALS = 6  # of a table's file
_ROUNDING = 0.01  # of an image, from these decimals
_EDGES = tuple(len(row) for row in SPACE.candidates["normal"])


def read() -> tuple[list[str], dict[str, np.ndarray]]:
    """Return texts in the benchmark's order, and the columns that every table has, as `table_file` does."""
    with np.load(PATH, allow_pickle=False) as arrays:
        places, costs = arrays["architecture"], arrays["costs"]
        correct = {column: arrays[column] for column in IMAGES}
    known = list(table_file.architectures())
    columns = {
        column: np.round(100.0 * correct[column] / (RUNS * images), _DECIMALS)
        for column, images in IMAGES.items()
    }
    operations = np.stack(np.unravel_index(places, _EDGES), axis=1)
    for cost, of_data_sets in zip(COSTS, costs, strict=True):
        for prefix, (base, *added) in zip(table_file.PREFIXES.values(), of_data_sets, strict=True):
            columns[f"{prefix}_{cost}"] = (base + np.array(added)[operations].sum(axis=1)) / 1e6
    return [known[place] for place in places], {table_file.INDEX: np.arange(len(places)) * 1.0, **columns}


def pack(texts: list[str], columns: Mapping[str, np.ndarray], costs: np.ndarray) -> bytes:
    """Return the content of the file.

    Args:
      texts: the text form of each architecture, in the benchmark's order.
      columns: accuracies in percent, float64 [15625] for each column of `IMAGES`.
      costs: as in the file.

    Raises:
      UserError: an accuracy is that of no whole number of images.
    """
    places = {text: place for place, text in enumerate(table_file.architectures())}
    arrays: dict[str, Any] = {"architecture": np.array([places[text] for text in texts], np.uint16)}
    for column, images in IMAGES.items():
        exact = columns[column] / 100.0 * RUNS * images
        correct = np.rint(exact)
        wrong = np.flatnonzero(np.abs(correct - exact) > _ROUNDING)
        if wrong.size:
            raise UserError(
                f"NAS-Bench-201 table: {column} is {columns[column][wrong[0]]} in row {wrong[0]}; allowed: a"
                f" mean over two or three runs on {images} images"
            )
        arrays[column] = correct.astype(np.min_scalar_type(int(correct.max())))
    file = io.BytesIO()
    np.savez_compressed(file, **arrays | {"costs": costs.astype(np.int64)})
    return file.getvalue()
