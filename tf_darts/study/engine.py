"""Runs jobs side by side on this machine, each in a process of its own."""

import concurrent.futures
import json
import os
import pathlib
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tf_darts import trust
from tf_darts.errors import UserError
from tf_darts.registry import Registry
from tf_darts.runtime import child, host
from tf_darts.study.output import Output
from tf_darts.study.settings import Study

MODULE = "tf_darts.study.worker"


class Ended(NamedTuple):
    """How a job ended.

    Attributes:
      name: of the job.
      reason: empty if it is finished, else why it is not.
      seconds: how long its process ran.
    """

    name: str
    reason: str
    seconds: float


def share(jobs: int) -> int:
    """Return the cores for each of so many jobs side by side; 0 (all) for a job alone."""
    return max(1, host.cores() // jobs) if jobs > 1 else 0


def command(*arguments: str) -> list[str]:
    """Return the command of a process of `worker.py`, which may load the code that this process may."""
    handed_on = trust.flag(trust.named())  # one argument, as a shell takes it
    return child.command("-m", MODULE, *arguments, *shlex.split(handed_on))


def environment(place: int, jobs: int, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a job's process.

    Side by side, jobs take the GPUs that CUDA_VISIBLE_DEVICES names in turn, and only as much of their memory
    as they need.

    Args:
      place: which of the jobs side by side it is, from 0.
      jobs: how many run side by side.
      given: this process's environment.
    """
    made = {"TF_CPP_MIN_LOG_LEVEL": "2", **child.environment(given)}
    if jobs > 1:
        made.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        devices = [device for device in given.get("CUDA_VISIBLE_DEVICES", "").split(",") if device]
        if devices:
            made["CUDA_VISIBLE_DEVICES"] = devices[place % len(devices)]
    return made


def last_line(log: pathlib.Path) -> str:
    """Return the last line of a log that is not empty."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def reason(status: int, log: pathlib.Path) -> str:
    """Say why a job's process ended with this status; empty for 0."""
    if status == 0:
        return ""
    if status < 0:
        why = ", perhaps for lack of memory" if status == -signal.SIGKILL else ""
        return f"it was killed by {signal.Signals(-status).name}{why}; the log ends: {last_line(log)}"
    return last_line(log).removeprefix("error: ") or f"it ended with status {status}"


class Processes:
    """The processes of the jobs; they end with this one, whatever ends it.

    Args:
      output: the study's output folder.
      jobs: how many run side by side.
    """

    def __init__(self, output: Output, jobs: int):
        self._output, self._jobs = output, jobs
        self._places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(jobs):
            self._places.put(place)
        self._running: set[subprocess.Popen] = set()
        self._lock, self._over = threading.Lock(), False

    def run(self, name: str) -> Ended:
        """Run a job to its end, and append to its log."""
        place, begun, path = self._places.get(), time.monotonic(), self._output.log(name)
        try:
            status = self._wait(name, place, path)
        finally:
            self._places.put(place)
        return Ended(name, reason(status, path), time.monotonic() - begun)

    def _wait(self, name: str, place: int, path: pathlib.Path) -> int:
        """Run a job's process and return its exit status."""
        arguments = [str(self._output.folder), name, f"--parent={os.getpid()}"]
        if share(self._jobs):
            arguments.append(f"--cores={share(self._jobs)}")
        started = command(*arguments)
        with path.open("ab") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {shlex.join(started[1:])}\n".encode())
            log.flush()
            with self._lock:
                if self._over:
                    return -signal.SIGTERM
                process = subprocess.Popen(
                    started,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment(place, self._jobs, os.environ),
                )
                self._running.add(process)
        status = process.wait()
        with self._lock:
            self._running.discard(process)
        return status

    def stop(self) -> None:
        """End what runs, and start nothing any more."""
        with self._lock:
            self._over = True
            for process in self._running:
                process.terminate()


def run_here(names: Sequence[str], output: Output, jobs: int, say: Callable[[str], None]) -> Iterator[Ended]:
    """Run jobs side by side on this machine; yield each as it ends.

    Args:
      names: of the jobs, in the order in which they are started.
      output: the study's output folder.
      jobs: how many run side by side.
      say: is told which job starts.
    """
    processes = Processes(output, jobs)

    def run(name: str) -> Ended:
        say(f"{name}: started, its log is {output.log(name)}")
        return processes.run(name)

    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        for future in concurrent.futures.as_completed([pool.submit(run, name) for name in names]):
            yield future.result()
    finally:
        processes.stop()
        pool.shutdown(cancel_futures=True)


# How jobs are run, by name: (names, output, how many side by side, say) -> each as it ends.
ENGINES = Registry("--engine", {"local": run_here, "ray": "tf_darts.study.on_ray:run"})


def check(study: Study, names: Sequence[str], together: int) -> float:
    """Check in a process of its own what needs the data (`job.check`).

    Args:
      study: the study.
      names: of the jobs that are to be run.
      together: how many of them will share this machine's memory.

    Returns:
      What the largest of the searches is estimated to need, bytes.

    Raises:
      UserError: the data are missing or do not suit a job's config.
    """
    request = json.dumps({"config": study.config, "jobs": list(names), "together": together})
    ended = subprocess.run(
        command("--check"),
        input=request,
        capture_output=True,
        text=True,
        env=environment(0, 1, os.environ),
    )
    line = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "")
    if ended.returncode == 2:
        raise UserError(line.removeprefix("error: "))
    if ended.returncode:
        raise RuntimeError(f"the check ended with status {ended.returncode}:\n{ended.stderr[-4000:]}")
    return float(ended.stdout.splitlines()[-1])
