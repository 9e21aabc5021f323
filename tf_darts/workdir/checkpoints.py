"""Checkpoints of a stage: `tf.train.CheckpointManager`, the counters that say where it was, and checksums.

Beside ckpt-N lies ckpt-N.json with the checksums of its files and of the stage's rows (*.jsonl) as far as
they went when it was made. The newest checkpoint that is whole, with its rows, is the one that is continued.
"""

import hashlib
import os
import pathlib
import re
import shutil
import sys
import time
from typing import Any

import keras
import tensorflow as tf

from tf_darts.errors import UserError, first_line
from tf_darts.runtime import preemption, workers
from tf_darts.workdir import files
from tf_darts.workdir.records import read_json, write_json


class Checkpoints:
    """Saves and restores a stage's state.

    Args:
      folder: the stage's folder.
      minutes: time after which `save_if_due` saves.
      counters: names of the integers that say how far the stage is; they start at 0.
      kept: how many checkpoints are kept, the newest ones.
      leaves: whether a process that was asked to (`runtime.preemption`) ends after a save.
      state: what else belongs to the state, by name.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        minutes: float,
        counters: tuple[str, ...],
        kept: int = 2,
        leaves: bool = True,
        **state: Any,
    ):
        self._counters = {
            name: tf.Variable(0, dtype=tf.int64, trainable=False, name=name) for name in counters
        }
        self._stage, self._folder, self._kept = folder, folder / "checkpoints", kept
        self._faulty: set[int] = set()
        _remove_unreadable_list(self._folder)
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                **_followable(state), **{f"at_{name}": v for name, v in self._counters.items()}
            ),
            str(self._folder),
            max_to_keep=kept,
        )
        # A manager counts from 1 in every process until it restores, and would write over what is kept.
        self._manager.checkpoint.save_counter.assign(max(_numbers(self._folder), default=0))
        self._floats = [v for v in _variables(state) if v.dtype.is_floating]
        self._seconds, self._leaves = 60.0 * minutes, leaves
        self._saved = time.monotonic()

    def restore(self) -> dict[str, int]:
        """Continue from the newest whole checkpoint, if there is one; return the counters.

        A damaged one is passed over with a warning; what was done since the one before is done again.

        Raises:
          UserError: there are some, and none is whole; or it does not fit.
        """
        faults: list[str] = []
        for number in _numbers(self._folder):
            fault = _fault(self._stage, number)
            if fault is None:
                self._restore(number)
                self._list_as_latest(number)
                for text in faults:
                    print(f"warning: {text}; continuing from ckpt-{number}", file=sys.stderr)
                break
            faults.append(fault)
            self._faulty.add(number)
        else:
            if faults:
                raise UserError(
                    f"{'; '.join(faults)}; no checkpoint is whole: remove {self._stage} to start again"
                )
        return {name: int(v.numpy()) for name, v in self._counters.items()}

    def restore_where(self, **counters: int) -> None:
        """Go back to the newest of the kept checkpoints at which the counters had these values.

        Raises:
          UserError: there is none, or it does not fit or is damaged.
        """
        faults = []
        for number in _numbers(self._folder):
            fault = _fault(self._stage, number)
            if fault is not None:
                faults.append(fault)
                continue
            reader = tf.train.load_checkpoint(_prefix(self._folder, number))
            if all(
                int(reader.get_tensor(f"at_{name}/.ATTRIBUTES/VARIABLE_VALUE")) == value
                for name, value in counters.items()
            ):
                return self._restore(number)
        raise UserError("; ".join([f"{self._folder} holds no checkpoint of {counters}", *faults]))

    def _restore(self, number: int) -> None:
        counter = int(self._manager.checkpoint.save_counter.numpy())
        _restore(self._manager.checkpoint, _prefix(self._folder, number))
        self._manager.checkpoint.save_counter.assign(counter)  # a number is given once

    def _list_as_latest(self, number: int) -> None:
        """Puts TensorFlow's list right where it names another checkpoint as the latest.

        So it is after a kill between checkpoint and list. Where nothing is left to be done, no save would
        mend it, and whoever reads the list would take an earlier state for the last one.
        """
        folder = str(self._folder)
        if tf.train.latest_checkpoint(folder) != _prefix(self._folder, number):
            # In an absolute folder a name is kept as it is: the list stays right where the folder is moved.
            tf.compat.v1.train.update_checkpoint_state(os.path.abspath(folder), f"ckpt-{number}")

    def save(self, **counters: int) -> None:
        """Save now; then end the process if it was asked to.

        Raises:
          UserError: it cannot be written, as on a full disk; or the state is not finite, and would be no use.
        """
        for variable in self._floats:
            if not bool(tf.reduce_all(tf.math.is_finite(variable.read_value()))):
                raise UserError(
                    f"{variable.name} is not finite: nothing is saved, and the last checkpoint stays. What"
                    " helps: --config.runtime.skipped_steps, or a lower learning rate in another --workdir"
                )
        for name, value in counters.items():
            self._counters[name].assign(value)
        # The checksums are written before the manager takes the checkpoint into its list.
        options = tf.train.CheckpointOptions(experimental_write_callbacks=[self._seal])
        try:
            self._manager.save(options=options)
        except (tf.errors.OpError, OSError) as error:
            raise UserError(
                f"a checkpoint cannot be written to {self._folder}: {first_line(error)}"
            ) from None
        self._saved = time.monotonic()
        self._tidy()
        if self._leaves and workers.anywhere(preemption.asked()):
            preemption.leave()

    def save_if_due(self, **counters: int) -> None:
        """Save if the last time is long enough ago, or the process was asked to end."""
        if workers.anywhere(time.monotonic() - self._saved >= self._seconds or preemption.asked()):
            self.save(**counters)

    def _seal(self, prefix: str) -> None:
        """Writes the checksums of a checkpoint that was written."""
        written = sorted(self._folder.glob(os.path.basename(prefix) + ".*"))
        written = [path for path in written if path.suffix != ".json"]
        for path in written:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        rows = {
            path.name: {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
            for path in sorted(self._stage.glob("*.jsonl"))
        }
        sums = {path.name: files.sha256(path) for path in written}
        write_json(pathlib.Path(f"{prefix}.json"), {"files": sums, "rows": rows})

    def _tidy(self) -> None:
        """Removes what the manager does not: checksums of what it removed, and what killed processes left."""
        whole = [number for number in _numbers(self._folder) if number not in self._faulty]
        kept = {f"ckpt-{number}" for number in whole[: self._kept]}
        for path in self._folder.iterdir():
            if path.name.startswith("checkpoint.tmp"):
                path.unlink(missing_ok=True)
            elif path.name.startswith("ckpt-") and path.name.partition(".")[0] not in kept:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def load_from(folder: pathlib.Path, **state: Any) -> None:
    """Read part of another stage's newest checkpoint into objects of this one.

    Args:
      folder: that stage's folder.
      state: objects under the names that they were saved with.

    Raises:
      UserError: there is no checkpoint, it does not fit, or it is damaged: an earlier one would be another
        state.
    """
    numbers = _numbers(folder / "checkpoints")
    if not numbers:
        raise UserError(f"{folder} holds no checkpoint; run the stage before first")
    fault = _fault(folder, numbers[0])
    if fault is not None:
        raise UserError(f"{fault}. Run the stage before again: it goes back to the last whole one")
    _restore(tf.train.Checkpoint(**_followable(state)), _prefix(folder / "checkpoints", numbers[0]))


def fault_of_newest(folder: pathlib.Path) -> str | None:
    """Return what is wrong with a stage's newest checkpoint; None: nothing, or there is none."""
    numbers = _numbers(folder / "checkpoints")
    return _fault(folder, numbers[0]) if numbers else None


def _numbers(folder: pathlib.Path) -> list[int]:
    """Numbers of the checkpoints in a folder, damaged ones included, the newest first.

    By the files: the manager's list of them may be damaged too. One that was being written when its process
    was killed has neither an index, which is written last, nor checksums, and does not count.
    """
    names = [re.fullmatch(r"ckpt-(\d+)\.(index|json)", path.name) for path in folder.glob("ckpt-*")]
    return sorted({int(match[1]) for match in names if match}, reverse=True)


def _prefix(folder: pathlib.Path, number: int) -> str:
    return str(folder / f"ckpt-{number}")


def _fault(stage: pathlib.Path, number: int) -> str | None:
    """What is wrong with a checkpoint, in one line that names the file; None: it is whole."""
    folder = stage / "checkpoints"
    path = folder / f"ckpt-{number}.json"
    if (
        not path.exists()
    ):  # of an earlier version, or killed before it was written: TensorFlow's own checksums
        return _unreadable(_prefix(folder, number))
    try:
        sums = read_json(path)
        for name, wanted in sums["files"].items():
            if not (folder / name).exists():
                return f"checkpoint file {folder / name} is missing"
            if files.sha256(folder / name) != wanted:
                return f"checkpoint file {folder / name}, or its checksum in {path}, is damaged"
        for name, wanted in sums["rows"].items():
            with (stage / name).open("rb") as file:
                begin = file.read(wanted["bytes"])
            if hashlib.sha256(begin).hexdigest() != wanted["sha256"]:
                return f"{stage / name}, or its checksum in {path}, is damaged"
    except UserError as error:
        return f"checkpoint file {error}"
    except OSError as error:
        return f"{error.filename} cannot be read: {files.reason(error)}"
    except (KeyError, TypeError, AttributeError):
        return f"checkpoint file {path} is damaged"
    return None


def _unreadable(prefix: str) -> str | None:
    try:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        return f"checkpoint {prefix} is damaged ({first_line(error)})"
    return None


def _remove_unreadable_list(folder: pathlib.Path) -> None:
    """Removes the manager's list of checkpoints where it is damaged: the files say what there is."""
    try:
        intact = tf.train.get_checkpoint_state(str(folder)) is not None
    except (ValueError, tf.errors.OpError):  # ValueError: no UTF-8
        intact = False
    if not intact:
        (folder / "checkpoint").unlink(missing_ok=True)


def _followable(state: dict[str, object]) -> dict[str, object]:
    """The state as `tf.train.Checkpoint` can follow it: a Keras model is given as its variables.

    Given the model itself, it would silently leave out every layer that another one holds in a list.
    """
    return {
        name: [v.value for v in item.variables] if isinstance(item, keras.Layer) else item
        for name, item in state.items()
    }


def _variables(state: dict[str, object]) -> list[tf.Variable]:
    """All variables of the state."""
    found: list[tf.Variable] = []
    for item in _followable(state).values():
        found += item if isinstance(item, list) else getattr(item, "variables", [item])
    return found


def _restore(checkpoint: tf.train.Checkpoint, path: str) -> None:
    """Reads a checkpoint whole: every object has a value there, of its own shape.

    Raises:
      UserError: it does not fit, or is damaged.
    """
    try:
        checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"checkpoint {path} cannot be read into this program's state: {first_line(error)}"
        ) from None
