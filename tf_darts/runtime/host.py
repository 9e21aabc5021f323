"""What the machine offers to this process, and what the process has taken; without TensorFlow."""

import contextlib
import os
import pathlib
import platform
import re
import resource
import sys
from typing import Any


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Return the memory of the machine, bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_memory() -> int:
    """Return the memory that this process may use, bytes: the machine's, or its container's if less."""
    least = memory()
    with contextlib.suppress(OSError, ValueError):  # no container, or without a limit
        least = min(least, int(pathlib.Path("/sys/fs/cgroup/memory.max").read_text()))
    return least


def peak_memory() -> int:
    """Return the most memory that this process has had in RAM at a time, bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def held_memory() -> int:
    """Return the memory that this process has now, in RAM and swapped out, bytes; on Linux alone."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * sum(map(int, re.findall(r"^Vm(?:RSS|Swap):\s+(\d+) kB$", status, re.MULTILINE)))


def cache_folder() -> pathlib.Path:
    """Return the folder for what can be made again, of the user who runs this."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = pathlib.Path(given) if os.path.isabs(given) else pathlib.Path.home() / ".cache"
    return base / "tf_darts"


def graphics() -> str:
    """Return which NVIDIA GPUs and which driver there are, as the driver says; empty where there is none."""
    folder = pathlib.Path("/proc/driver/nvidia")
    found = []
    for path in (folder / "version", *sorted(folder.glob("gpus/*/information"))):
        with contextlib.suppress(OSError):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [line for line in lines if line.startswith(("Model", "NVRM"))]
    return "; ".join(found)


def about() -> dict[str, Any]:
    """Return the processor, its cores that this process may use, the memory in bytes, and the system."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    system = platform.system()
    return {"processor": model, "cores": cores(), "memory": memory(), "system": system}
