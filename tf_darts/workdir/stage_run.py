"""What the loops of search, selection and training all set up, as one object."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections
import numpy as np

from tf_darts.runtime.progress import Progress
from tf_darts.workdir import tensorboard_texts
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.metrics import Metrics
from tf_darts.workdir.profiler import Profiler

Columns = dict[str, np.ndarray]
"""Metrics of some steps by name, float [steps]."""


class StageRun:
    """A stage at work in its folder: counters, checkpoints, metrics, TensorBoard, progress and profiler.

    It is made in two parts, because how much there is to do may depend on what the checkpoint holds: the
    constructor restores the state, and `begin` opens the rest.

    Args:
      folder: the stage's folder.
      config: the whole config.
      prefix: first part of the TensorBoard tags: search, selection or training.
      state: what the checkpoints hold besides the counters, by name.
      counters: names of the integers besides `step` that say how far the stage is.

    Attributes:
      folder: the stage's folder.
      at: the counters, by name; 0 where nothing was done.
      checkpoints: of the state and the counters.
      metrics: metrics.jsonl and TensorBoard's events; from `begin` on.
      progress: what a person sees of it; from `begin` on.
    """

    metrics: Metrics
    progress: Progress

    def __init__(
        self,
        folder: pathlib.Path,
        config: ml_collections.ConfigDict,
        prefix: str,
        state: Mapping[str, Any],
        counters: tuple[str, ...] = (),
    ):
        self.folder, self._config, self._prefix = folder, config, prefix
        names = (*counters, "step")
        self.checkpoints = Checkpoints(folder, config.runtime.checkpoint_minutes, names, **state)
        self.at: dict[str, int] = self.checkpoints.restore()

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self.at["step"]

    def begin(
        self, progress: Progress, counts: Mapping[str, int] | None = None, shows_config: bool = True
    ) -> None:
        """Open metrics, TensorBoard and profiler; rows and events of later steps are dropped.

        Args:
          progress: what a person sees.
          counts: as `Metrics`.
          shows_config: whether TensorBoard shows the config too.
        """
        runtime = self._config.runtime
        self.metrics = Metrics(self.folder, self.step, runtime.tensorboard, self._prefix, counts)
        tensorboard_texts.begin(self.metrics, self._config, shows_config)
        self.progress = progress
        self._profiler = Profiler(self.folder, runtime.profile_steps, progress.say)

    def do(self, steps: Callable[[int], tuple[Columns, int]], epoch: int) -> Columns:
        """Run one call of compiled steps, count them and write their metrics.

        Args:
          steps: called with the number of the next step; returns the metrics and how many steps it did.
          epoch: that they belong to, from 0.
        """
        with self._profiler.call(self.step):
            columns, count = steps(self.step)
        self._profiler.done(count)
        self.metrics.steps(self.step, columns, epoch)
        self.at["step"] += count
        return columns

    def save(self) -> None:
        """Save a checkpoint; then end the process if it was asked to."""
        self.checkpoints.save(**self.at)

    def save_if_due(self) -> None:
        """Save a checkpoint if the last one is old enough, or the process was asked to end."""
        self.checkpoints.save_if_due(**self.at)

    def close(self) -> None:
        """Close metrics, TensorBoard's events and profiler."""
        self.metrics.close()
        self._profiler.close()
