"""Runs the programs as a shell would, many times, at the cost of importing TensorFlow once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Imports what the programs import and then, for each request, becomes two: the child is the program.
SERVER = """
import importlib, json, os, sys, tempfile, traceback
import tensorflow
import tf_darts.data.sources, tf_darts.selection.select, tf_darts.training.loop

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
            importlib.import_module("tf_darts.cli." + request["program"]).main()
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read())
    print(json.dumps([status, *texts]), flush=True)
"""


class Ended(NamedTuple):
    """How a program ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def call():
    """`call(program, *arguments, cwd=folder)` runs a program and gives what came of it."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def call(program, *arguments, cwd):
        request = {"program": program, "arguments": arguments, "cwd": str(cwd)}
        print(json.dumps(request), file=server.stdin, flush=True)
        return Ended(*json.loads(server.stdout.readline()))

    yield call
    server.stdin.close()
    server.wait(timeout=30)
