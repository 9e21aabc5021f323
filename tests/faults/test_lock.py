"""One process at a time on a work directory."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.forking import ROOT
from tf_darts.errors import UserError
from tf_darts.workdir import lock

HOLD = """
import sys
from tf_darts.workdir import lock
with lock.held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of tmp_path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_told_who_is_at_work(tmp_path, other):
    with pytest.raises(UserError, match="another process is at work on it") as error, lock.held(tmp_path):
        pass
    message = str(error.value)
    assert f"process {other.pid}" in message and f"host {os.uname().nodename}" in message
    assert "owner " in message and "since 20" in message and str(tmp_path) in message
    assert json.loads((tmp_path / lock.NAME).read_text())["schema_version"] == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_the_lock_ends_with_its_process_however_that_ends(tmp_path, other, end):
    if end:
        other.send_signal(end)
    else:
        other.stdin.close()
    other.wait()
    (tmp_path / ".result.json.0a1b2c3d.tmp").write_text("half")
    with lock.held(tmp_path):
        assert json.loads((tmp_path / lock.NAME).read_text())["process"] == os.getpid()
        assert os.listdir(tmp_path) == [lock.NAME]  # what was half written is gone
    assert (tmp_path / lock.NAME).read_text() == ""


def test_within_a_process_the_lock_serves_where_it_is_asked_to(tmp_path):
    with lock.held(tmp_path):
        with lock.held(tmp_path, again=True):
            pass
        with pytest.raises(UserError, match="at work"), lock.held(tmp_path):
            pass
    with lock.held(tmp_path / "a" / "b", again=True):
        assert (tmp_path / "a" / "b" / lock.NAME).exists()


def leave_record(folder, host):
    record = {"owner": "someone", "host": host, "process": 7, "since": "2026-01-01T00:00:00+0000"}
    (folder / lock.NAME).write_text(json.dumps(record))


@pytest.fixture(params=["elsewhere", "here without locks"])
def owner_host(request, monkeypatch):
    """The host of a process that no lock of the kernel shows."""
    if request.param == "elsewhere":
        return request.param

    def refuse(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    return os.uname().nodename


def test_a_process_that_no_lock_shows_is_at_work_as_long_as_its_heart_beats(tmp_path, owner_host):
    leave_record(tmp_path, owner_host)
    over = threading.Event()
    heart = threading.Thread(target=lock._beat, args=(tmp_path / lock.NAME, 0.05, over))
    heart.start()
    try:
        with pytest.raises(UserError, match=f"owner someone, host {owner_host}, process 7"):
            lock.held(tmp_path, beat=1.0).__enter__()
    finally:
        over.set()
        heart.join()
    with lock.held(tmp_path, beat=0.05):
        assert json.loads((tmp_path / lock.NAME).read_text())["host"] == os.uname().nodename


def test_one_that_died_on_this_machine_is_not_waited_for(tmp_path):
    leave_record(tmp_path, os.uname().nodename)
    begun = time.monotonic()
    with lock.held(tmp_path, beat=60.0):
        pass
    assert time.monotonic() - begun < 10


def test_without_locks_and_a_record_there_is_nothing_to_wait_for(tmp_path, owner_host):
    begun = time.monotonic()
    with lock.held(tmp_path, beat=60.0):
        assert json.loads((tmp_path / lock.NAME).read_text())["process"] == os.getpid()
    assert time.monotonic() - begun < 10


def test_a_damaged_record_is_no_obstacle(tmp_path):
    (tmp_path / lock.NAME).write_bytes(b"\xff{")
    with lock.held(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--workdir: .*file/run cannot be made or written: Not a directory"):
        lock.held(tmp_path / "file" / "run").__enter__()
