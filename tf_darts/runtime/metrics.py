"""Metrics of a stage: one row per step in metrics.jsonl, and TensorBoard events."""

import pathlib

import numpy as np
import tensorflow as tf

from tf_darts.runtime.guard import SKIPPED
from tf_darts.runtime.workdir import JsonLines


class Metrics:
    """Writes a stage's metrics.

    Args:
      folder: the stage's folder.
      step: the first step that this run will do; rows of later steps are dropped and written again.
      tensorboard: whether to write events.
      prefix: first part of the TensorBoard tags.
    """

    def __init__(self, folder: pathlib.Path, step: int, tensorboard: bool, prefix: str):
        self._prefix = prefix
        # A step's own row stands before the row of the epoch that it ends: `step` counts finished steps.
        self._lines = JsonLines(folder / "metrics.jsonl", keep=lambda row: row["step"] <= step)
        self._writer = tf.summary.create_file_writer(str(folder)) if tensorboard else None

    def steps(self, first: int, columns: dict[str, np.ndarray], epoch: int) -> None:
        """Rows of several steps; TensorBoard gets their means.

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
        """The row of a finished epoch."""
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

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            return
        with self._writer.as_default():
            for name, value in values.items():
                # The alphas are many: they make a group of their own, beside that of the losses.
                group = f"{self._prefix}_" if name.startswith("alpha/") else f"{self._prefix}/"
                tf.summary.scalar(group + name, value, step=step)

    def image(self, name: str, png: bytes, step: int) -> None:
        """A picture for TensorBoard's image page."""
        if self._writer is not None:
            with self._writer.as_default():
                tf.summary.image(f"{self._prefix}/{name}", tf.io.decode_png(png, 3)[None], step=step)

    def close(self) -> None:
        """Flushes the events."""
        if self._writer is not None:
            self._writer.close()


def _number(value: np.floating) -> float | None:
    """A metric as JSON has it, which knows no NaN; None: that of a skipped step."""
    return float(value) if np.isfinite(value) else None
