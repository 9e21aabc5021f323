"""Damage to files of a work directory: what is whole is used and what is not is named."""

import errno
import os
import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.workdir import checkpoints as checkpoints_lib
from tf_darts.workdir import files, genotype_file
from tf_darts.workdir.checkpoints import Checkpoints, load_from
from tf_darts.workdir.metrics import Metrics
from tf_darts.workdir.records import JsonLines, as_json, finish, read_json, read_lines


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove(path):
    path.unlink()


DAMAGES = [truncate, flip, remove]


def make(folder, value=None, kept=2):
    value = tf.Variable(tf.zeros(50), name="value") if value is None else value
    return value, Checkpoints(folder, 0.0, ("step",), kept=kept, value=value)


@pytest.fixture
def stage(tmp_path):
    """A stage with 3 steps of rows and its last two checkpoints, of the steps 2 and 3."""
    value, checkpoints = make(tmp_path)
    metrics = Metrics(tmp_path, 0, False, "search")
    for step in range(3):
        value.assign_add(tf.ones(50))
        metrics.steps(step, {"loss": np.array([0.5 * step])}, 0)
        checkpoints.save(step=step + 1)
    return tmp_path


def restored(folder):
    value, checkpoints = make(folder)
    step = checkpoints.restore()["step"]
    assert (value.numpy() == step).all()
    return step


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["ckpt-3.index", "ckpt-3.data-00000-of-00001", "ckpt-3.json"])
def test_the_checkpoint_before_a_damaged_one_is_used_and_the_damaged_one_named(stage, capsys, name, damage):
    damage(stage / "checkpoints" / name)
    if (name, damage) == ("ckpt-3.json", remove):  # as where a process is killed before it is written
        assert restored(stage) == 3
        return
    assert restored(stage) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(stage / "checkpoints" / name) in err
    assert "warning: " in err and err.endswith("continuing from ckpt-2\n")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_list_of_checkpoints_loses_nothing(stage, damage):
    damage(stage / "checkpoints" / "checkpoint")
    assert restored(stage) == 3
    (stage / "checkpoints" / "checkpoint").write_bytes(b"\xff\xfe\x00")
    value, checkpoints = make(stage)
    assert checkpoints.restore() == {"step": 3}
    value.assign_add(tf.ones(50))
    checkpoints.save(step=4)
    assert restored(stage) == 4


def test_after_a_damaged_checkpoint_the_next_takes_a_new_number_and_the_bad_one_goes(stage):
    flip(stage / "checkpoints" / "ckpt-3.index")
    value, checkpoints = make(stage)
    assert checkpoints.restore() == {"step": 2}
    for step in (3, 4):
        value.assign_add(tf.ones(50))
        checkpoints.save(step=step)
    assert restored(stage) == 4
    names = {path.name for path in (stage / "checkpoints").iterdir()}
    files_of = [{f"ckpt-{n}.index", f"ckpt-{n}.json", f"ckpt-{n}.data-00000-of-00001"} for n in (4, 5)]
    assert names == {"checkpoint", *files_of[0], *files_of[1]}


def test_without_a_whole_checkpoint_nothing_is_begun_anew_by_itself(stage):
    for number in (2, 3):
        truncate(stage / "checkpoints" / f"ckpt-{number}.index")
    with pytest.raises(UserError, match="no checkpoint is whole: remove") as error:
        restored(stage)
    assert "ckpt-2.index" in str(error.value) and "ckpt-3.index" in str(error.value)


def test_rows_that_do_not_belong_to_the_newest_checkpoint_lead_to_the_one_before(stage, capsys):
    path = stage / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2].replace("1.0", "1.5"))
    assert restored(stage) == 2
    assert (
        f"{path}, or its checksum in {stage / 'checkpoints' / 'ckpt-3.json'}, is damaged"
        in capsys.readouterr().err
    )
    path.write_text(lines[0].replace("0.0", "9.0") + "".join(lines[1:]))
    with pytest.raises(
        UserError, match="metrics.jsonl, or its checksum .*, is damaged; no checkpoint is whole"
    ):
        restored(stage)
    path.unlink()
    with pytest.raises(UserError, match="metrics.jsonl cannot be read: No such file"):
        restored(stage)


def test_another_stage_never_reads_an_earlier_checkpoint_than_the_last(stage):
    value = tf.Variable(tf.zeros(50), name="value")
    load_from(stage, value=value)
    assert (value.numpy() == 3).all()
    flip(stage / "checkpoints" / "ckpt-3.data-00000-of-00001")
    with pytest.raises(UserError, match="ckpt-3.data-00000-of-00001, or .* damaged. Run the stage before"):
        load_from(stage, value=value)
    assert "ckpt-3" in checkpoints_lib.fault_of_newest(stage)


def test_checkpoints_of_an_earlier_version_have_only_tensorflows_checksums(stage, capsys):
    for path in (stage / "checkpoints").glob("*.json"):
        path.unlink()
    assert restored(stage) == 3 and capsys.readouterr().err == ""
    flip(stage / "checkpoints" / "ckpt-3.data-00000-of-00001")
    assert restored(stage) == 2
    assert "ckpt-3 is damaged" in capsys.readouterr().err


def test_a_state_that_is_not_finite_is_not_saved(stage):
    value, checkpoints = make(stage)
    checkpoints.restore()
    value.assign(tf.fill([50], np.nan))
    with pytest.raises(UserError, match="value:0 is not finite: nothing is saved"):
        checkpoints.save(step=4)
    assert restored(stage) == 3


def test_a_checkpoint_that_cannot_be_written_is_one_line(stage):
    _, checkpoints = make(stage)
    checkpoints.restore()
    shutil.rmtree(stage / "checkpoints")
    (stage / "checkpoints").write_text("")  # TensorFlow's own error
    with pytest.raises(UserError, match="a checkpoint cannot be written to ") as error:
        checkpoints.save(step=4)
    assert "\n" not in str(error.value)


def test_rows_that_cannot_be_written_are_one_line(tmp_path, monkeypatch):
    lines = JsonLines(tmp_path / "metrics.jsonl")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="metrics.jsonl' cannot be written: No space left on device"):
        lines.append({"step": 1})


@pytest.fixture
def finished(tmp_path):
    """A finished stage."""
    JsonLines(tmp_path / "decisions.jsonl").append({"number": 0}, {"number": 1})
    (tmp_path / "config.json").write_bytes(as_json({"config": {"seed": 0}}))
    finish(tmp_path / "result.json", as_json({"alpha": [0.25, 0.5]}))
    finish(tmp_path / "genotype.json", PUBLISHED["blank_pt_s1_1"].to_json().encode())
    return tmp_path


READERS = {
    "result.json": read_json,
    "config.json": read_json,
    "decisions.jsonl": read_lines,
    "genotype.json": genotype_file.load,
}


@pytest.mark.parametrize("name", READERS)
def test_a_finished_stage_has_checksums_as_sha256sum_reads_them(finished, name):
    READERS[name](finished / name)
    lines = (finished / files.SUMS).read_text().splitlines()
    assert f"{files.sha256(finished / name)}  {name}" in lines and len(lines) == 4


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_text(path.read_text() + " ")])
def test_a_result_that_is_not_what_was_written_is_refused_by_name(finished, name, damage):
    damage(finished / name)
    with pytest.raises(
        UserError, match="is damaged or was changed: its SHA-256 is not that in SHA256SUMS"
    ) as e:
        READERS[name](finished / name)
    assert str(finished / name) in str(e.value) and "\n" not in str(e.value)


def test_damaged_checksums_are_named(finished):
    (finished / files.SUMS).write_text("what\n")
    with pytest.raises(UserError, match="SHA256SUMS is damaged: 'what' is not a checksum and a name"):
        read_json(finished / "result.json")
    (finished / files.SUMS).write_bytes(b"\xff\xff")
    with pytest.raises(UserError, match="SHA256SUMS cannot be read"):
        read_json(finished / "result.json")


def test_every_single_bit_of_a_result_is_guarded(finished):
    data = (finished / "result.json").read_bytes()
    for place in range(0, 8 * len(data), 7):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        (finished / "result.json").write_bytes(damaged)
        with pytest.raises(UserError, match="result.json"):
            read_json(finished / "result.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema_version": 2, "config": {}}', "is not 1 but 2; a newer tf_darts wrote it and can read it"),
        ('{"schema_version": 0, "config": {}}', "is not 1 but 0"),
        ('{"config": {}}', "is not 1 but None"),
    ],
)
def test_another_schema_is_refused(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="schema_version " + message):
        read_json(tmp_path / "config.json")


def test_files_are_whole_for_whoever_reads_while_they_are_written(tmp_path):
    path, over = tmp_path / "result.json", threading.Event()
    path.write_bytes(b"0" * 50_000)

    def write():
        for number in range(200):
            files.write_atomically(path, str(number % 10).encode() * 50_000)
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not over.is_set():
        data = path.read_bytes()
        assert data == data[:1] * 50_000
    writer.join()
    assert os.listdir(tmp_path) == ["result.json"]


def test_only_what_is_left_of_writing_is_removed(tmp_path):
    for name in (".result.json.0a1b2c3d.tmp", "a.tmp", ".hidden", ".b.tmp"):
        (tmp_path / name).write_text("")
    files.remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".b.tmp", ".hidden", "a.tmp"]
