"""Checkpoints of a stage: `tf.train.CheckpointManager`, and the counters that say where it was."""

import pathlib
import time

import tensorflow as tf

from tf_darts.errors import UserError


class Checkpoints:
    """Saves and restores a stage's state.

    Args:
      folder: the stage's folder.
      minutes: time after which `save_if_due` saves.
      counters: names of the integers that say how far the stage is; they start at 0.
      state: what else belongs to the state, by name.
    """

    def __init__(self, folder: pathlib.Path, minutes: float, counters: tuple[str, ...], **state):
        self._counters = {
            name: tf.Variable(0, dtype=tf.int64, trainable=False, name=name) for name in counters
        }
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**state, **{f"at_{name}": v for name, v in self._counters.items()}),
            str(folder / "checkpoints"),
            max_to_keep=2,
        )
        self._seconds = 60.0 * minutes
        self._saved = time.monotonic()

    def restore(self) -> dict[str, int]:
        """Continues from the newest checkpoint, if there is one; gives the counters."""
        if self._manager.latest_checkpoint:
            status = self._manager.checkpoint.restore(self._manager.latest_checkpoint)
            status.assert_existing_objects_matched()
        return {name: int(v.numpy()) for name, v in self._counters.items()}

    def save(self, **counters: int) -> None:
        """Saves now."""
        for name, value in counters.items():
            self._counters[name].assign(value)
        self._manager.save()
        self._saved = time.monotonic()

    def save_if_due(self, **counters: int) -> None:
        """Saves if the last time is long enough ago."""
        if time.monotonic() - self._saved >= self._seconds:
            self.save(**counters)


def load_from(folder: pathlib.Path, **state) -> None:
    """Reads part of another stage's newest checkpoint into objects of this one.

    Args:
      folder: that stage's folder.
      state: objects under the names that they were saved with.

    Raises:
      UserError: there is no checkpoint.
    """
    latest = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    if latest is None:
        raise UserError(f"{folder} holds no checkpoint; run the stage before first")
    tf.train.Checkpoint(**state).restore(latest).expect_partial().assert_existing_objects_matched()
