"""Search, selection and training on two and four replicas, and on two processes as TF_CONFIG says.

All do what one device does with the same global batches: batch norm is synchronised.
"""

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
import tensorflow as tf

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


def run(workdir, *more):
    subprocess.run(command(workdir, *more), cwd=ROOT, check=True, capture_output=True, timeout=900)
    return workdir


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return run(tmp_path_factory.mktemp("one") / "run")


def assert_agree(one, other):
    """Both work directories have the same decisions, and metrics, alpha and weights equal to rounding."""
    for stage in ("search", "training/magnitude", "training/perturbation"):
        a, b = ([r for r in rows(w / stage / "metrics.jsonl") if "epoch" in r] for w in (one, other))
        assert len(a) == len(b) > 0
        for x, y in zip(a, b, strict=True):
            assert x.keys() == y.keys()
            np.testing.assert_allclose(list(y.values()), list(x.values()), rtol=1e-4, atol=1e-6)
        a, b = (weights(w / stage) for w in (one, other))
        assert a.keys() == b.keys() and a
        for name, value in a.items():
            np.testing.assert_allclose(b[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    a, b = (json.loads((w / "search/result.json").read_text())["alpha"]["normal"] for w in (one, other))
    np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
    a, b = (rows(w / "selection/perturbation/decisions.jsonl") for w in (one, other))
    chosen = [[(r["edge_name"], r["chosen"]) for r in found] for found in (a, b)]
    assert chosen[0] == chosen[1] and len(chosen[0]) == 3


def weights(stage):
    """All that a stage's last checkpoint holds, by its name there; not how often one was saved."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(stage / "checkpoints"))
    names = [n for n in reader.get_variable_to_shape_map() if not n.startswith(("_", "save_counter"))]
    return {n: reader.get_tensor(n) for n in names}


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_of_one_process_do_what_one_device_does(one_device, tmp_path, replicas):
    more = ("--config.runtime.strategy=mirrored", f"--config.runtime.logical_devices={replicas}")
    assert_agree(one_device, run(tmp_path / "run", *more))


@pytest.mark.slow
def test_two_processes_do_what_one_device_does_also_after_sigterm(one_device, tmp_path):
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
    assert_agree(one_device, workdir)
