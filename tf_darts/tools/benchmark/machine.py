"""The machine that is measured: the name of its device, and how busy it is with other work."""

import os
import pathlib
import resource
import time

CPU = "CPU"  # the device's name where there is no GPU; else the driver's name of the GPU


def busy_cores(seconds: float = 1.0) -> float | None:
    """Return how many cores are at work on average over some seconds; None if the system does not tell."""
    try:
        before = _busy_seconds()
        time.sleep(seconds)
        return max(0.0, (_busy_seconds() - before) / seconds)
    except (OSError, ValueError):
        return None


class Others:
    """How many cores were at work for others while child processes of this one ran and ended."""

    def __init__(self):
        self._start = time.perf_counter()
        self._others = self._seconds()

    def cores(self) -> float | None:
        """Return how many, on average since the start; None if the system does not tell."""
        if self._others is None:
            return None
        return max(0.0, (self._seconds() - self._others) / (time.perf_counter() - self._start))

    @staticmethod
    def _seconds() -> float | None:
        used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        try:
            return _busy_seconds() - sum(u.ru_utime + u.ru_stime for u in used)
        except (OSError, ValueError):
            return None


def _busy_seconds() -> float:
    """Return the seconds that all cores together have worked since the system started (Linux)."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts = fields[:7]
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")
