"""How jobs are run: their share of the machine, their logs, their ends, and the SLURM script."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.study.conftest import ENVIRONMENT
from tests.study.small import ROOT, small
from tf_darts.errors import UserError
from tf_darts.runtime import host
from tf_darts.study import engine, settings, slurm
from tf_darts.study.output import Output
from tf_darts.workdir import seconds


@pytest.fixture
def study():
    return settings.validate(small())


@pytest.fixture
def output(tmp_path, study):
    output = Output(tmp_path / "out put")
    output.record(study)
    return output


def test_each_job_has_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(host, "cores", lambda: 8)
    assert [engine.share(jobs) for jobs in (1, 2, 3, 8, 20)] == [0, 4, 2, 1, 1]


def test_jobs_take_gpus_in_turn_and_no_more_of_their_memory_than_they_need():
    given = {"CUDA_VISIBLE_DEVICES": "4,6", "PYTHONPATH": "/mine"}
    made = [engine.environment(place, 3, given) for place in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in made] == ["4", "6", "4"]
    assert all(one["TF_FORCE_GPU_ALLOW_GROWTH"] == "true" for one in made)
    assert made[0]["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/mine"]
    alone = engine.environment(0, 1, given)
    assert alone["CUDA_VISIBLE_DEVICES"] == "4,6" and "TF_FORCE_GPU_ALLOW_GROWTH" not in alone
    assert "CUDA_VISIBLE_DEVICES" not in engine.environment(1, 2, {})


def test_why_a_job_failed(tmp_path):
    log = tmp_path / "log"
    assert engine.reason(0, log) == ""
    assert engine.reason(3, log) == "it ended with status 3"
    log.write_text("search: 1/2\nerror: search.epochs is 0\n\n")
    assert engine.reason(2, log) == "search.epochs is 0"
    killed = engine.reason(-signal.SIGKILL, log)
    assert killed.startswith(
        "it was killed by SIGKILL, perhaps for lack of memory; the log ends: error: search"
    )


def test_jobs_that_fail_are_reported_and_logged_and_others_go_on(output):
    said, names = [], ["darts-seed7", "darts-seed8", "darts-seed9"]  # none is of the study
    output.log("darts-seed8").write_text("of an earlier run\n")
    ends = {ended.name: ended.reason for ended in engine.run_here(names, output, 2, said.append)}
    assert ends.keys() == set(names) and len(said) == 3
    for name, reason in ends.items():
        assert reason.startswith(f"job '{name}' is not one of the study; allowed: darts-seed0, ")
        assert output.log(name).read_text().splitlines()[-1] == f"error: {reason}"
    lines = output.log("darts-seed8").read_text().splitlines()
    assert lines[0] == "of an earlier run" and "--cores=" in lines[1]


def test_a_job_ends_with_the_process_that_started_it(output):
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", engine.MODULE, str(output.folder), "darts-seed0", "--parent=1000000000"],
        env=ENVIRONMENT,
        capture_output=True,
    )
    assert ended.returncode == 1 and time.monotonic() - begun < 120
    assert not (output / "darts-seed0" / "search" / "result.json").exists()


def test_a_job_is_worked_on_by_one_process(output, study):
    with output.alone(study.jobs[0]):
        with pytest.raises(UserError, match="darts-seed0: another process is at work on it"):
            output.alone(study.jobs[0]).__enter__()
        with output.alone(study.jobs[1]):
            pass
    with output.alone(study.jobs[0]):
        pass


def test_nothing_is_started_after_stop(output):
    processes = engine.Processes(output, 1)
    processes.stop()
    assert "SIGTERM" in processes.run("darts-seed0").reason


def test_the_slurm_script(output, study):
    names = [job.name for job in study.jobs]
    text = slurm.script(names, output, "a b.sh", 3.14e9)
    lines = text.splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "#SBATCH --array=0-3" in lines and "#SBATCH --job-name=out_put" in lines
    assert "jobs=(darts-seed0 fixed-seed0 darts-seed1 fixed-seed1)" in lines
    assert any("estimated to need 3.1 GB of memory" in line for line in lines)
    # Directives have to stand before the first command.
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])


def test_a_task_of_the_slurm_script_runs_its_job(output, tmp_path):
    slurm.write(["darts-seed8", "darts-seed9"], output, str(tmp_path / "jobs.sh"), 1e9)
    environment = ENVIRONMENT | {"SLURM_ARRAY_TASK_ID": "1"}
    ended = subprocess.run(["bash", str(tmp_path / "jobs.sh")], env=environment)
    assert ended.returncode == 2 and not output.log("darts-seed8").exists()
    last = output.log("darts-seed9").read_text().splitlines()[-1]
    assert last.startswith("error: job 'darts-seed9' is not one of the study")


def test_the_output_folder(tmp_path, study):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output: '.*file' is a file; allowed: a folder"):
        Output(tmp_path / "file")
    with pytest.raises(UserError, match=r"allowed: a name without \* \? \[ \]"):
        Output(tmp_path / "a*")
    with pytest.raises(UserError, match="has no study.json; give --config"):
        Output(tmp_path / "none").study()
    with pytest.raises(UserError, match="cannot be made"):
        Output(tmp_path / "file" / "below").record(study)


def test_seconds_survive_interruptions(tmp_path):
    assert seconds.of(tmp_path) is None
    with pytest.raises(KeyError), seconds.recorded(tmp_path, every=0.02):
        time.sleep(0.1)
        assert seconds.of(tmp_path) >= 0.02  # a kill now would lose little
        raise KeyError
    first = seconds.of(tmp_path)
    assert first >= 0.1
    with seconds.recorded(tmp_path) as folder:
        assert folder == tmp_path and seconds.of(tmp_path) == pytest.approx(first, abs=0.1)
        time.sleep(0.1)
    assert first + 0.1 <= seconds.of(tmp_path)
    assert seconds.read_json(tmp_path / seconds.NAME)["starts"] == 2
