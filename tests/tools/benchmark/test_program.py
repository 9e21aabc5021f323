"""bin/benchmark on the smallest case: its files, going on from what is there, and bad input."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tf_darts.errors import UserError
from tf_darts.tools.benchmark import report, rounds, run, settings

ROOT = Path(__file__).resolve().parents[3]
CONFIG = f"--config={ROOT / 'configs' / 'benchmark.py'}"
SMALL = (
    CONFIG,
    "--output=out",
    "--config.cases=nas_bench_201",
    *(f"--config.{size}channels=2" for size in ("", "training_")),
    *(f"--config.{size}cells=1" for size in ("", "training_")),
    *(f"--config.{size}batch_size=4" for size in ("", "training_")),
    "--config.image_size=8",
    "--config.images=32",
    "--config.steps=1",
    "--config.probe_batches=1",
    "--config.event_rounds=1",
    "--config.stages=2",
    "--config.stage_rounds=1",
    "--config.limit_size=0.01",
)
STUDY = (
    "--config.tasks=search",
    "--config.rounds=1",
    "--scaling",
    *(f"--config.scaling.{field}=" for field in ("channels", "cells", "batch_size")),
    "--config.scaling.operations=1,2",
    "--config.scaling.base_channels=2",
    "--config.scaling.base_cells=1",
    "--config.scaling.base_batch_size=2",
    "--config.scaling.rounds=1",
)


def benchmark(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tf_darts.cli.benchmark", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def measured(folder, units, *arguments):
    """Return table and result of a small run, which leaves a picture too and, run again, repeats nothing."""
    arguments = (*SMALL, "--config.rounds=2", *arguments)
    first = benchmark(folder, *arguments)
    assert first.returncode == 0, first.stderr
    assert (folder / "out" / "plot.png").read_bytes().startswith(b"\x89PNG")
    table = (folder / "out" / "table.md").read_text()
    assert table in first.stdout
    content = json.loads((folder / "out" / "result.json").read_text())

    second = benchmark(folder, *arguments)
    assert second.returncode == 0 and second.stderr.count(": kept, measured ") == units
    assert second.stdout == first.stdout
    assert json.loads((folder / "out" / "result.json").read_text()) == content
    return table, content


@pytest.mark.slow
def test_one_task_leaves_samples_table_and_picture_and_is_not_repeated(tmp_path):
    table, content = measured(tmp_path, 1, "--config.event_rounds=0", "--config.tasks=search")
    assert "bilevel step" in table and "probe batch" in table
    (search,) = (unit["result"] for unit in content["units"])
    assert len(search["quantities"]["step"]["samples"]["ours"]) == 2 and "event" not in search["quantities"]
    assert search["sides"]["ours"]["memory"] >= search["sides"]["ours"]["import_memory"] > 0


@pytest.mark.slow
def test_a_small_run_of_all_tasks_with_the_peer(tmp_path):
    peer = "pytorch" if importlib.util.find_spec("torch") else "none"
    table, content = measured(tmp_path, 3, f"--peer={peer}")
    for text in (
        "bilevel step",
        "probe batch",
        "perturbation event",
        "training step",
        "peak memory",
        "total",
    ):
        assert text in table
    assert content["limit"]["result"]["multiply_adds_per_second"] > 0
    search, training, selection = (unit["result"] for unit in content["units"])
    labels = {"ours", "peer usual", "peer lean"} if peer == "pytorch" else {"ours"}
    assert search["quantities"]["step"]["samples"].keys() == labels
    assert all(len(samples) == 2 for samples in search["quantities"]["probe"]["samples"].values())
    assert search["quantities"]["event"]["batches"] == 5
    assert len({side["parameters"] for side in search["sides"].values()}) == 1
    for side in (*search["sides"].values(), *training["sides"].values()):
        assert side["memory"] >= side["import_memory"] > 0 and side["versions"] and side["threads"]
    assert [stage["events"] for stage in selection["stages"]] == [0, 6]
    assert selection["passes"] == 30 and selection["epochs"] == 25
    assert selection["hours"]["ours"]["total"] > 0


@pytest.mark.slow
def test_a_scaling_study(tmp_path):
    ended = benchmark(tmp_path, *SMALL, *STUDY)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "scaling.png").read_bytes().startswith(b"\x89PNG")
    units = json.loads((tmp_path / "out" / "result.json").read_text())["units"]
    assert [(unit["varied"], unit["value"]) for unit in units] == [
        ("", 0),
        ("operations", 1),
        ("operations", 2),
    ]
    assert "| operations | 2 " in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--output=out"],
            "--config: missing; give a config file, for example --config=configs/benchmark.py",
        ),
        ([CONFIG], "--output: missing; give the folder for the results"),
        (["--config=no.py", "--output=out"], "--config: 'no.py': no such file"),
        ([CONFIG, "--output=out", "out"], "'out' is not a flag"),
        ([CONFIG, "--output=out", "--peer=jax"], "--peer=jax"),
        ([CONFIG, "--output=out", "--config.round=3"], "unknown field 'round'; did you mean rounds?"),
        ([CONFIG, "--output=out", "--config.rounds=0"], "rounds is 0; allowed: an integer of at least 1"),
        ([CONFIG, "--output=out", "--config.cases=darts,foo"], "cases names 'foo'; allowed: darts, "),
        ([CONFIG, "--output=file"], "--output: 'file' is a file; allowed: a folder"),
        ([CONFIG, "--output=other"], "schema_version is not 1"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "result.json").write_text("{}")
    ended = benchmark(tmp_path, *arguments)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1 and message in ended.stderr
    assert not (tmp_path / "out").exists()


def test_without_torch_the_peer_fails_at_once(tmp_path):
    code = (
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
        "from tf_darts.cli import benchmark; benchmark.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, CONFIG, "--output=out", "--peer=pytorch"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2 and not (tmp_path / "out").exists()
    assert ended.stderr == ("error: --peer=pytorch: PyTorch is missing; run: pip install -e '.[peer]'\n")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tasks", "search,foo", "tasks is 'search,foo'; allowed: some of search, training, selection"),
        ("alpha_gradients", "", "alpha_gradients is ''; allowed: some of usual, lean"),
        ("deterministic", 1, "deterministic is 1; allowed: True or False"),
        ("limit_size", 9.0, "limit_size is 9.0; allowed: a number from 0.01 to 4"),
        ("images", 100, "images is 100, of which 50 may be drawn; allowed: more, since batch_size of case"),
        ("scaling.channels", "4,x", "scaling.channels is '4,x'; allowed: integers of at least 1"),
        ("scaling.operations", "8", "operations is 8; allowed: 1 to 7"),
    ],
)
def test_settings_that_are_not_allowed(field, value, message):
    config = settings.default()
    target = config.scaling if "." in field else config
    with target.ignore_type():
        target[field.rpartition(".")[2]] = value
    with pytest.raises(UserError, match=message):
        settings.validate(config)


def test_the_units_of_a_run():
    chosen = settings.default().to_dict()
    units = run.planned_units(chosen, scaling=True)
    assert [unit.name for unit in units[:4]] == [
        "darts, search",
        "darts, training",
        "darts, selection",
        "nas_bench_201, search",
    ]
    study = [unit for unit in units if unit.varied]
    assert {unit.varied for unit in study} == {"channels", "cells", "batch_size", "operations"}
    assert all(unit.task == "search" and unit.settings["event_rounds"] == 0 for unit in study)


def test_rounds_are_taken_in_turn_and_ratios_round_by_round():
    calls, seconds = [], {"ours": iter([1.0, 2.0, 4.0]), "peer": iter([3.0, 4.0, 20.0])}

    def call(name):
        calls.append(name)
        return rounds.Sample(next(seconds[name]), 2.0 if name == "ours" else 5.0)

    found = rounds.in_rounds({name: lambda name=name: call(name) for name in seconds}, 3)
    assert calls == ["ours", "peer"] * 3
    assert found["samples"] == {"ours": [1.0, 2.0, 4.0], "peer": [3.0, 4.0, 20.0]}
    assert found["ratios"]["peer"] == {"median": 3.0, "q1": 2.5, "q3": 4.0, "min": 2.0, "max": 5.0}
    assert found["cpu"]["samples"]["peer"] == [5.0] * 3
    assert found["cpu"]["ratios"]["peer"]["median"] == 2.5


def test_the_table_has_cpu_seconds_beside_those_of_the_clock():
    sides = {name: {"multiply_adds": {"step": 1e6}} for name in ("ours", "peer")}
    samples = iter([rounds.Sample(2.0, 4.0), rounds.Sample(6.0, 8.0)])
    calls = {"ours": lambda: next(samples), "peer usual": lambda: next(samples)}
    step = rounds.in_rounds(calls, 1)
    unit = {"task": "search", "case": {"name": "darts", "batch_size": 8}}
    unit["result"] = {"sides": sides, "quantities": {"step": step}}

    def row():
        table = report.times_table([unit], {"multiply_adds_per_second": 1e9})
        return [cell.strip().partition(" ")[0] for cell in table.splitlines()[-1].split("|")[3:8]]

    assert row() == ["2.00", "4.00", "6.00", "3.00", "2.00"]
    del step["cpu"]  # a result of before
    assert row() == ["2.00", "-", "6.00", "3.00", "-"]


def test_a_unit_that_others_disturbed_is_named():
    machine = {"processor": "a CPU", "cores": 2, "memory": 2**30, "system": "Linux"}
    unit = {"task": "search", "case": {"name": "darts"}, "varied": "", "result": {"sides": {}}}
    unit["depends"] = {"machine": machine, "settings": {}}
    limit = {"multiply_adds_per_second": 1e9, "bytes_per_second": 1e9}
    named = "NOT TO BE USED, since other processes were at work: darts, search."
    for cores, wanted in ((None, False), (0.1, False), (0.5, True)):
        assert (named in run._preface([unit | {"others_cores": cores}], limit)) is wanted
