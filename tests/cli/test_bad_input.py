"""What is wrong with an input is one line, exit status 2, and nothing is written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = f"--config={ROOT / 'configs' / 'quickstart.py'}"


def files(folder):
    found = [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts]
    return {path: path.is_file() and path.read_bytes() for path in found}


@pytest.fixture
def error_of(call, tmp_path):
    """The one line that a program writes about its arguments; the folder stays as it is."""

    def error_of(program, *arguments):
        before = files(tmp_path)
        ended = call(program, *arguments, cwd=tmp_path)
        assert ended.status == 2, ended
        assert ended.out == ""
        assert ended.err.startswith("error: ") and ended.err.count("\n") == 1, ended.err
        assert files(tmp_path) == before
        return ended.err

    return error_of


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config.search.epoks=3"],
            "--config.search.epoks: no such field; did you mean --config.search.epochs?",
        ),
        (["--config.qqq", "3"], "--config.qqq: no such field; tf_darts/config/fields.py lists all fields"),
        (["--config.search.epochs=many"], "--config.search.epochs=many: invalid literal for int"),
        (["--config.search.epochs=0"], "search.epochs is 0; allowed: an integer of at least 1"),
        (["--config.space=foo"], "space is 'foo'; allowed: one of darts, "),
        (["--config.search.method=fixed_alpha", "--config.selection.method=magnitude"], "never trained"),
        (
            ["--config.data.limit_train=99", "--config.search.batch_size=50"],
            "search.batch_size is 50; allowed: at most 49, the images to draw from",
        ),
        (
            ["--config.data.limit_train=99", "--config.training.batch_size=100"],
            "training.batch_size is 100; allowed: at most 99, the images to draw from",
        ),
        (["--config.training.auxiliary_weight=0.4"], "training.auxiliary_weight: the auxiliary head takes"),
        (["--config.selection.max_parameters=9"], "selection.max_parameters is 9; allowed: at least "),
        (["--config.data.source=npz"], "data.path is empty; data.source 'npz' needs a path"),
        (["--config.data.source=npz", "--data_dir=no.npz"], "no.npz': no such file"),
        (["--config.data.source=folder", "--data_dir=nowhere"], "nowhere': no such folder"),
        (["--config.data.source=tfds", "--data_dir=nowhere"], "nowhere': "),
        (["--config.runtime.strategy=mirrored"], "runtime.strategy is 'mirrored' and there is one device"),
        (
            ["--config.runtime.strategy=mirrored", "--config.runtime.logical_devices=3"],
            "search.batch_size is 32; allowed: a multiple of runtime.logical_devices, 3",
        ),
    ],
)
def test_settings_and_data(error_of, arguments, message):
    assert message in error_of("run", QUICKSTART, "--workdir=run", *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([QUICKSTART], "--workdir: missing; give the folder for the results"),
        ([QUICKSTART, "--workdir=broken.py"], "--workdir: 'broken.py' is a file; allowed: a folder"),
        ([QUICKSTART, "--workdir=a[1]"], "--workdir: 'a[1]'; allowed: a name without"),
        ([QUICKSTART, "--workdir=gs://b/run"], "--workdir: 'gs://b/run' is an address; allowed: a path on"),
        (["--config=s3://b/c.py", "--workdir=run"], "--config: 's3://b/c.py' is an address; allowed: a path"),
        ([], "--config: missing; give a config file, for example"),
        (["--workdir=run"], "--config: missing; give a config file, for example"),
        (
            ["--workdir=run", "--config.seed=1"],
            "--config.seed: --config is missing; give a config file, such as",
        ),
        (["--config=nowhere.py", "--workdir=run"], "--config: 'nowhere.py': no such file"),
        (["--config", "nowhere.py", "--config.seed=1", "--workdir=run"], "--config: 'nowhere.py': no such"),
        (["--config=broken.py", "--workdir=run"], "--config: SyntaxError: "),
        (["--config=failing.py", "--workdir=run"], "--config: ZeroDivisionError: division by zero"),
        (["--config=empty.py", "--workdir=run"], "get_config"),
        ([QUICKSTART, "--workdir=run", "more"], "'more' is not a flag; flags start with --"),
        ([QUICKSTART, "--workdir=run", "--workdirs=x"], "workdirs"),
    ],
)
def test_flags_and_config_files(error_of, tmp_path, arguments, message):
    (tmp_path / "broken.py").write_text("def get_config(:\n")
    (tmp_path / "failing.py").write_text("def get_config():\n    return 1 / 0\n")
    (tmp_path / "empty.py").write_text("")
    assert message in error_of("search", *arguments)


@pytest.mark.parametrize(
    ("program", "arguments", "field"),
    [
        ("run", [QUICKSTART, "--workdir=run", "--data_dir", "gs://b/x"], "--data_dir"),
        (
            "search",
            [QUICKSTART, "--workdir=run", "--config.data.source=npz", "--config.data.path=gs://b/x"],
            "config: data.path",
        ),
        ("search", [QUICKSTART, "--workdir=run", "--config.report.table=gs://b/x"], "config: report.table"),
        ("study", ["--config=study.py", "--output=gs://b/x"], "--output"),
        ("study", ["--config=study.py", "--output=out"], "config: data.path"),
        ("export", ["--workdir=run", "--output=gs://b/x"], "--output"),
        ("report", ["--compare=run,gs://b/x"], "--compare"),
        ("benchmark", ["--output=gs://b/x"], "--output"),
        ("convert_nats_bench", ["--output=gs://b/x"], "--output"),
    ],
)
def test_an_address_is_no_path(error_of, tmp_path, program, arguments, field):
    (tmp_path / "study.py").write_text(
        "from tf_darts.study import settings\n"
        "def get_config():\n"
        "    config = settings.default()\n"
        "    config.searches = {'x': {'data': {'path': 'gs://b/x'}}}\n"
        "    config.selections = {'magnitude': {}}\n"
        "    return config\n"
    )
    message = f"{field}: 'gs://b/x' is an address; allowed: a path on this machine"
    assert message in error_of(program, *arguments)


def test_a_data_file_that_is_no_use_is_named(error_of, tmp_path):
    np.savez(tmp_path / "data.npz", x_train=np.zeros([4, 8, 8], np.uint8))
    arguments = ["--config.data.source=npz", "--data_dir=data.npz", "--workdir=run"]
    assert "data.npz': lacks the key" in error_of("search", QUICKSTART, *arguments)


def test_selection_and_training_need_what_comes_before(error_of):
    message = "run has no config.json; give --config, or run a search there first"
    assert message in error_of("select", "--workdir=run")
    assert message in error_of("select", "--config.selection.criterion=loss", "--workdir", "run")
    message = "run/search holds no finished search; run bin/search there first"
    assert message in error_of("select", QUICKSTART, "--workdir=run")
    message = "selection/magnitude/genotype.json is missing; run bin/select --method=magnitude first"
    assert message in error_of("train", QUICKSTART, "--workdir=run", "--method=magnitude")


def test_methods_that_do_not_go_together(error_of):
    arguments = ["--config.search.method=fixed_alpha", "--method=magnitude", "--workdir=run"]
    message = "selection.method is 'magnitude' with search.method 'fixed_alpha'"
    assert message in error_of("select", QUICKSTART, *arguments)
    assert "method" in error_of("select", QUICKSTART, "--method=guess", "--workdir=run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|nor_conv_3x3~0|+|none~0|none~1|", "3 nodes"),
        ("|nor_conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|", "nor_conv_9x9"),
        ('{"schema_version": 1', "JSON"),
        ("nowhere.json", "nowhere.json"),
        ("torn.json", "torn.json"),
    ],
)
def test_a_genotype_that_is_none(error_of, tmp_path, text, message):
    (tmp_path / "torn.json").write_text('{"schema_version": 1, "space": "nas_b')
    line = error_of("train", QUICKSTART, "--workdir=run", f"--genotype={text}")
    assert message in line and "genotype" in line


def test_a_name_for_a_network_is_not_a_path(error_of):
    named = error_of("train", QUICKSTART, "--genotype=darts_v2", "--name=../x", "--workdir=run")
    assert "--name: '../x'; allowed: " in named
    alone = error_of("train", QUICKSTART, "--method=random", "--name=x", "--workdir=run")
    assert "--name: 'x'; allowed: only with --genotype" in alone


def test_a_work_directory_of_another_config(error_of, tmp_path):
    (tmp_path / "run" / "search").mkdir(parents=True)
    config = {"seed": 0, "space": "nas_bench_201", "data": {}, "search": {"channels": 8}}
    content = {"schema_version": 1, "config": config}
    (tmp_path / "run" / "search" / "config.json").write_text(json.dumps(content))
    for program in ("search", "select"):
        line = error_of(program, QUICKSTART, "--config.search.channels=4", "--workdir=run", "--config.seed=1")
        assert "run/search was made with another config: " in line
        assert "search.channels: 8 -> 4" in line and "seed: 0 -> 1" in line
        assert "Use another --workdir, or the same config" in line


def test_a_damaged_config_in_the_work_directory(error_of, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"schema_version": 1, "config": {')
    assert "config.json: cannot be read: " in error_of("select", "--workdir=run")
    (tmp_path / "run" / "config.json").write_text('{"schema_version": 1, "config": {"epoks": 3}}')
    assert "unknown field 'epoks'" in error_of("select", "--workdir=run")
    shutil.rmtree(tmp_path / "run")


def test_as_a_process_too(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "tf_darts.cli.search", "--config.search.epoks=3", "--workdir=run", QUICKSTART],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
