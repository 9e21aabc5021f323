"""Checkpoints of a stage: `tf.train.CheckpointManager`, and the counters that say where it was."""

import pathlib
import time

import keras
import tensorflow as tf

from tf_darts.errors import UserError


class Checkpoints:
    """Saves and restores a stage's state.

    Args:
      folder: the stage's folder.
      minutes: time after which `save_if_due` saves.
      counters: names of the integers that say how far the stage is; they start at 0.
      kept: how many checkpoints are kept, the newest ones.
      state: what else belongs to the state, by name.
    """

    def __init__(
        self, folder: pathlib.Path, minutes: float, counters: tuple[str, ...], kept: int = 2, **state
    ):
        self._counters = {
            name: tf.Variable(0, dtype=tf.int64, trainable=False, name=name) for name in counters
        }
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                **_followable(state), **{f"at_{name}": v for name, v in self._counters.items()}
            ),
            str(folder / "checkpoints"),
            max_to_keep=kept,
        )
        # A manager counts from 1 in every process until it restores, and would write over what is kept.
        if self._manager.latest_checkpoint:
            newest = int(self._manager.latest_checkpoint.rpartition("-")[2])
            self._manager.checkpoint.save_counter.assign(newest)
        self._seconds = 60.0 * minutes
        self._saved = time.monotonic()

    def restore(self) -> dict[str, int]:
        """Continues from the newest checkpoint, if there is one; gives the counters.

        Raises:
          UserError: it does not fit, or is damaged.
        """
        if self._manager.latest_checkpoint:
            _restore(self._manager.checkpoint, self._manager.latest_checkpoint)
        return {name: int(v.numpy()) for name, v in self._counters.items()}

    def restore_where(self, **counters: int) -> None:
        """Goes back to the newest of the kept checkpoints at which the counters had these values.

        Raises:
          UserError: there is none, or it does not fit or is damaged.
        """
        for path in reversed(self._manager.checkpoints):
            reader = tf.train.load_checkpoint(path)
            if all(
                int(reader.get_tensor(f"at_{name}/.ATTRIBUTES/VARIABLE_VALUE")) == value
                for name, value in counters.items()
            ):
                return _restore(self._manager.checkpoint, path)
        raise UserError(f"{self._manager.directory} holds no checkpoint of {counters}")

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


def _followable(state: dict[str, object]) -> dict[str, object]:
    """The state as `tf.train.Checkpoint` can follow it: a Keras model is given as its variables.

    Given the model itself, it would silently leave out every layer that another one holds in a list.
    """
    return {
        name: [v.value for v in item.variables] if isinstance(item, keras.Layer) else item
        for name, item in state.items()
    }


def load_from(folder: pathlib.Path, **state) -> None:
    """Reads part of another stage's newest checkpoint into objects of this one.

    Args:
      folder: that stage's folder.
      state: objects under the names that they were saved with.

    Raises:
      UserError: there is no checkpoint, or it does not fit.
    """
    latest = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    if latest is None:
        raise UserError(f"{folder} holds no checkpoint; run the stage before first")
    _restore(tf.train.Checkpoint(**_followable(state)), latest)


def _restore(checkpoint: tf.train.Checkpoint, path: str) -> None:
    """Reads a checkpoint whole: every object has a value there, of its own shape.

    Raises:
      UserError: it does not fit, or is damaged.
    """
    try:
        checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"checkpoint {path} cannot be read into this program's state: {reason}") from None
