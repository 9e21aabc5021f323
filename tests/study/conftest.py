"""bin/study as a process, and a made table."""

import os
import subprocess
import sys

import pytest

from tests.nas_bench.made import table_text
from tests.study.small import ROOT
from tf_darts.nas_bench import table_file
from tf_darts.nas_bench.nas_bench_201 import NasBench201

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="session")
def table_path(tmp_path_factory):
    """Write a made table; return its file."""
    path = tmp_path_factory.mktemp("tables") / "made.csv.gz"
    table_file.write(path, table_text())
    return path


@pytest.fixture(scope="session")
def table(table_path):
    return NasBench201.load(table_path)


@pytest.fixture(scope="session")
def start():
    """`start(folder, *arguments)` starts bin/study in a folder."""

    def start(folder, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "tf_darts.cli.study", *arguments],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def call(programs):
    """`call(folder, *arguments)` runs bin/study to its end: `(status, out, err)`."""
    return lambda folder, *arguments: programs.call("study", *arguments, cwd=folder)
