"""Runs programs as a shell would, many times, at the cost of importing TensorFlow once.

A server imports what the programs import and then, for each request, becomes two: the child is the program.
Before it starts, the child may be given faults (`tests/faults/inject.py`).
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

SERVER = """
import importlib, json, os, sys, tempfile, traceback
import tensorflow
import tf_darts.data.sources, tf_darts.plots.cell_diagram, tf_darts.selection.select, tf_darts.training.loop

for line in sys.stdin:
    request = json.loads(line)
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    child = os.fork()
    if not child:
        status = 70
        try:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.chdir(request["cwd"])
            sys.argv = [request["program"], *request["arguments"]]
            for name, arguments in request["faults"]:
                getattr(importlib.import_module("tests.faults.inject"), name)(*arguments)
            importlib.import_module("tf_darts.cli." + request["program"]).main()
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(json.dumps(child), flush=True)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read())
    print(json.dumps([status, *texts]), flush=True)
"""


class Ended(NamedTuple):
    """How a program ended: exit status (minus the signal that killed it), what it wrote."""

    status: int
    out: str
    err: str


class Programs:
    """The server."""

    def __init__(self):
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # so that `select` sees what is there to read
        )

    def start(self, program: str, *arguments: str, cwd, faults=()) -> int:
        """Starts a program; gives its process number. One at a time.

        Args:
          program: its module in `tf_darts.cli`.
          arguments: of the command.
          cwd: the folder that it runs in.
          faults: functions of `tests/faults/inject.py`, by name, with their arguments.
        """
        request = {"program": program, "arguments": arguments, "cwd": str(cwd), "faults": list(faults)}
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._pid = json.loads(self._server.stdout.readline())
        return self._pid

    def wait(self, seconds: float | None = None) -> Ended | None:
        """How the program ended; None: it has not within so many seconds."""
        if not select.select([self._server.stdout], [], [], seconds)[0]:
            return None
        return Ended(*json.loads(self._server.stdout.readline()))

    def kill(self) -> Ended:
        """Kills the program that runs, unless it has just ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        return self.wait()

    def call(self, program: str, *arguments: str, cwd, faults=()) -> Ended:
        """Runs a program to its end."""
        self.start(program, *arguments, cwd=cwd, faults=faults)
        return self.wait()

    def close(self) -> None:
        """Ends the server."""
        self._server.stdin.close()
        self._server.wait(timeout=30)
        self._server.stdout.close()
