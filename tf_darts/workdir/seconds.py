"""How long a stage took: wall-clock seconds that survive a kill, in the stage's `seconds.json`.

Beside them the seconds of all cores (of the process, and of the children that it has waited for), the number
of starts, the most memory that a process that worked on it had taken by then, and what computed the
last start (`runtime.kernels`, `runtime.xla`).

Apart from result.json, which is the same however often the stage was interrupted.
"""

import contextlib
import os
import pathlib
import threading
import time
from collections.abc import Iterator, Mapping

from tf_darts.runtime import host
from tf_darts.workdir.records import read_json, write_json

EVERY = 30.0  # seconds between two writings: what a kill loses at most
NAME = "seconds.json"


@contextlib.contextmanager
def recorded(
    folder: pathlib.Path, every: float = EVERY, computed_by: Mapping[str, str] | None = None
) -> Iterator[pathlib.Path]:
    """Add the time that the block takes to what the folder has recorded before; yield the folder.

    Work that a kill undid and that is done again counts each time.

    Args:
      folder: the stage's folder, which exists.
      every: seconds between two writings.
      computed_by: what computes the stage, beside the time (`stage_folder.COMPUTED_BY`).
    """
    path = folder / NAME
    before = read_json(path) if path.exists() else {"seconds": 0.0, "starts": 0}
    begun, cpu_begun, over = time.monotonic(), cpu_seconds(), threading.Event()

    def write() -> None:
        seconds = before["seconds"] + time.monotonic() - begun
        peak = max(before.get("peak_bytes", 0), host.peak_memory())
        # One that was begun by a version without them has no sum of them.
        known = not before["starts"] or "cpu_seconds" in before
        cpu = before.get("cpu_seconds", 0.0) + cpu_seconds() - cpu_begun
        content: dict[str, float | str] = {"seconds": round(seconds, 3)}
        if known:
            content["cpu_seconds"] = round(cpu, 3)
        content |= computed_by or {}
        write_json(path, content | {"starts": before["starts"] + 1, "peak_bytes": peak})

    def keep_writing() -> None:
        while not over.wait(every):
            write()

    write()
    writer = threading.Thread(target=keep_writing, daemon=True)
    writer.start()
    try:
        yield folder
    finally:
        over.set()
        writer.join()
        write()


def cpu_seconds() -> float:
    """Return the seconds of all cores that this process has taken, with the children that are over."""
    return sum(os.times()[:4])


def of(folder: pathlib.Path, which: str = "seconds") -> float | None:
    """Return what a stage's folder has recorded, in seconds; None: nothing.

    Args:
      folder: the stage's.
      which: "seconds", of the clock on the wall, or "cpu_seconds", of all cores.
    """
    path = folder / NAME
    return read_json(path).get(which) if path.exists() else None
