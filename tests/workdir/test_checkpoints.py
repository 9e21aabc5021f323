"""Checkpoints: what is saved, when, and that a folder may have an odd name and be moved."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.workdir import checkpoints as checkpoints_lib
from tf_darts.workdir.checkpoints import Checkpoints, load_from


class Nested(keras.layers.Layer):
    """Layers in a list, in lists; Keras 3 does not show them to `tf.train.Checkpoint`."""

    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.kernel = self.add_weight(name="kernel", shape=(2,), initializer="zeros")
        self.running = keras.Variable("zeros", shape=(1,), trainable=False, name="running")
        self.layers = [Nested(depth - 1) for _ in range(2)] if depth else []
        self.built = True


def fill(model, value):
    for number, variable in enumerate(model.variables):
        variable.assign(np.full(variable.shape, value + number))


def filled(model):
    return [float(v.numpy()[0]) for v in model.variables]


def test_layers_in_lists_are_saved_and_restored(tmp_path):
    model, other = Nested(), tf.Variable(7.0)
    fill(model, 5.0)
    assert len(model.variables) == 14
    Checkpoints(tmp_path, 10.0, ("step", "decisions"), model=model, other=other).save(step=3, decisions=2)

    again, other_again = Nested(), tf.Variable(0.0)
    checkpoints = Checkpoints(tmp_path, 10.0, ("step", "decisions"), model=again, other=other_again)
    assert checkpoints.restore() == {"step": 3, "decisions": 2}
    assert filled(again) == filled(model) == [5.0 + n for n in range(14)]
    assert other_again.numpy() == 7.0

    part = Nested()
    load_from(tmp_path, model=part)
    assert filled(part) == filled(model)


def test_without_a_checkpoint_counters_start_at_0(tmp_path):
    assert Checkpoints(tmp_path, 10.0, ("step",), x=tf.Variable(1.0)).restore() == {"step": 0}
    with pytest.raises(UserError, match="holds no checkpoint; run the stage before first"):
        load_from(tmp_path, x=tf.Variable(1.0))


def test_the_newest_is_restored_and_few_are_kept(tmp_path):
    value = tf.Variable(0.0)
    checkpoints = Checkpoints(tmp_path, 10.0, ("step",), value=value)
    for step in range(1, 6):
        value.assign(float(step))
        checkpoints.save(step=step)
    value.assign(-1.0)
    assert Checkpoints(tmp_path, 10.0, ("step",), value=value).restore() == {"step": 5}
    assert value.numpy() == 5.0
    assert len(list((tmp_path / "checkpoints").glob("*.index"))) == 2


@pytest.mark.parametrize("damage", [None, "ckpt-3.data-00000-of-00001"])
@pytest.mark.parametrize("relative", [False, True])
def test_tensorflows_list_names_what_was_restored(tmp_path, monkeypatch, relative, damage):
    """After a kill between the last checkpoint and the list, and where the last one is damaged."""
    monkeypatch.chdir(tmp_path)
    stage = Path("stage") if relative else tmp_path / "stage"
    value, folder = tf.Variable(0.0), stage / "checkpoints"
    checkpoints = Checkpoints(stage, 10.0, ("step",), value=value)
    checkpoints.save(step=1)
    checkpoints.save(step=2)
    listed = (folder / "checkpoint").read_bytes()
    checkpoints.save(step=3)
    if damage:
        (folder / damage).write_bytes(b"")
    else:
        (folder / "checkpoint").write_bytes(listed)
    expected = 2 if damage else 3
    assert Checkpoints(stage, 10.0, ("step",), value=value).restore() == {"step": expected}
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / f"ckpt-{expected}")
    os.rename("stage", "moved")
    assert tf.train.latest_checkpoint("moved/checkpoints") == f"moved/checkpoints/ckpt-{expected}"


def test_saving_if_due_waits(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoints_lib.time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, 2.0, ("step",), x=tf.Variable(0.0))
    saved = lambda: Checkpoints(tmp_path, 2.0, ("step",), x=tf.Variable(0.0)).restore()["step"]  # noqa: E731
    for seconds, step, expected in [(119, 1, 0), (1, 2, 2), (119, 3, 2), (2, 4, 4)]:
        now[0] += seconds
        checkpoints.save_if_due(step=step)
        assert saved() == expected


@pytest.mark.parametrize("name", ["läufe 1", "a(1)'b", "-x", "%s~$HOME"])
def test_folders_may_have_odd_names(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    value = tf.Variable(0.0)
    checkpoints = Checkpoints(folder, 10.0, ("step",), value=value)
    for step in range(1, 5):
        value.assign(float(step))
        checkpoints.save(step=step)
    fresh = tf.Variable(0.0)
    assert Checkpoints(folder, 10.0, ("step",), value=fresh).restore() == {"step": 4}
    loaded = tf.Variable(0.0)
    load_from(folder, value=loaded)
    assert fresh.numpy() == loaded.numpy() == 4.0


def test_a_folder_may_be_moved_and_named_relative_to_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("runs/old")
    value = tf.Variable(3.0)
    Checkpoints(Path("runs/old"), 10.0, ("step",), value=value).save(step=1)
    os.rename("runs/old", "moved")
    monkeypatch.chdir("moved")
    for folder in (Path(), tmp_path / "moved"):
        fresh = tf.Variable(0.0)
        assert Checkpoints(folder, 10.0, ("step",), value=fresh).restore() == {"step": 1}
        load_from(folder, value=fresh)
        assert fresh.numpy() == 3.0
