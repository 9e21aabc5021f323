"""Two processes, as TF_CONFIG says, do what two replicas of one process do; one of them writes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "tests/multi_worker_config.py"


def command(workdir, *more):
    program = [sys.executable, "-m", "tf_darts.cli.run"]
    return [*program, f"--config={CONFIG}", f"--workdir={workdir}", *more]


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start(workdir, temporary):
    """Both processes; temporary files go to a folder of their own."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for i in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}
        environment = os.environ | {"TF_CONFIG": json.dumps(task), "TMPDIR": str(temporary)}
        with (temporary / f"{i}.log").open("ab") as log:
            processes.append(
                subprocess.Popen(
                    command(workdir, "--config.runtime.strategy=multi_worker"),
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            )
    return processes


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_and_two_replicas_agree_also_after_sigterm(tmp_path):
    workdir, temporary = tmp_path / "two", tmp_path / "temporary"
    temporary.mkdir()
    processes = start(workdir, temporary)
    while not (workdir / "search/metrics.jsonl").exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.2)
    processes[1].send_signal(signal.SIGTERM)  # not the chief: both have to leave all the same
    for process in processes:
        process.communicate(timeout=500)
    assert [process.returncode for process in processes] == [143, 143]
    assert not (workdir / "training").exists()

    processes = start(workdir, temporary)
    outputs = [process.communicate(timeout=500)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [
        (temporary / f"{i}.log").read_text()[-2000:] for i in range(2)
    ]
    assert "selection method" in outputs[0] and str(workdir) in outputs[0] and not outputs[1]
    assert not list(temporary.glob("tf_darts-worker-*"))  # the other's copy is gone

    mirrored = tmp_path / "mirrored"
    more = ("--config.runtime.strategy=mirrored", "--config.runtime.logical_devices=2")
    subprocess.run(command(mirrored, *more), cwd=ROOT, check=True, capture_output=True, timeout=500)
    for stage in ("search", "training/perturbation"):
        two, one = (
            [r for r in rows(w / stage / "metrics.jsonl") if "epoch" in r] for w in (workdir, mirrored)
        )
        assert len(two) == len(one) > 0
        for a, b in zip(two, one, strict=True):
            np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-4, atol=1e-6)
    alpha = [
        json.loads((w / "search/result.json").read_text())["alpha"]["normal"] for w in (workdir, mirrored)
    ]
    np.testing.assert_allclose(*alpha, rtol=1e-4, atol=1e-6)
    decisions = [rows(w / "selection/perturbation/decisions.jsonl") for w in (workdir, mirrored)]
    chosen = [[(r["edge_name"], r["chosen"]) for r in found] for found in decisions]
    assert chosen[0] == chosen[1]
