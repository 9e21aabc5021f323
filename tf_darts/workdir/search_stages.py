"""The folders of a search that is several (`search.parts.progressive`), and the rows of all of them.

WORKDIR/search/stage_1/, ...    the stages before the last, each as a search's own folder
WORKDIR/search/                 the last
"""

import itertools
import pathlib
from collections.abc import Callable
from typing import Any

from tf_darts.workdir.records import read_lines

Rows = list[dict[str, Any]]

METRICS = "metrics.jsonl"


def earlier(folder: pathlib.Path, number: int) -> pathlib.Path:
    """Return the folder of a stage before the last, by its number from 1."""
    return folder / f"stage_{number}"


def rows(folder: pathlib.Path, read: Callable[[pathlib.Path], Rows] = read_lines) -> Rows:
    """Read the rows of metrics.jsonl; of a search that is several those of all stages, one after the other.

    Steps and epochs are then counted through, and each row says its `stage`, from 1.

    Args:
      folder: of the search, or of any other stage of a work directory.
      read: reads the rows of one file; none where there is no file.

    Raises:
      UserError: a file is damaged.
    """
    folders = list(
        itertools.takewhile(pathlib.Path.exists, (earlier(folder, number) for number in itertools.count(1)))
    )
    if not folders:
        return read(folder / METRICS)
    found: Rows = []
    steps = epochs = 0
    for stage, own in enumerate((*folders, folder), 1):
        for row in read(own / METRICS):
            counted = {"step": row["step"] + steps, "stage": stage}
            counted |= {name: row[name] + epochs for name in ("epoch", "finished_epoch") if name in row}
            found.append(row | counted)
        steps = max((row["step"] for row in found), default=0)
        epochs = 1 + max((row["finished_epoch"] for row in found if "finished_epoch" in row), default=-1)
    return found
