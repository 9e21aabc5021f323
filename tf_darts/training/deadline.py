"""A time limit for a training: its end after the last epoch for which there is time."""

import time
from collections.abc import Callable

import keras


class Deadline(keras.callbacks.Callback):
    """Ends a training after an epoch if another one would end too late.

    Args:
      end: when the training has to be over, as `clock` tells it.
      clock: returns seconds.
    """

    def __init__(self, end: float, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._end, self._clock = end, clock
        self._begun = clock()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep when the epoch began."""
        self._begun = self._clock()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Ask for the end if the next epoch, as long as this one, would be over too late."""
        now = self._clock()
        if now + (now - self._begun) > self._end:
            self.model.stop_training = True
