"""The fault table of docs/reliability.md, row by row, on whole programs: slow, as each is started for it.

Damage to single files, the lock and the guard have tests of their own beside this one.
"""

import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from tests.faults import small
from tests.forking import Programs

pytestmark = pytest.mark.slow
STEP = "tf_darts.workdir.metrics:Metrics.steps"


@pytest.fixture(scope="module")
def programs():
    server = Programs()
    yield server
    server.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a config, and the undisturbed search in `undisturbed`."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def wanted(programs, folder):
    ended = programs.call("search", *small.arguments(folder, "undisturbed"), cwd=folder)
    assert ended.status == 0, ended.err
    return small.results(folder / "undisturbed")


@pytest.fixture
def search(programs, folder, tmp_path):
    """`search(*arguments, faults=(), workdir=tmp_path / "run")` runs bin/search to its end."""

    def search(*arguments, faults=(), workdir=tmp_path / "run"):
        arguments = [*small.arguments(folder, str(workdir)), *arguments]
        return programs.call("search", *arguments, cwd=folder, faults=faults)

    return search


def error_of(ended):
    assert ended.status == 2 and ended.err.startswith("error: "), ended
    return ended.err.splitlines()[-1]


def last_line(ended):
    assert ended.status == 2, ended
    assert ended.err.splitlines()[-1].startswith("error: "), ended.err
    return ended.err.splitlines()[-1]


def assert_as_wanted(workdir, wanted):
    assert small.differences(small.results(workdir), wanted) == []
    assert small.faulty_rows(workdir) == []


def killed(search, number=4, **others):
    """A search that was killed after so many steps."""
    assert search(faults=[("kill_at", [STEP, number, "after"])], **others).status == -9


@pytest.mark.parametrize("name", ["index", "data-00000-of-00001", "json"])
def test_a_flipped_bit_in_a_checkpoint(search, tmp_path, wanted, name):
    killed(search)
    (path,) = sorted((tmp_path / "run" / "search" / "checkpoints").glob(f"*.{name}"))[-1:]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)
    ended = search()
    assert ended.status == 0 and "warning: checkpoint file " in ended.err, ended.err
    assert str(path) in ended.err
    assert_as_wanted(tmp_path / "run", wanted)


def test_a_finished_search_whose_last_checkpoint_is_damaged(search, programs, folder, tmp_path, wanted):
    shutil.copytree(folder / "undisturbed", tmp_path / "run")
    (path,) = sorted((tmp_path / "run" / "search" / "checkpoints").glob("*.data*"))[-1:]
    os.truncate(path, path.stat().st_size - 1)
    arguments = [*small.arguments(folder, str(tmp_path / "run")), "--method=magnitude"]
    assert f"{path}, or its checksum in" in last_line(programs.call("select", *arguments, cwd=folder))
    ended = search()
    assert ended.status == 0 and "warning: " in ended.err and str(path) in ended.err
    shutil.rmtree(tmp_path / "run" / "selection")  # where selecting stopped
    assert_as_wanted(tmp_path / "run", wanted)


def test_a_disk_that_is_full(search, tmp_path, wanted):
    """A file system of 200 kB, which is enough for the first checkpoint or so; then of 50 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("mounting a file system needs the rights of root")
    try:
        ended = search(workdir=disk / "run")
        assert "cannot be written" in last_line(ended) and "space" in last_line(ended).lower(), ended.err
        assert "Traceback" not in ended.err
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        ended = search(workdir=disk / "run")
        assert ended.status == 0, ended.err
        assert_as_wanted(disk / "run", wanted)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_file_that_may_not_grow(search, tmp_path, wanted):
    ended = search(faults=[("no_more_than", [3000])])
    assert "cannot be written" in last_line(ended) and "File too large" in last_line(ended), ended.err
    assert search().status == 0
    assert_as_wanted(tmp_path / "run", wanted)


@pytest.fixture
def for_all(folder, tmp_path):
    """Has every user reach the test's folders, which are those of one user."""
    ours = itertools.takewhile(lambda path: path != Path(tempfile.gettempdir()), tmp_path.parents)
    folders = [folder, tmp_path, *ours]
    modes = [path.stat().st_mode for path in folders]
    for path in folders:
        path.chmod(0o755)
    yield
    for path, mode in zip(folders, modes, strict=True):
        path.chmod(mode)


def test_a_folder_without_write_permission(search, for_all, tmp_path, wanted):
    run = tmp_path / "run"
    run.mkdir()
    nobody = [("as_nobody", [])]
    if os.getuid():
        run.chmod(0o555)
    assert "Permission denied" in last_line(search(faults=nobody))
    assert list(run.iterdir()) == []
    run.chmod(0o777)
    killed_by = [("as_nobody", []), ("kill_at", [STEP, 4, "after"])]
    assert search(faults=killed_by).status == -9
    folders = [path for path in (run, *run.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    (run / "lock.json").chmod(0o444)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    if os.getuid() == 0:
        assert "Permission denied" in last_line(search(faults=nobody))
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    for path in folders:
        path.chmod(0o777)
    (run / "lock.json").chmod(0o666)
    assert search(faults=nobody).status == 0
    assert_as_wanted(run, wanted)


def test_a_file_system_that_fails_in_the_middle(search, tmp_path, wanted):
    for point, number in (("os:fsync", 9), ("os:replace", 6), ("os:fsync", 12)):
        ended = search(faults=[("fail_at", [point, number])])
        assert "Input/output error" in last_line(ended) and "Traceback" not in ended.err, ended.err
    assert search().status == 0
    assert_as_wanted(tmp_path / "run", wanted)


def test_two_processes_on_one_work_directory(search, folder, tmp_path, wanted):
    first = Programs()
    arguments = small.arguments(folder, str(tmp_path / "run"))
    number = first.start("search", *arguments, cwd=folder, faults=[("stall_at", [STEP, 2, 600.0])])
    while not (tmp_path / "run" / "search" / "metrics.jsonl").exists():
        assert first.wait(0.2) is None
    line = last_line(search())
    assert f"another process is at work on it (owner {small_user()}, host {os.uname().nodename}" in line
    assert f"process {number}" in line
    assert first.kill().status == -9
    first.close()
    assert search().status == 0
    assert_as_wanted(tmp_path / "run", wanted)


def small_user():
    import getpass

    return getpass.getuser()


def test_another_config_between_runs(search, tmp_path, wanted):
    killed(search)
    line = last_line(search("--config.search.momentum=0.5", "--config.seed=1"))
    assert "was made with another config: " in line
    assert "search.momentum: 0.9 -> 0.5" in line and "seed: 0 -> 1" in line
    assert search("--config.runtime.steps_per_call=3").status == 0  # how, not what
    assert_as_wanted(tmp_path / "run", wanted)


def test_another_version_between_runs(search, tmp_path, wanted):
    killed(search)
    path = tmp_path / "run" / "search" / "config.json"
    content = json.loads(path.read_text())
    content["versions"]["tensorflow"] = "2.0.0"
    path.write_text(json.dumps(content))
    ended = search()
    assert ended.status == 0 and "begun with other versions (tensorflow: '2.0.0' -> " in ended.err
    names = ("search/config.json", "search/SHA256SUMS")  # differ by the edit itself
    assert [n for n in small.differences(small.results(tmp_path / "run"), wanted) if n not in names] == []
    content["schema_version"] = 2
    path.unlink()
    (tmp_path / "run" / "search" / "SHA256SUMS").unlink()
    path.write_text(json.dumps(content))
    assert "schema_version is not 1 but 2; a newer tf_darts wrote it" in last_line(search())


def test_a_clock_that_goes_backwards(search, tmp_path, wanted):
    clock = ("clock_backwards", [])
    assert search(faults=[clock, ("kill_at", [STEP, 4, "after"])]).status == -9
    assert search(faults=[clock]).status == 0
    assert_as_wanted(tmp_path / "run", wanted)


def test_data_that_fail_or_stall(programs, folder, tmp_path):
    digits = datasets.load_digits()
    images, labels = np.uint8(digits.images)[..., None], np.int32(digits.target)
    data, run = tmp_path / "data.npz", tmp_path / "run"
    np.savez(data, x_train=images[:96], y_train=labels[:96], x_test=images[-32:], y_test=labels[-32:])
    whole = data.read_bytes()
    arguments = ["--config.data.source=npz", f"--data_dir={data}"]

    def search(name="run", faults=()):
        flags = [*small.arguments(folder, str(tmp_path / name)), *arguments]
        return programs.call("search", *flags, cwd=folder, faults=faults)

    assert search("undisturbed").status == 0
    # It stalls at the start: nothing is written yet.
    flags = [*small.arguments(folder, str(run)), *arguments]
    programs.start(
        "search", *flags, cwd=folder, faults=[("stall_at", ["tf_darts.data.sources:check", 1, 600.0])]
    )
    time.sleep(3)
    assert programs.kill().status == -9 and not run.exists()
    assert search(faults=[("kill_at", [STEP, 4, "after"])]).status == -9
    for damaged in (whole[:-1000], whole[:3000] + b"\0" + whole[3001:], b""):
        data.write_bytes(damaged)
        assert f"data.path is '{data}'" in error_of(search())
    data.unlink()
    assert "no such file" in error_of(search())
    data.write_bytes(whole)
    assert "Input/output error" in error_of(search(faults=[("fail_at", ["numpy:load", 1])]))
    assert search().status == 0
    assert small.differences(small.results(run), small.results(tmp_path / "undisturbed")) == []
