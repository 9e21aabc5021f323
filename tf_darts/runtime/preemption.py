"""Leaving when asked to: SIGTERM, as a cloud sends it before it takes a machine and SLURM before time is up.

The stage goes on to the end of its call of compiled steps, saves, and the process ends with exit status 143.
A second SIGTERM, some seconds later, ends it at once; what is lost then is what was done since the last
checkpoint. Of several processes all leave together, at the same step, whichever was asked.
"""

import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

STATUS = 128 + signal.SIGTERM

# One request may come twice: a machine that shuts down asks every process, and one may pass it on to another.
TOGETHER = 2.0  # seconds

_asked = threading.Event()
_asked_at = 0.0


def watch() -> None:
    """Take SIGTERM as a request to leave, from now on; for a program's main thread."""
    signal.signal(signal.SIGTERM, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _asked_at
    now = time.monotonic()
    if _asked.is_set():
        if now - _asked_at < TOGETHER:
            return
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    _asked_at = now
    _asked.set()
    print("\nSIGTERM: saving, then ending", file=sys.stderr, flush=True)


def asked() -> bool:
    """Return whether this process was asked to leave."""
    return _asked.is_set()


def leave() -> NoReturn:
    """End the program; everything is saved."""
    print("ended by SIGTERM; the same command continues from here", file=sys.stderr, flush=True)
    sys.exit(STATUS)
