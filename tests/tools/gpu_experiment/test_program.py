"""The experiment for a GPU: what it decides, and, in small, that every case runs on a CPU."""

import json
import subprocess

import pytest

from tf_darts.runtime import child
from tf_darts.tools.gpu_experiment import cases, run

MODULE = "tf_darts.tools.gpu_experiment.run"


SPACES = ("nas_bench_201", "darts")


def rows(single=1.0, compiled=0.5, merged=0.3, first=60.0, losses=(2.3, 2.2), spaces=SPACES):
    times = {"single": (single, 10.0), "compiled": (compiled, first), "merged": (merged, first)}
    return {
        f"{space}-few-{way}": {"step": step, "first_call": first, "losses": list(losses)}
        for space in spaces
        for way, (step, first) in times.items()
    }


def test_what_is_decided():
    assert cases.decide({}) == {"all": "nothing: no space was measured in all ways"}
    found = cases.decide(rows())
    assert found == {
        "losses": "agree: by 0.0e+00 at most",
        "runtime.xla": "auto stays on (nas_bench_201 0.30, darts 0.30)",
        "merged edges": "stay (nas_bench_201 0.60, darts 0.60)",
        "selection.compact": "stays (nas_bench_201 0.09, darts 0.09)",
    }
    assert cases.decide(rows(single=0.35))["runtime.xla"].startswith("auto: off")
    assert cases.decide(rows(compiled=0.31))["merged edges"].startswith("one by one")
    assert cases.decide(rows(first=1e4))["selection.compact"].startswith("off where")
    assert cases.decide(rows(spaces=["darts"]))["but"] == "only darts was measured in all ways"


def test_losses_that_differ_decide_against_both():
    given = rows()
    given["darts-few-merged"]["losses"] = [2.3, 2.21]
    found = cases.decide(given)
    assert found["losses"] == "differ: by 4.5e-03 at most"
    assert found["runtime.xla"].startswith("auto: off") and found["merged edges"].startswith("one by one")


def test_the_published_size_counts_where_it_is_whole():
    given = rows()
    full = {name.replace("few", "full"): row for name, row in rows(merged=0.45).items()}
    assert cases.decide(given | full)["runtime.xla"] == "auto stays on (nas_bench_201 0.45, darts 0.45)"
    del full["darts-full-merged"]
    found = cases.decide(given | full)["runtime.xla"]
    assert found == "auto stays on (nas_bench_201 0.45, darts 0.30)"


def test_cases_fit_the_ten_minutes_in_order():
    names = [case.name for case in cases.all_cases()]
    assert len(set(names)) == 12 and names[:3] == [f"nas_bench_201-few-{way}" for way in cases.WAYS]
    assert len(cases.all_cases(tiny=True)) == 3


def test_a_case_that_fails_is_told_and_done_again(tmp_path, monkeypatch, capsys):
    case = cases.ExperimentCase("no_such_space", "few", "single", 1, 60.0)
    monkeypatch.setattr(run, "all_cases", lambda tiny: [case])
    run.run(tmp_path, 100.0, tiny=True)
    row = json.loads((tmp_path / "results.json").read_text())["cases"][case.name]
    assert row["status"] == "failed: 1" and "no_such_space" in " ".join(row["last_lines"])
    assert "failed: 1" in capsys.readouterr().out
    run.run(tmp_path, 100.0, tiny=True)
    assert "failed: 1" in capsys.readouterr().out
    run.run(tmp_path, 1.0, tiny=True)  # too little time
    assert not capsys.readouterr().out


@pytest.mark.slow
def test_every_way_runs_on_a_cpu_and_losses_agree(tmp_path):
    command = child.command("-m", MODULE, f"--output={tmp_path}", "--tiny", "--budget=3000")
    done = subprocess.run(command, env=child.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert {row["status"] for row in found["cases"].values()} == {"done"}, found
    for row in found["cases"].values():
        assert row["step"] > 0 and row["probe"] > 0 and row["peak_memory"] > 0 and len(row["losses"]) == 3
    assert found["decided"]["losses"].startswith("agree")
    assert found["decided"]["but"] == "only nas_bench_201 was measured in all ways"
    assert "runtime.xla: " in done.stdout
