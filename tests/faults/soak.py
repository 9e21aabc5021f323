"""Small whole runs in a loop, with random kills: memory, open files and disk do not grow.

    python -m tests.faults.soak --minutes=60 --log=soak.csv

One process makes run after run, each in a new work directory, as a service would. After each it says what
memory it holds and how many files and threads it has open; some runs are killed with their process and then
continued by the next one. Every run is compared with the first, bit for bit, and removed. A row of the log is
written for every run; at the end the first and the last of the longest-lived process are compared.
"""

import argparse
import csv
import gc
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.faults import small

CHILD = "--child"
RESOURCES = ["memory_mb", "files", "threads", "disk_kb", "leftovers"]
COLUMNS = ["minute", "process", "run", "killed", "equal", *RESOURCES]


def child() -> None:
    """Makes the runs that it is asked for, one after the other."""
    import contextlib

    from absl import flags

    from tf_darts.cli import run

    process = psutil.Process()
    for line in sys.stdin:
        arguments = json.loads(line)
        flags.FLAGS.unparse_flags()
        flags.FLAGS(["run", *arguments])
        with contextlib.redirect_stdout(sys.stderr):
            run.program()
        gc.collect()
        memory = round(process.memory_info().rss / 1e6, 1)
        print(json.dumps([memory, process.num_fds(), process.num_threads()]), flush=True)


class Worker:
    """The process that makes runs."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.soak", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "worker.log").open("w"),
            bufsize=0,
        )
        self.pid = self._process.pid

    def run(self, workdir: Path, seconds: float | None) -> list | None:
        """Makes a run; None: it was killed after so many seconds."""
        arguments = [f"--config={self._folder / 'config.py'}", f"--workdir={workdir}"]
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self.end()
            return None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError((self._folder / "worker.log").read_text()[-3000:])
        return json.loads(line)

    def end(self) -> None:
        """Kills the process."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def soak(folder: Path, minutes: float, kill_share: float, log: Path, draw: random.Random) -> list[dict]:
    """Makes runs for so many minutes; gives a row for each.

    Args:
      folder: where runs are made.
      minutes: how long.
      kill_share: share of the runs that are killed once.
      log: CSV file of the rows.
      draw: decides which and when.
    """
    small.arguments(folder, "")  # writes the config
    begun, rows, wanted, taken = time.monotonic(), [], None, 60.0
    worker = Worker(folder)
    with log.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        while time.monotonic() - begun < 60 * minutes:
            workdir = folder / f"run-{len(rows)}"
            killed = wanted is not None and draw.random() < kill_share
            start = time.monotonic()
            if killed and worker.run(workdir, draw.uniform(0.1, 0.9) * taken) is None:
                worker = Worker(folder)
            found = worker.run(workdir, None)
            if not killed:
                taken = time.monotonic() - start
            results = small.results(workdir)
            wanted = wanted or results
            equal = not small.differences(results, wanted) and not small.faulty_rows(workdir)
            disk = sum(path.stat().st_size for path in workdir.rglob("*") if path.is_file())
            values = [
                round((time.monotonic() - begun) / 60, 2),
                worker.pid,
                len(rows),
                killed,
                equal,
                *found,
                disk // 1000,
                len(small.leftovers(workdir)),
            ]
            rows.append(dict(zip(COLUMNS, values, strict=True)))
            writer.writerow(rows[-1])
            file.flush()
            if equal:
                shutil.rmtree(workdir)
    worker.end()
    return rows


def main() -> None:
    """The command."""
    if CHILD in sys.argv:
        return child()
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--kill_share", type=float, default=0.15, help="share of runs killed once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("soak.csv"))
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as temporary:
        draw = random.Random(options.seed)
        rows = soak(Path(temporary), options.minutes, options.kill_share, options.log, draw)
    lives: dict[int, list[dict]] = {}
    for row in rows:
        lives.setdefault(row["process"], []).append(row)
    longest = max(lives.values(), key=len)
    unequal = [row["run"] for row in rows if not row["equal"]]
    killed = sum(row["killed"] for row in rows)
    print(f"{len(rows)} runs, {killed} of them killed, unequal: {unequal or 'none'}")
    print(f"one process over {len(longest)} runs:")
    for name in RESOURCES:
        print(f"  {name}: {', '.join(str(row[name]) for row in longest)}")
    sys.exit(1 if unequal else 0)


if __name__ == "__main__":
    main()
