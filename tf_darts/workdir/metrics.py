"""Metrics of a stage: one row per step in metrics.jsonl, and TensorBoard events.

Tags are PREFIX/NAME, one group of TensorBoard's pages for each stage; what is many (alphas, decisions) makes
a group of its own beside it, PREFIX_GROUP/NAME.
"""

import pathlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary

from tf_darts.runtime.guard import SKIPPED
from tf_darts.workdir.events import Events
from tf_darts.workdir.records import JsonLines

_GROUPS = ("alpha",)  # first parts of names that make a group


class Metrics:
    """Writes a stage's metrics.

    Args:
      folder: the stage's folder.
      step: the first step that this run will do; rows of later steps are dropped and written again.
      tensorboard: whether to write events.
      prefix: first part of the TensorBoard tags.
      counts: by group, what its events are numbered by where that is not the step, and how many of them are
        done: events of later ones are dropped and written again.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        step: int,
        tensorboard: bool,
        prefix: str,
        counts: Mapping[str, int] | None = None,
    ):
        self._prefix = prefix
        # A step's own row stands before the row of the epoch that it ends: `step` counts finished steps.
        self._lines = JsonLines(folder / "metrics.jsonl", keep=lambda row: row["step"] <= step)
        done = {f"{prefix}_{group}": count for group, count in (counts or {}).items()}
        self._events = None
        if tensorboard:
            self._events = Events(folder, lambda tag, at: at <= done.get(tag.partition("/")[0], step))

    @property
    def shown(self) -> bool:
        """Whether events are written: nothing need be drawn otherwise."""
        return self._events is not None

    def steps(self, first: int, columns: dict[str, np.ndarray], epoch: int) -> None:
        """Write rows of several steps; TensorBoard gets their means.

        Args:
          first: number of the first step, from 0; its row says step first+1, the steps then finished.
          columns: float [steps] by metric.
          epoch: the epoch they belong to, from 0.
        """
        count = len(next(iter(columns.values())))
        self._lines.append(
            *(
                {"step": first + i + 1, "epoch": epoch, **{k: _number(v[i]) for k, v in columns.items()}}
                for i in range(count)
            )
        )
        finite = {k: v[np.isfinite(v)] for k, v in columns.items()}
        self._scalars(first + count, {k: float(np.mean(v)) for k, v in finite.items() if v.size})

    def epoch(self, step: int, epoch: int, values: dict[str, float]) -> None:
        """Write the row of a finished epoch."""
        self._lines.append({"step": step, "finished_epoch": epoch, **values})
        self._scalars(step, values)

    @property
    def skipped(self) -> int:
        """Steps that were skipped because they were not finite, in earlier runs too."""
        return int(sum(row.get(SKIPPED, 0) for row in self._lines.rows))

    @property
    def epochs(self) -> list[dict[str, float]]:
        """Rows of finished epochs, those of earlier runs included."""
        return [row for row in self._lines.rows if "finished_epoch" in row]

    def of_epoch(self, epoch: int) -> list[dict[str, float]]:
        """Return rows of an epoch's steps and of its end, those of earlier runs included."""
        return [row for row in self._lines.rows if epoch in (row.get("epoch"), row.get("finished_epoch"))]

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Write numbers for TensorBoard alone, in a group."""
        self._scalars(step, {f"{group}/{name}": value for name, value in values.items()}, (group,))

    def image(self, name: str, png: bytes, step: int, group: str = "") -> None:
        """Write a picture for TensorBoard's image page, from the bytes of a PNG file."""
        if self._events is not None:
            self._events.image(self._tag(name, group), png, step)
            self._events.flush()

    def histogram(self, name: str, values: np.ndarray, step: int, group: str = "") -> None:
        """Write numbers whose distribution TensorBoard shows."""
        if self._events is not None:
            self._events.histogram(self._tag(name, group), values, step)

    def text(self, name: str, markdown: str, step: int = 0) -> None:
        """Write a panel of TensorBoard's text page."""
        if self._events is not None:
            self._events.text(self._tag(name), markdown, step)
            self._events.flush()

    def plugin(self, *summaries: Summary) -> None:
        """Write what pages of TensorBoard's plugins are made of."""
        if self._events is not None:
            for summary in summaries:
                self._events.summary(summary)
            self._events.flush()

    def close(self) -> None:
        """Flush the events and end their file."""
        if self._events is not None:
            self._events.close()

    def _scalars(self, step: int, values: Mapping[str, float], groups: tuple[str, ...] = _GROUPS) -> None:
        if self._events is None:
            return
        for name, value in values.items():
            group, _, rest = name.partition("/")
            self._events.scalar(
                self._tag(rest, group) if group in groups else self._tag(name), float(value), step
            )
        self._events.flush()  # before the checkpoint: what it has done need not be done again

    def _tag(self, name: str, group: str = "") -> str:
        return f"{self._prefix}_{group}/{name}" if group else f"{self._prefix}/{name}"


def _number(value: np.floating) -> float | None:
    """Return a metric as JSON has it, which knows no NaN; None for that of a skipped step."""
    return float(value) if np.isfinite(value) else None


def per_epoch(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the metrics of every finished epoch, by name, from the rows of metrics.jsonl.

    Metrics of steps are averaged over the epoch. `epoch` counts from 1; what was not measured in an epoch is
    nan.
    """
    steps: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    ended: dict[int, dict[str, float]] = {}
    for row in rows:
        if "finished_epoch" in row:
            known = ended.setdefault(int(row["finished_epoch"]), {})
            known.update({name: row[name] for name in row if name not in ("step", "finished_epoch")})
        else:
            for name in row.keys() - {"step", "epoch"}:
                if row[name] is not None:  # a step that was skipped
                    steps[row["epoch"]][name].append(row[name])
    epochs = sorted(ended)
    found = {e: {n: float(np.mean(v)) for n, v in steps[e].items()} | ended[e] for e in epochs}
    names = sorted({name for values in found.values() for name in values}, key=_order)
    nan = float("nan")
    columns = {name: [found[e].get(name, nan) for e in epochs] for name in names}
    return {"epoch": [e + 1 for e in epochs], **columns} if epochs else {}


def _order(name: str) -> tuple[bool, str]:
    """Sort what is one number before the many of alpha."""
    return "/" in name, name
