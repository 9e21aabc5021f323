"""Makes the NAS-Bench-201 table from a file of NATS-Bench, whose topology search space is the same.

NATS-Bench (Dong et al., TPAMI 2021) publishes pickles. Nothing here unpickles: the benchmark's own package
`nats_bench` reads them, through its public interface. (Reading a pickle runs what is in it.)
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

from tf_darts.errors import UserError
from tf_darts.nas_bench import table_file
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.runtime.progress import Progress

# By the benchmark's name of the training data and the epochs of the schedule: columns, and what
# `get_more_info` calls them. cifar10-valid is training on half of CIFAR-10's training images.
_FIGURES = {
    ("cifar10-valid", "200"): {
        "c10_val200": "valid-accuracy",
        "c10_test200_train25k": "test-accuracy",
        "c10_train_time200_s": "train-all-time",
    },
    ("cifar10", "200"): {"c10_test200": "test-accuracy"},
    ("cifar100", "200"): {
        "c100_val200": "valid-accuracy",
        "c100_test200": "test-accuracy",
        "c100_valtest200": "valtest-accuracy",
        "c100_train_time200_s": "train-all-time",
    },
    ("ImageNet16-120", "200"): {
        "in16_val200": "valid-accuracy",
        "in16_test200": "test-accuracy",
        "in16_valtest200": "valtest-accuracy",
        "in16_train_time200_s": "train-all-time",
    },
    ("cifar10-valid", "12"): {"c10_val12": "valid-accuracy"},
    ("cifar10", "12"): {"c10_test12": "test-accuracy"},
    ("cifar100", "12"): {"c100_val12": "valid-accuracy", "c100_test12": "test-accuracy"},
    ("ImageNet16-120", "12"): {"in16_val12": "valid-accuracy", "in16_test12": "test-accuracy"},
}
_COSTS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ImageNet16-120": "ImageNet16-120"}
_COST_KEYS = {table_file.PARAMETERS: "params", table_file.MULTIPLY_ADDS: "flops"}
_RUNS = tuple(f"c10_val200_run{run}" for run in (1, 2, 3))

# Columns of a converted file, in their order.
COLUMNS = (
    table_file.INDEX,
    table_file.ARCHITECTURE,
    "c10_val200",
    *_RUNS,
    *("c10_test200", "c10_test200_train25k"),
    *("c100_val200", "c100_test200", "c100_valtest200"),
    *("in16_val200", "in16_test200", "in16_valtest200"),
    *(f"{prefix}_{split}12" for prefix in table_file.PREFIXES.values() for split in ("val", "test")),
    *(f"{prefix}_{cost}" for cost in _COST_KEYS for prefix in table_file.PREFIXES.values()),
    *(f"{prefix}_train_time200_s" for prefix in table_file.PREFIXES.values()),
    "n_runs200",
)

# A folder's files are read one by one, but the package keeps what it has read, about 2 MB for each.
_REOPEN_AFTER = 250


def convert(path: str, create: Callable[..., Any]) -> str:
    """Read all architectures and check them.

    Args:
      path: the folder with one file per architecture, or the one large file (which is held in memory whole).
      create: `nats_bench.create`.

    Returns:
      The text of a table's file (`table_file.write` writes it), as far as the source has the columns; what
      it lacks of those that a table needs not have is left empty.

    Raises:
      UserError: the source cannot be read, is another benchmark, or lacks what a table needs.
    """
    name = f"NATS-Bench source {path!r}"
    text = table_file.csv_text(_rows(path, create, name), COLUMNS)
    NasBench201.parse(text, name)
    return text


def _rows(path: str, create: Callable[..., Any], name: str) -> Iterator[dict[str, Any]]:
    folder = os.path.isdir(path)
    progress = Progress("convert", table_file.NUMBER)
    for index in range(table_file.NUMBER):
        try:
            if index == 0 or (folder and index % _REOPEN_AFTER == 0):
                api = create(path, "tss", fast_mode=folder, verbose=False)
                number = len(api)
            row = _row(api, index) if number == table_file.NUMBER else None
        except Exception as error:  # another package, on files that may be anything
            progress.close()
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            place = f"architecture {index} " if index else ""
            raise UserError(f"{name}: {place}cannot be read: {reason}") from error
        if row is None:
            raise UserError(f"{name} has {number} architectures; allowed: {table_file.NUMBER}")
        yield row
        progress.update(index + 1)


def _row(api: Any, index: int) -> dict[str, Any]:
    row: dict[str, Any] = {table_file.INDEX: index, table_file.ARCHITECTURE: api.arch(index)}
    for (data, epochs), names in _FIGURES.items():
        try:
            info = api.get_more_info(index, data, hp=epochs, is_random=False)
        except KeyError:
            if epochs == "200":
                raise
            continue  # a source without the short schedule
        row |= {column: _number(info.get(key)) for column, key in names.items()}
    trials = api.query_by_index(index, hp="200")
    for data_set, prefix in table_file.PREFIXES.items():
        costs = trials.get_compute_costs(_COSTS[data_set])
        row |= {f"{prefix}_{cost}": _number(costs[key]) for cost, key in _COST_KEYS.items()}
    seeds = sorted(trials.get_dataset_seeds("cifar10-valid"))
    row["n_runs200"] = len(seeds)
    for column, seed in zip(_RUNS, seeds, strict=False):  # two or three runs
        info = api.get_more_info(index, "cifar10-valid", hp="200", is_random=seed)
        row[column] = _number(info["valid-accuracy"])
    return row


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
