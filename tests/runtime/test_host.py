"""What is said of the process's memory is what it takes."""

import pathlib
import subprocess
import sys

import pytest

from tf_darts.runtime import host

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEW = 64 * 2**20

on_linux = pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="/proc is Linux's")


@on_linux
def test_memory_held_grows_by_what_is_written():
    before = host.held_memory()
    taken = bytearray(NEW)
    taken[::1024] = bytes([1]) * (NEW // 1024)  # a page counts once it is written to
    assert 0.9 * NEW < host.held_memory() - before < 1.5 * NEW


@on_linux
def test_memory_swapped_out_counts(monkeypatch):
    status = "VmPeak:\t 900 kB\nVmHWM:\t  70 kB\nVmRSS:\t  50 kB\nVmData:\t 8 kB\nVmSwap:\t  25 kB\n"
    monkeypatch.setattr(pathlib.Path, "read_text", lambda path, encoding: status)
    assert host.held_memory() == 75 * 1024


def test_the_peak_grows_by_what_is_written_and_stays():
    program = f"""
from tf_darts.runtime import host
before = host.peak_memory()
taken = bytearray({NEW})
taken[::1024] = bytes([1]) * {NEW // 1024}
del taken
print(host.peak_memory() - before)
"""
    # In a process of its own, since the peak of this one lies with earlier tests; and a shell's child, since
    # Linux counts as a process's what its parent had.
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0.8 * NEW < int(done.stdout) < 1.5 * NEW
