"""The scripts for clouds and clusters, with programs of the same names that write down their calls."""

import json
import os
import signal
import subprocess
import time
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


@pytest.mark.parametrize(
    ("kind", "image", "tpu"),
    [
        ("v4-8", "tpu-ubuntu2204-base", "local"),
        ("v5litepod-4", "v2-alpha-tpuv5-lite", "local"),
        ("v4-32", "tpu-vm-tf-2.20.0-pod-pjrt", "mine"),
    ],
)
def test_a_tpu_is_made_and_used(fake, kind, image, tpu):
    fake("gcloud")
    settings = {"NAME": "mine", "ZONE": "z", "BUCKET": "gs://b", "TYPE": kind, "SPOT": "1"}
    assert call(fake, BIN / "cloud_tpu", "create", **settings).returncode == 0
    command = ("run", "run", "--config=configs/quickstart.py", "--config.seed=1")
    assert call(fake, BIN / "cloud_tpu", *command, **settings).returncode == 0
    create, run = fake.calls()
    assert create.endswith(f"create mine --zone=z --accelerator-type={kind} --version={image} --spot")
    assert f"TPU={tpu} bin/on_tpu_vm gs://b/mine run --config=configs/quickstart.py --config.seed=1" in run
    assert "--worker=0" in run


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["create"], {"BUCKET": "gs://b"}, "ZONE: missing"),
        (["create"], {"ZONE": "z", "BUCKET": "b"}, "BUCKET is 'b'; allowed: a bucket"),
        (["create"], {"ZONE": "z", "BUCKET": "gs://b", "TYPE": "v4"}, "TYPE is 'v4'; allowed"),
        (["make"], {"ZONE": "z", "BUCKET": "gs://b"}, "'make': allowed: create, install"),
        (["run"], {"ZONE": "z", "BUCKET": "gs://b"}, "run: give a program and its arguments"),
    ],
)
def test_bad_settings_are_said(fake, arguments, settings, message):
    fake("gcloud")
    done = call(fake, BIN / "cloud_tpu", *arguments, **settings)
    assert done.returncode == 2 and message in done.stderr and not fake.calls()


def test_on_the_vm_sigterm_is_passed_on_and_the_last_copy_is_made(fake, tmp_path):
    fake("gcloud")
    root = tmp_path / "tf_darts"
    (root / ".venv/bin").mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "bin/on_tpu_vm").write_text((BIN / "on_tpu_vm").read_text())
    python = root / ".venv/bin/python"
    python.write_text(
        RECORDER + "trap 'echo ended >> \"$CALLS\"; exit 143' TERM\nfor i in {1..200}; do sleep 0.1; done\n"
    )
    python.chmod(0o755)
    command = ["bash", str(root / "bin/on_tpu_vm"), "gs://b/f", "search", "--config=c.py"]
    process = subprocess.Popen(command, env=fake.environment | {"TPU": "local"})
    while not any(line.startswith("python") for line in fake.calls()):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    calls, workdir = fake.calls(), tmp_path / "workdir"
    assert calls[0] == f"gcloud storage rsync --recursive gs://b/f {workdir}"
    assert calls[1] == f"python -m tf_darts.cli.search --tpu=local --workdir={workdir} --config=c.py"
    assert "ended" in calls[:-1] and calls[-1].endswith(f"{workdir} gs://b/f")


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
