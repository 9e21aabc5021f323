"""One process at a time works on a work directory.

The lock is the kernel's (`flock`) on WORKDIR/lock.json, so that it ends with its process, however that ends.
The file says who holds it. Some network file systems keep such locks to one machine, and some have none: a
process whose record is of another machine, or any where there are no locks, is therefore watched for a while
first: while its heart beats, it is at work.
"""

import contextlib
import errno
import fcntl
import getpass
import json
import os
import pathlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO

from tf_darts.errors import UserError
from tf_darts.workdir import files

NAME = "lock.json"
BEAT = 5.0  # seconds between two signs of life
_held: set[pathlib.Path] = set()


@contextlib.contextmanager
def held(workdir: str | pathlib.Path, again: bool = False, beat: float = BEAT) -> Iterator[None]:
    """Keep other processes from a work directory while its block runs; makes the folder if need be.

    What killed processes have left half written there is removed.

    Args:
      workdir: the work directory.
      again: whether it is enough that this process holds the lock already.
      beat: seconds between two signs of life.

    Raises:
      UserError: another process is at work there, and who; or the folder cannot be written.
    """
    folder = pathlib.Path(workdir).absolute()
    if again and folder in _held:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"--workdir: {folder} cannot be made or written: {files.reason(error)}") from None
    with file:
        _take(folder, file, beat)
        over = threading.Event()
        heart = threading.Thread(target=_beat, args=(folder / NAME, beat, over), daemon=True)
        heart.start()
        _held.add(folder)
        try:
            files.remove_leftovers(folder)
            yield
        finally:
            _held.discard(folder)
            over.set()
            heart.join()
            with contextlib.suppress(OSError):
                file.truncate(0)  # not removed: another process may have opened it by now


def _take(folder: pathlib.Path, file: IO[str], beat: float) -> None:
    host, locks = os.uname().nodename, True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _at_work(folder, _record(file)) from None
        locks = False  # a file system without them
    before = _record(file)
    died = locks and before.get("host", host) == host  # else its lock would not have been free
    if before and not died and _beats(folder / NAME, 3 * beat):
        raise _at_work(folder, before)
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    owner = {"owner": _user(), "host": host, "process": os.getpid(), "since": now}
    try:
        file.truncate(0)
        file.write(json.dumps({"schema_version": 1, **owner, "command": " ".join(sys.argv)[:500]}) + "\n")
        file.flush()
    except OSError as error:
        raise UserError(f"--workdir: {folder / NAME} cannot be written: {files.reason(error)}") from None


def _record(file: IO[str]) -> dict:
    """Return who holds the lock, as far as can be read."""
    file.seek(0)
    try:
        record = json.loads(file.read())
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _at_work(folder: pathlib.Path, record: dict) -> UserError:
    known = [f"{name} {record[name]}" for name in ("owner", "host", "process", "since") if name in record]
    return UserError(
        f"--workdir: {folder}: another process is at work on it ({', '.join(known) or 'unknown'})"
    )


def _beat(path: pathlib.Path, beat: float, over: threading.Event) -> None:
    while not over.wait(beat):
        with contextlib.suppress(OSError):
            os.utime(path)


def _beats(path: pathlib.Path, seconds: float) -> bool:
    """Return whether a file is touched within so many seconds, whatever the clocks of two machines say."""
    first, end = path.stat().st_mtime_ns, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(seconds / 20)
        if path.stat().st_mtime_ns != first:
            return True
    return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in some containers
        return str(os.getuid())
