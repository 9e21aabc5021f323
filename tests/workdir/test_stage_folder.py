"""Files of a work directory: whole or not at all, and only continued with the same config."""

import json
import os

import ml_collections
import pytest

from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.workdir.records import JsonLines, read_json, recorded_config, write_json
from tf_darts.workdir.stage_folder import StageFolder


def test_json_comes_back_with_its_schema_version(tmp_path):
    path = tmp_path / "größe.json"
    write_json(path, {"loss": 0.1, "names": ["ä"]})
    assert read_json(path) == {"schema_version": 1, "loss": 0.1, "names": ["ä"]}
    assert json.loads(path.read_text()) == read_json(path)


def test_json_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_json(path, {"old": 1})

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        write_json(path, {"new": 2})
    assert read_json(path)["old"] == 1
    assert os.listdir(tmp_path) == ["result.json"]  # no temporary file is left


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ('{"schema_version": 1, ', "cannot be read"),
        ("[1]", "schema_version is not 1"),
        ('{"schema_version": 2}', "schema_version is not 1"),
    ],
)
def test_json_that_is_no_use_is_one_clear_error(tmp_path, text, message):
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_json(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines_are_appended_and_read_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    lines.append({"step": 1}, {"step": 2})
    lines.append({"step": 3})
    assert lines.rows == rows(path) == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert JsonLines(path, keep=lambda row: True).rows == lines.rows


def test_rows_that_are_done_again_are_dropped_with_all_that_follow(tmp_path):
    path = tmp_path / "metrics.jsonl"
    JsonLines(path).append({"step": 1}, {"step": 2}, {"step": 3}, {"step": 1})
    lines = JsonLines(path, keep=lambda row: row["step"] <= 2)
    assert lines.rows == rows(path) == [{"step": 1}, {"step": 2}]
    lines.append({"step": 3})
    assert rows(path) == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert JsonLines(path).rows == rows(path) == []  # by default everything is new


@pytest.mark.parametrize(
    "half", [b'{"step": 2, "lo', b'{"step": 2', b"{", b'"', b"\0\0\0", b"\xff", b"17", b"null"]
)
def test_a_last_line_that_was_not_written_whole_is_dropped(tmp_path, half):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + half)
    lines = JsonLines(path, keep=lambda row: row["step"] <= 5)
    assert lines.rows == rows(path) == [{"step": 1}]
    lines.append({"step": 2})
    assert rows(path) == [{"step": 1}, {"step": 2}]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    JsonLines(path, keep=lambda row: True).append({"step": 3})
    assert [row["step"] for row in rows(path)] == [1, 2, 3]


def stage(workdir, more=None, **fields):
    config = config_lib.default()
    config.update_from_flattened_dict({name.replace("__", "."): value for name, value in fields.items()})
    return StageFolder(workdir, "search", config, ("data", "search"), more)


def test_a_folder_that_may_not_be_looked_into_is_one_line(tmp_path, monkeypatch):
    def denied(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.stat", denied)
    with pytest.raises(UserError, match="config.json cannot be read: Permission denied"):
        stage(tmp_path).check()


def test_a_stage_records_its_config_and_that_of_the_run(tmp_path):
    workdir = tmp_path / "läufe 1"
    folder = stage(workdir, seed=3, search__epochs=7).open()
    assert folder == workdir / "search" and folder.is_dir()
    recorded = read_json(folder / "config.json")
    assert set(recorded["config"]) == {"seed", "space", "data", "search"}
    assert recorded["config"]["search"]["epochs"] == 7
    assert set(recorded["versions"]) == {"tf_darts", "tensorflow", "keras", "numpy", "python"}
    whole = recorded_config(workdir)
    assert isinstance(whole, ml_collections.ConfigDict) and config_lib.validate(whole) == whole
    assert (whole.seed, whole.search.epochs, whole.training.epochs) == (3, 7, 600)


def test_a_stage_is_continued_with_the_same_config(tmp_path):
    stage(tmp_path).check()  # nothing there yet
    stage(tmp_path).open()
    assert stage(tmp_path).open() == tmp_path / "search"


def test_what_a_stage_does_not_depend_on_may_change(tmp_path):
    stage(tmp_path).open()
    other = stage(tmp_path, runtime__steps_per_call=1, runtime__tensorboard=False, training__epochs=1)
    assert other.open() == tmp_path / "search"
    assert recorded_config(tmp_path).training.epochs == 600  # what the run started with


def test_another_config_is_refused_and_the_fields_are_named(tmp_path):
    stage(tmp_path).open()
    before = {path: path.read_text() for path in tmp_path.rglob("*.json")}
    other = stage(tmp_path, seed=1, search__epochs=7, data__split="order")
    for method in (other.check, other.open):
        with pytest.raises(UserError, match="was made with another config") as error:
            method()
        message = str(error.value)
        for part in ("seed: 0 -> 1", "search.epochs: 50 -> 7", "data.split: 'seed' -> 'order'", "--workdir"):
            assert part in message
        assert "\n" not in message and "training" not in message
    assert {path: path.read_text() for path in tmp_path.rglob("*.json")} == before


def test_a_field_that_is_new_since_counts_as_its_default(tmp_path):
    config = config_lib.default()
    folder = StageFolder(tmp_path, "search", config, ("data", "search")).open()
    old = json.loads((folder / "config.json").read_text())
    del old["config"]["search"]["momentum"], old["config"]["data"]
    (folder / "config.json").write_text(json.dumps(old))
    StageFolder(tmp_path, "search", config, ("data", "search")).check()
    config.search.momentum = 0.8
    with pytest.raises(UserError, match="search.momentum: 0.9 -> 0.8"):
        StageFolder(tmp_path, "search", config, ("data", "search")).check()


def test_what_else_a_stage_depends_on_counts_too(tmp_path):
    stage(tmp_path, {"genotype": "a"}).open()
    stage(tmp_path, {"genotype": "a"}).check()
    with pytest.raises(UserError, match="genotype: 'a' -> 'b'"):
        stage(tmp_path, {"genotype": "b"}).check()


def test_a_work_directory_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--workdir: .* cannot be made: "):
        stage(tmp_path / "file").open()


def test_without_a_recorded_config_one_is_asked_for(tmp_path):
    with pytest.raises(UserError, match="has no config.json; give --config, or run a search there first"):
        recorded_config(tmp_path)


def test_another_selection_of_the_same_search_needs_a_name_alone(tmp_path):
    def selection(**fields):
        config = config_lib.default()
        config.update_from_flattened_dict({name.replace("__", "."): value for name, value in fields.items()})
        return StageFolder(tmp_path, "selection/perturbation", config, ("data", "search", "selection"))

    selection().open()
    with pytest.raises(
        UserError, match=r"selection\.interval: .*Use --config\.selection\.name=NAME for another"
    ):
        selection(selection__interval=1).check()
    with pytest.raises(
        UserError, match=r"seed: 0 -> 1; selection.*Use another --workdir, or the same config"
    ):
        selection(selection__interval=1, seed=1).check()
