"""The scripts for clouds and clusters, with programs of the same names that write down their calls."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tf_darts.runtime import cluster

BIN = Path(__file__).resolve().parents[2] / "bin"
RECORDER = '#!/usr/bin/env bash\necho "$(basename "$0") $*" >> "$CALLS"\n'


@pytest.fixture
def fake(tmp_path):
    """`fake(name, more)` puts a program on the path; `fake.calls()` are the calls so far."""
    (tmp_path / "path").mkdir()

    def make(name, more=""):
        path = tmp_path / "path" / name
        path.write_text(RECORDER + more)
        path.chmod(0o755)

    make.calls = lambda: (
        (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
    )
    make.environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'path'}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "HOME": str(tmp_path),
    }
    return make


def call(fake, script, *arguments, **settings):
    command = ["bash", str(script), *arguments]
    environment = fake.environment | settings
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_on_slurm_every_task_has_its_tf_config(fake, tmp_path):
    fake("scontrol", 'if [[ $1 == show ]]; then printf "node1\\nnode2\\n"; fi\n')
    fake("srun", 'shift; for i in 0 1; do SLURM_PROCID=$i "$@"; done\n')
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/search"
    program.write_text(
        '#!/usr/bin/env bash\necho "$TF_CONFIG" >> "$CALLS"\necho "search $*" >> "$CALLS"\nexit 143\n'
    )
    program.chmod(0o755)
    settings = {"SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_ID": "7", "SLURM_SUBMIT_DIR": str(tmp_path)}
    done = call(fake, BIN / "slurm_gpus", "search", "--workdir=w", **settings)
    lines = [line for line in fake.calls() if line.startswith(("{", "search ", "scontrol requeue"))]
    addresses = ("node1:20007", "node2:20007")
    for i in (0, 1):
        found = cluster.of_environment({"TF_CONFIG": lines[2 * i]})
        assert found == cluster.Cluster(addresses, i) and json.loads(lines[2 * i])["task"]["type"] == "worker"
        assert lines[2 * i + 1] == "search --workdir=w --config.runtime.strategy=multi_worker"
    assert done.returncode == 143 and lines[4] == "scontrol requeue 7"
