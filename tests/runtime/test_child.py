"""Python processes are started in one way, by which no folder hides a module of Python's."""

import ast
import os
import subprocess
import sys

import pytest

from tests.forking import ROOT
from tf_darts.cli import entry
from tf_darts.export import reload
from tf_darts.runtime import child
from tf_darts.study import engine, slurm
from tf_darts.study.output import Output

# What other packages and this one import, and modules of ours without their package.
NAMES = (
    "random",
    "select",
    "numpy",
    "keras",
    "copy",
    "queue",
    "json",
    "api",
    "search",
    "data",
    "config",
    "list",
)


@pytest.fixture
def folder(tmp_path):
    """A folder in which every import of a file fails."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the folder was imported')\n")
    return tmp_path


def run(command, folder, given="", **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more
    return subprocess.run(command, cwd=folder, input=given, env=environment, capture_output=True, text=True)


def test_the_folder_would_break_python(folder):
    ended = run([sys.executable, "-m", "tf_darts.cli.list"], folder, PYTHONPATH=str(ROOT))
    assert ended.returncode != 0 and "of the folder was imported" in ended.stderr


def test_a_folder_of_bad_names_breaks_nothing(folder):
    ours = child.environment({"PATH": os.environ["PATH"]})
    ended = run([ROOT / "bin" / "list", "--table=3"], folder)
    assert ended.returncode == 0 and not ended.stderr and "darts_pt" in ended.stdout
    # As pip installs tf-darts-list: a script that lies elsewhere.
    script = folder / "installed" / "tf-darts-list"
    script.parent.mkdir()
    script.write_text("import sys\nfrom tf_darts.cli.list import main\nsys.exit(main())\n")
    ended = run([sys.executable, script, "--table=3"], folder, PYTHONPATH=str(ROOT))
    assert ended.returncode == 0 and not ended.stderr and "darts_pt" in ended.stdout
    # The processes that programs start; each is asked for what needs no TensorFlow.
    ended = run(engine.command("nowhere", "a-seed0"), folder, **ours)
    assert ended.stderr.startswith("error: --output: ") and ended.returncode == 2
    ended = run(child.command("-m", "tf_darts.tools.benchmark.worker"), folder, **ours)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    ended = run(child.command(reload.__file__, str(folder)), folder, **ours)
    assert "FileNotFoundError" in ended.stderr and "job.json" in ended.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_run_in_a_folder_of_bad_names(folder):
    """All stages, with a config and an operation that are named relative to the folder."""
    operation = (ROOT / "examples" / "own_operation" / "squeeze_excite.py").read_text()
    (folder / "own.py").write_text(operation)
    (folder / "mine.py").write_text(
        "from tf_darts.config import files\ndef get_config():\n    made = files.load('quickstart')\n"
        "    made.extensions.operations = {'own': 'own.py:SqueezeExcite'}\n"
        "    made.space, made.custom_space.stacking = 'custom', 'nas_bench_201'\n"
        "    made.custom_space.candidates = ('skip_connect', 'own')\n"
        "    made.custom_space.nodes, made.custom_space.kept_edges = 1, 0\n"
        "    made.data.limit_train, made.data.limit_test = 64, 32\n"
        "    made.search.epochs = made.training.epochs = 1\n"
        "    made.search.batch_size, made.training.batch_size = 16, 32\n"
        "    made.selection.interval = 0\n    return made\n"
    )
    for command in (
        ["run", "--config=mine.py"],
        ["export", "--name=magnitude", "--formats=keras,tflite", "--trust=own.py"],
    ):
        ended = run([ROOT / "bin" / command[0], "--workdir=runs", *command[1:]], folder)
        assert ended.returncode == 0 and "of the folder was" not in ended.stderr, ended.stderr[-2000:]
    (folder / "study.py").write_text(
        "from tf_darts.extend import default_study\nimport runpy\ndef get_config():\n"
        "    made = default_study()\n    made.base = runpy.run_path('mine.py')['get_config']()\n"
        "    made.searches, made.selections = {'a': {}}, {'magnitude': {'method': 'magnitude'}}\n"
        "    made.seeds, made.jobs = (0, 1), 2\n    return made\n"
    )
    ended = run([ROOT / "bin" / "study", "--config=study.py", "--output=out"], folder)
    assert ended.returncode == 0, ended.stderr[-2000:]


def test_no_other_module_starts_python():
    for path in (ROOT / "tf_darts").rglob("*.py"):
        named = {
            ast.unparse(n) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)
        }
        assert "sys.executable" not in named or path.name == "child.py", path
    command, environment = child.command("-m", "a"), child.environment({"PYTHONPATH": "/mine", "A": "b"})
    assert command == [sys.executable, "-P", "-m", "a"]
    assert environment == {"A": "b", "PYTHONPATH": f"{ROOT}{os.pathsep}/mine", "PYTHONSAFEPATH": "1"}
    assert child.environment({}, package=False)["PYTHONPATH"] == ""


def test_scripts_start_python_by_a_safe_path(tmp_path):
    text = slurm.script(["a-seed0"], Output(tmp_path), "jobs.sh", 1e9)
    assert f"\nexport PYTHONSAFEPATH=1\nexec {sys.executable} -P -m tf_darts.study.worker " in text
    for script in ("launch", "environment.sh", "on_tpu_vm"):
        assert "PYTHONSAFEPATH=1" in (ROOT / "bin" / script).read_text(), script
    for path in (ROOT / "bin").iterdir():  # and before that, with Pythons that may be too old for it, by -I
        for line in path.read_text().splitlines():
            if " -m venv" in line and "die" not in line.split("||")[0]:
                assert " -I -m venv" in line, f"{path}: {line}"


# What nobody reads.


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_program_whose_output_is_no_longer_read_ends_without_a_word(arguments, unbuffered):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as unread:
        command = child.command("-m", "tf_darts.cli.list", *arguments)
        ended = subprocess.run(
            command,
            stdout=unread,
            stderr=subprocess.PIPE,
            env=child.environment() | {"PYTHONUNBUFFERED": unbuffered},
            text=True,
        )
    assert (ended.returncode, ended.stderr) == (entry.UNREAD, "")


def test_errors_that_nobody_reads_end_a_program_too():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as unread:
        command = child.command("-m", "tf_darts.cli.list", "--table=9")
        ended = subprocess.run(command, stdout=unread, stderr=unread, env=child.environment())
    assert ended.returncode == entry.UNREAD


def test_every_program_ends_so():
    for path in (ROOT / "tf_darts" / "cli").glob("*.py"):
        text = path.read_text()
        if "\ndef main() -> None:" in text:
            assert text.count("entry.run(") + text.count("shared_flags.run(") == 1, path


def test_another_broken_pipe_is_an_error():
    with pytest.raises(BrokenPipeError), entry._ending_quietly():
        raise BrokenPipeError("of a worker")
