"""A trace of a few steps, for TensorBoard's page Profile (`runtime.profile_steps`)."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator

import tensorflow as tf

_FIRST = 2  # calls before the trace begins: they trace and compile


class Profiler:
    """Traces a stage's calls of compiled steps from the third on, until it has as many steps as are wanted.

    Args:
      folder: the stage's folder; traces go to plugins/profile in it.
      steps: steps to trace, at least; 0: none.
      say: prints where the trace is.
    """

    def __init__(self, folder: pathlib.Path, steps: int, say: Callable[[str], None]):
        self._folder, self._left, self._calls = folder, steps, 0
        self._wanted, self._say = steps, say

    @contextlib.contextmanager
    def call(self, step: int) -> Iterator[None]:
        """Trace one call, which begins at this step, if it is among those wanted."""
        self._calls += 1
        if self._left <= 0 or self._calls <= _FIRST:
            yield
            return
        if self._left == self._wanted:
            tf.profiler.experimental.start(str(self._folder))
        with tf.profiler.experimental.Trace("steps", step_num=step, _r=1):
            yield

    def done(self, steps: int) -> None:
        """Count the steps that the call did; with the last of those wanted the trace is written."""
        if self._left <= 0 or self._calls <= _FIRST:
            return
        self._left -= steps
        if self._left <= 0:
            tf.profiler.experimental.stop()
            self._say(f"the trace of steps is in {self._folder / 'plugins/profile'}")

    def close(self) -> None:
        """End a trace for which the stage was too short."""
        if 0 < self._left < self._wanted:
            self._left = 0
            tf.profiler.experimental.stop()
