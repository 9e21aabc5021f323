"""bin/study on a small grid: the whole of it, with a job killed on the way, and bad input."""

import csv
import json
import re
import shutil
import time

import psutil
import pytest

from tests.study.small import CONFIG
from tf_darts import spaces
from tf_darts.runtime import preemption
from tf_darts.workdir import genotype_file

SEED = "--config.seeds=(0,)"
MORE = ("--config.trains=('random',)", "--config.analyses=('perturbation',)")


def files(folder):
    """Return contents by path, but for what any run of a job changes."""
    return {
        path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def kill(program, name, ready):
    """Kill a job's process once a file is there; fail if the program ends before."""
    while program.poll() is None:
        for process in psutil.Process(program.pid).children():
            if ready.exists() and process.is_running() and name in process.cmdline():
                process.kill()
                return
        time.sleep(0.05)
    raise AssertionError(f"{name} was over before it could be killed: {program.communicate()}")


def begun(folder, table_path):
    """Write a study's config into a folder; return its arguments."""
    (folder / "config.py").write_text(CONFIG)
    return "--config=config.py", "--output=out", f"--table={table_path}", SEED


@pytest.fixture(scope="module")
def done(call, table_path, tmp_path_factory):
    """Return a folder with the study, what it said, and its arguments."""
    folder = tmp_path_factory.mktemp("study")
    arguments = begun(folder, table_path)
    status, out, err = call(folder, *arguments)
    assert status == 0, err
    assert "5 of 5 selections are finished" in out and "darts-seed0: finished" in err
    assert "skipped: selections.magnitude after searches.fixed" in err
    return folder, out, arguments


@pytest.mark.slow
def test_a_killed_job_is_reported_and_the_same_command_finishes_it_and_repeats_nothing(
    start, call, table_path, tmp_path
):
    arguments = begun(tmp_path, table_path)
    program = start(tmp_path, *arguments)
    kill(program, "darts-seed0", tmp_path / "out" / "darts-seed0" / "search" / "seconds.json")
    out, err = program.communicate()
    there = files(tmp_path / "out")
    assert program.returncode == 1, err
    assert (
        "darts-seed0 failed: it was killed by SIGKILL" in out and "Run the same command to try again" in out
    )
    assert "darts-seed0: FAILED: it was killed by SIGKILL" in err and "1 of 2" in err
    assert "fixed-seed0/selection/by_loss/genotype.json" in {str(path) for path in there}
    assert "2 of 5 selections are finished" in out  # three are of the darts job

    status, out, err = call(tmp_path, *arguments)
    assert status == 0, err
    assert "2 searches, 1 of them not finished." in err
    assert "5 of 5 selections are finished" in out and "darts-seed0: finished" in err
    now = files(tmp_path / "out")
    kept = [path for path in there if path.parts[0] == "fixed-seed0"]
    assert kept and all(now[path] == there[path] for path in kept)
    seconds = json.loads((tmp_path / "out" / "darts-seed0" / "search" / "seconds.json").read_text())
    assert seconds["starts"] == 2 and seconds["seconds"] > 0
    log = (tmp_path / "out" / "logs" / "darts-seed0.log").read_text()
    assert log.count("tf_darts.study.worker") == 2


@pytest.mark.slow
def test_asked_to_leave_the_jobs_save_and_the_same_command_goes_on(start, call, table_path, tmp_path):
    arguments = (*begun(tmp_path, table_path), "--config.jobs=1", "--config.base.search.epochs=500")
    program = start(tmp_path, *arguments)
    metrics = tmp_path / "out" / "darts-seed0" / "search" / "metrics.jsonl"
    while program.poll() is None and not metrics.exists():
        time.sleep(0.05)
    program.terminate()
    _, err = program.communicate()
    assert program.returncode == preemption.STATUS and "the searches save, then end" in err
    log = (tmp_path / "out" / "logs" / "darts-seed0.log").read_text()
    assert log.endswith("ended by SIGTERM; the same command continues from here\n")
    assert list((metrics.parent / "checkpoints").glob("ckpt-*.index"))
    assert not list((tmp_path / "out").glob("fixed-seed0/search"))


def test_on_a_tpu_one_job_at_a_time(call, table_path, tmp_path):
    arguments = (*begun(tmp_path, table_path), "--tpu=local")
    status, out, err = call(tmp_path, *arguments, "--config.jobs=2")
    assert (status, out) == (2, "")
    assert "jobs is 2 and runtime.strategy is 'tpu'; allowed: 1" in err
    status, _, err = call(tmp_path, *arguments, "--config.jobs=1")
    assert (
        status == 2 and "runtime.strategy is 'tpu' and the TPU 'local' (runtime.tpu) cannot be reached" in err
    )
    assert not (tmp_path / "out").exists()


def test_finished_studies_run_nothing(done, call):
    folder, arguments = done[0], done[2]
    before = files(folder / "out")
    status, out, err = call(folder, *arguments)
    assert status == 0 and "2 searches, 0 of them" in err and "started" not in err
    assert out == done[1] and files(folder / "out") == before


def test_collecting_before_a_selection_is_finished_says_so(call, table_path, tmp_path):
    (tmp_path / "out").mkdir()
    status, out, err = call(tmp_path, *begun(tmp_path, table_path), "--collect")
    assert status == 0, err
    assert "No selection is finished yet; what there is stands in " in out and "results.csv" not in out
    assert not (tmp_path / "out" / "results.csv").exists()


def test_collecting_alone_says_the_same(done, call):
    folder = done[0]
    before = files(folder / "out")
    for name in ("results.csv", "summary.md", "epochs.png"):
        (folder / "out" / name).unlink()
    status, out, _ = call(folder, "--output=out", "--collect")
    assert status == 0 and out == done[1] and files(folder / "out") == before


def test_the_results_are_those_of_the_work_directories(done, table):
    output = done[0] / "out"
    space = spaces.get("nas_bench_201")
    with (output / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for row in rows:
        workdir = output / f"{row['search']}-seed{row['seed']}"
        genotype = genotype_file.load(workdir / "selection" / row["selection"] / "genotype.json", space)
        score = table.lookup(genotype).scores["CIFAR-10"]["test"]
        assert row["genotype"] == genotype.to_text(space)
        assert (float(row["c10_test_accuracy"]), int(row["c10_test_rank"])) == (score.accuracy, score.rank)
        kept = json.loads((workdir / "selection" / row["selection"] / "table.json").read_text())
        assert kept["text"] == row["genotype"]
        search = json.loads((workdir / "search" / "result.json").read_text())
        measured = search["last_epoch"].get("evaluation/test_accuracy")
        expected = str(round(100 * measured, 6))
        assert row["supernet_test_accuracy"] == expected
        assert float(row["search_seconds"]) > 0 and float(row["selection_seconds"]) > 0
        assert row["test_accuracy"] == ""  # nothing is trained


@pytest.mark.slow
def test_trainings_and_analyses_are_added_to_what_is_there(done, call, tmp_path):
    folder, arguments = tmp_path / "study", done[2]
    shutil.copytree(done[0], folder)
    status, out, err = call(folder, *arguments, *MORE)
    assert status == 0, err
    plain = re.sub(" +", " ", out)  # tables are padded
    assert "| darts | perturbation | perturbation | true_strength | 1 |" in plain
    assert "| fixed | perturbation | mixing_weight | true_strength | 0 |" in plain  # its alpha is constant
    with (folder / "out" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        training = folder / "out" / f"{row['search']}-seed0" / "training" / row["selection"] / "result.json"
        assert training.exists() == (row["selection"] == "random")
        expected = 100 * json.loads(training.read_text())["test_accuracy"] if training.exists() else None
        assert (float(row["test_accuracy"]) if row["test_accuracy"] else None) == pytest.approx(expected)


def test_magnitude_after_the_last_epoch_is_the_selection(done):
    output = done[0] / "out"
    with (output / "epochs.csv").open(newline="") as file:
        rows = {(row["search"], row["seed"]): row for row in csv.DictReader(file)}
    selected = json.loads((output / "darts-seed0/selection/magnitude/genotype.json").read_text())
    assert rows["darts", "0"]["genotype"] == selected["text"]
    assert rows["fixed", "0"]["genotype"] == ""


def test_a_work_directory_is_one_that_the_programs_continue(done):
    """bin/select asks for the same folder with the same config and finds what is there."""
    from tf_darts.config import validate
    from tf_darts.workdir import stage_folders
    from tf_darts.workdir.records import recorded_config

    workdir = done[0] / "out" / "darts-seed0"
    config = recorded_config(workdir)
    for method in ("magnitude", "random"):
        config.selection.method = method
        stage = stage_folders.selection_stage(str(workdir), validate(config))
        stage.check()
        assert (stage.path / "genotype.json").exists()


def test_another_config_is_refused_by_name(done, call):
    folder, arguments = done[0], done[2]
    before = files(folder / "out")
    status, out, err = call(folder, *arguments, "--config.base.search.epochs=2")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert (
        "darts-seed0/search was made with another config: search.epochs: 1 -> 2. Use another --output" in err
    )
    assert files(folder / "out") == before


def test_a_larger_study_goes_on_in_the_same_folder(done, call, tmp_path):
    folder = shutil.copytree(done[0], tmp_path / "study")
    arguments = [argument for argument in done[2] if argument != SEED]
    status, out, _ = call(folder, *arguments, "--config.seeds=(0,1)", "--slurm=jobs.sh")
    assert status == 0 and "it has 2 tasks" in out and "Next: sbatch jobs.sh" in out
    assert "jobs=(darts-seed1 fixed-seed1)" in (folder / "jobs.sh").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=config.py"], "--output: missing; give the folder for the results"),
        (["--output=out"], "out has no study.json; give --config"),
        (["--output=out", "--config=config.py", "--collect"], "'out' is no folder; allowed: with --collect"),
        (
            ["--output=out", "--config=no.py"],
            "--config: 'no.py': no such file; give one, such as configs/study_",
        ),
        (
            ["--output=out", "--config=config.py", "--config.base.search.epoks=1"],
            "did you mean --config.base.",
        ),
        (["--output=out", "--config=config.py", "--config.jobs=0"], "jobs is 0; allowed: an integer"),
        (["--output=out", "--config=config.py", "--table=no.gz"], "report.table: NAS-Bench-201 table '"),
        (["--output=out", "--config=config.py", "--collect", "--slurm=x"], "allowed: one of them"),
        (["--output=config.py", "--config=config.py"], "--output: 'config.py' is a file"),
        pytest.param(
            ["--output=out", "--config=config.py", "--config.base.data.source=npz", "--data_dir=no.npz"],
            "no.npz': no such file",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["--output=out", "--config=config.py", "--config.base.search.batch_size=20"],
            "searches.darts: search.batch_size is 20; allowed: at most 16, the images to draw from",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["--output=out", "--config=config.py", "--config.jobs=10000"],
            "jobs is 10000: a search needs about",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_input_is_one_line_before_any_work(call, tmp_path, arguments, message):
    (tmp_path / "config.py").write_text(CONFIG)
    status, out, err = call(tmp_path, *arguments)
    assert (status, out) == (2, "")
    lines = [line for line in err.splitlines() if not line.startswith(("skipped: ", "4 searches, "))]
    assert len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0]
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["config.py"]


def test_a_section_of_base_that_is_none_is_named(call, tmp_path):
    text = CONFIG.replace(
        "return config", "config.base = {**config.base.to_dict(), 'data': 5}\n    return config"
    )
    assert text != CONFIG
    (tmp_path / "config.py").write_text(text)
    for arguments in ([], ["--data_dir=somewhere"]):
        status, out, err = call(tmp_path, "--output=out", "--config=config.py", *arguments)
        assert (status, out) == (2, "")
        assert err.splitlines()[-1] == "error: config: base: data is 5; allowed: a group of fields"


@pytest.mark.slow
def test_tasks_of_a_slurm_array_have_memory_of_their_own(call, tmp_path):
    (tmp_path / "config.py").write_text(CONFIG)
    arguments = ["--output=out", "--config=config.py", "--config.jobs=10000", "--slurm=jobs.sh"]
    status, out, err = call(tmp_path, *arguments)
    assert status == 0, err
    assert "Next: sbatch jobs.sh" in out
    assert "is estimated to need " in (tmp_path / "jobs.sh").read_text()
