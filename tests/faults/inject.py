"""Faults, put into a process before its program starts. Nothing in tf_darts knows of them.

A point is the call of a function: "module:name" or "module:Class.name", the number of the call (from 1), and
whether something happens before it, after it, or (for a file being written) half way.
"""

import errno
import functools
import importlib
import os
import resource
import signal
import time


def kill_at(point: str, number: int, when: str) -> None:
    """Kills the process at a point: `when` is "before" or "after"."""
    _at(point, number, when, lambda: os.kill(os.getpid(), signal.SIGKILL))


def fail_at(point: str, number: int, code: int = errno.EIO) -> None:
    """Has the call raise an OSError instead of doing anything."""

    def fail():
        raise OSError(code, os.strerror(code))

    _at(point, number, "before", fail)


def stall_at(point: str, number: int, seconds: float) -> None:
    """Has the call take so many seconds longer."""
    _at(point, number, "before", lambda: time.sleep(seconds))


def kill_within_a_row(number: int) -> None:
    """Kills the process when half of a row is written (to any .jsonl file)."""
    from tf_darts.workdir.records import JsonLines

    append, calls = JsonLines.append, []

    @functools.wraps(append)
    def half(self, *rows):
        calls.append(None)
        if len(calls) == number:
            size = self.path.stat().st_size
            append(self, *rows)
            os.truncate(self.path, size + (self.path.stat().st_size - size) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, *rows)

    JsonLines.append = half


def no_more_than(size: int) -> None:
    """Lets no file grow beyond a size, bytes: writing fails as on a full disk, with another reason."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def as_nobody() -> None:
    """Gives up the rights of root, for which write permission means nothing."""
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def clock_backwards() -> None:
    """Has the wall clock go back by an hour at every look at it."""
    now = [time.time()]

    def earlier() -> float:
        now[0] -= 3600.0
        return now[0]

    time.time = earlier


def _at(point: str, number: int, when: str, act) -> None:
    module, _, path = point.partition(":")
    owner = importlib.import_module(module)
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    function, calls = getattr(owner, name), []

    @functools.wraps(function)
    def patched(*arguments, **keywords):
        calls.append(None)
        now = len(calls) == number
        if now and when == "before":
            act()
        result = function(*arguments, **keywords)
        if now and when == "after":
            act()
        return result

    setattr(owner, name, patched)
