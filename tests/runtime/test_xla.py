"""Which steps XLA compiles, what is said where it cannot, and that compiled programs are kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from tests.search import compiled, tiny
from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.runtime import host, xla
from tf_darts.runtime.steps import Steps

ROOT = Path(__file__).resolve().parents[2]


def runtime(**fields):
    made = config_lib.default().runtime
    made.update(fields)
    return made


@pytest.mark.parametrize(
    ("kind", "field", "expected"),
    [
        ("CPU", "auto", False),
        ("CPU", "on", True),
        ("CPU", "off", False),
        ("GPU", "auto", True),
        ("GPU", "on", True),
        ("GPU", "off", False),
    ],
)
def test_auto_compiles_on_a_gpu(kind, field, expected, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    strategy = tiny.one_device()
    xla.settle(strategy, runtime(xla=field), kind)
    assert xla.compiles(strategy) == expected
    assert ("triton-softmax-rewriter" in os.environ["XLA_FLAGS"]) == (expected and kind == "GPU")
    assert xla.ran(strategy) == ("on" if expected else "off")
    with strategy.scope():
        assert xla.compiles() == expected
    assert not xla.compiles()


def test_replicas(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    gpus, cpus = tiny.two_replicas(), tiny.two_replicas()
    xla.settle(gpus, runtime(strategy="mirrored"), "GPU")
    assert xla.compiles(gpus)
    xla.settle(cpus, runtime(strategy="mirrored"), "CPU")
    assert not xla.compiles(cpus)
    with pytest.raises(UserError, match="runtime.xla is 'on' with runtime.strategy 'mirrored' on CPUs"):
        xla.settle(cpus, runtime(strategy="mirrored", xla="on"), "CPU")
    xla.settle(cpus, runtime(strategy="multi_worker"), "GPU")
    assert not xla.compiles(cpus)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strategy": "tpu", "xla": "off"}, "runtime.xla is 'off' with runtime.strategy 'tpu'"),
        (
            {"strategy": "multi_worker", "xla": "on"},
            "'on' with runtime.strategy 'multi_worker'",
        ),
        ({"kernels": "native", "xla": "on"}, "runtime.xla is 'on' with runtime.kernels 'native'"),
    ],
)
def test_contradictions_are_refused(fields, message):
    config = config_lib.default()
    config.runtime.update(fields)
    with pytest.raises(UserError, match=message):
        config_lib.validate(config)


def test_a_step_is_one_program_and_is_traced_once():
    total, traces = tf.Variable(0), []

    def step(number, replica):
        traces.append(number)
        total.assign_add(number)
        return {"number": number, "compiled": float(tf.executing_eagerly())}

    steps = Steps(compiled.one_device(), step, ("number", "compiled"))
    assert steps(5, 3)["number"].tolist() == [5, 6, 7] and steps(0, 1)["number"].tolist() == [0]
    assert total.numpy() == 18 and len(traces) == 1
    (graph,) = (made.graph for made in steps._run._list_all_concrete_functions())
    library = graph.as_graph_def().library.function
    assert sum(function.attr["_XlaMustCompile"].b for function in library) == 1


def test_what_xla_cannot_compile_is_said_with_the_way_out():
    def step(number, replica):
        return {"number": tf.numpy_function(lambda n: n, [number], tf.int32)}

    with pytest.raises(UserError, match="XLA cannot compile a step .*PyFunc.*--config.runtime.xla=off"):
        Steps(compiled.one_device(), step, ("number",), ())(0, 1)


def test_another_fault_of_a_step_stays_what_it_is():
    def step(number, replica):
        tf.debugging.assert_less(number, 1)
        return {"number": tf.reshape(number, [])}

    assert Steps(compiled.one_device(), step, ("number",))(0, 1)["number"].tolist() == [0]
    with pytest.raises(tf.errors.InvalidArgumentError):
        Steps(tiny.one_device(), step, ("number",))(1, 1)


@pytest.fixture
def before_tensorflow(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=0")
    monkeypatch.setenv("XLA_FLAGS", "")


def folder():
    return os.environ["TF_XLA_FLAGS"].partition("--tf_xla_persistent_cache_directory=")[2]


def test_programs_are_kept_in_the_work_directory(before_tensorflow, tmp_path, monkeypatch):
    xla.keep_programs(tmp_path / "run", runtime())
    kept = Path(folder())
    assert kept.parent == tmp_path / "run" / "xla" and not kept.exists()
    assert os.environ["TF_XLA_FLAGS"].startswith("--tf_xla_auto_jit=0 ")
    secret = tmp_path / "cache" / "tf_darts" / "xla-secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    seen = {kept.name}
    for change in (
        lambda: None,
        lambda: monkeypatch.setattr(host, "graphics", lambda: "another GPU"),
        lambda: monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0"),
        lambda: secret.unlink(),  # of another user
    ):
        monkeypatch.setenv("TF_XLA_FLAGS", "")
        change()
        xla.keep_programs(tmp_path / "run", runtime())
        seen.add(Path(folder()).name)
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "--xla_disable_hlo_passes=triton-softmax-rewriter"),
        ("--xla_a=1", "--xla_a=1 --xla_disable_hlo_passes=triton-softmax-rewriter"),
        ("--xla_disable_hlo_passes=cse", "--xla_disable_hlo_passes=cse"),
    ],
)
def test_a_gpu_is_compiled_for_without_the_slow_pass(
    before_tensorflow, tmp_path, monkeypatch, given, expected
):
    monkeypatch.setenv("XLA_FLAGS", given)
    monkeypatch.setattr(host, "graphics", lambda: "")
    xla.keep_programs(tmp_path, runtime())
    assert os.environ["XLA_FLAGS"] == given
    monkeypatch.setattr(host, "graphics", lambda: "a GPU")
    for _ in range(2):
        xla.keep_programs(tmp_path, runtime())
        assert os.environ["XLA_FLAGS"] == expected


@pytest.mark.parametrize("fields", [{"xla": "off"}, {"strategy": "tpu"}, {"strategy": "multi_worker"}])
def test_programs_are_not_kept_where_none_are_compiled(before_tensorflow, tmp_path, fields):
    xla.keep_programs(tmp_path, runtime(**fields))
    assert not folder()


def test_programs_are_not_kept_where_they_cannot(before_tensorflow, tmp_path, monkeypatch):
    xla.keep_programs(tmp_path / "with a space", runtime())
    assert not folder()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    xla.keep_programs(tmp_path, runtime())
    assert not folder()


@pytest.mark.slow
def test_a_program_that_starts_again_takes_what_was_kept(tmp_path):
    def search():
        command = [sys.executable, "-m", "tf_darts.cli.search", f"--workdir={tmp_path / 'run'}"]
        command += ["--config=configs/quickstart.py", "--config.runtime.xla=on", "--config.search.epochs=1"]
        command += ["--config.search.channels=4", "--config.search.cells=1", "--config.data.limit_train=64"]
        command += ["--config.search.batch_size=16", "--config.search.evaluate_every=0"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "TF_CPP_MIN_LOG_LEVEL": "0"}
        environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        return done.returncode, done.stderr

    status, err = search()
    assert status == 0, err
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "xla").glob("*/*.pb")}
    rows = (tmp_path / "run" / "search" / "metrics.jsonl").read_text()
    assert first
    (tmp_path / "run" / "search").rename(tmp_path / "before")
    status, err = search()
    assert status == 0 and "XlaSerializedCacheEntry" not in err and "cpu_aot_loader" not in err, err
    assert (tmp_path / "run" / "search" / "metrics.jsonl").read_text() == rows
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "xla").glob("*/*.pb")}
    assert again == first
    (tmp_path / "run" / "search").rename(tmp_path / "again")
    for path in first:
        path.write_bytes(path.read_bytes()[:3000])
    status, err = search()
    assert status == 2 and "a compiled program there is damaged; remove the folder" in err
