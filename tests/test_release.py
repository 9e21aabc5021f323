"""What is released: the distributions are whole, and the installed package does what the checkout does."""

import email
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tf_darts

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCRIPTS = PROJECT["scripts"]
NOT_INSTALLED = {"tpu_check"}  # it needs an environment of its own, which bin/tpu_check makes
# Not part of the sources; what .gitignore names and version control itself.
IGNORED = (
    ".*", "__pycache__", "*.so", "*.egg-info", "build", "dist", "runs", "site", "bazel-*",
)  # fmt: skip
SHORT = [
    "--config.data.limit_train=48", "--config.data.limit_test=30", "--config.search.channels=2",
    "--config.search.epochs=1", "--config.search.batch_size=12", "--config.search.evaluate_every=0",
    "--config.selection.interval=0", "--config.training.channels=2", "--config.training.epochs=1",
    "--config.training.batch_size=12", "--config.runtime.tensorboard=False",
]  # fmt: skip


def test_every_program_is_installed_under_its_name():
    modules = {
        path.stem
        for path in (ROOT / "tf_darts" / "cli").glob("*.py")
        if '__name__ == "__main__"' in path.read_text()
    }
    assert {f"tf-darts-{name.replace('_', '-')}" for name in modules - NOT_INSTALLED} == set(SCRIPTS)
    for name, target in SCRIPTS.items():
        module, _, function = target.partition(":")
        assert module == f"tf_darts.cli.{name.removeprefix('tf-darts-').replace('-', '_')}"
        assert importlib.util.find_spec(module) and function == "main"
    launch = (ROOT / "bin" / "launch").read_text()  # what links to it reads the same, and so do copies
    named = {path.name for path in (ROOT / "bin").iterdir() if path.is_file() and path.read_text() == launch}
    assert named == (modules - NOT_INSTALLED) | {"launch"}


def test_the_script_that_pip_makes_of_a_program_tells_its_flags():
    script = (
        "import sys; sys.argv = ['/somewhere/tf-darts-select', '--help'];"
        " from tf_darts.cli.select import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "/somewhere/tf-darts-select:" in done.stdout
    assert all(f"--{flag}:" in done.stdout for flag in ("method", "workdir", "config")), done


def test_the_version_stands_in_one_place_and_is_the_newest_of_the_changelog():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    newest = re.search(r"^## (\S+) \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest[1] == tf_darts.__version__
    citation = dict(
        re.findall(r"^(version|date-released): (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    )
    assert citation == {"version": newest[1], "date-released": newest[2]}


def pins_of(name):
    """Versions by package, of one requirements file."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if re.match(r"\w", line)]
    found = [re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    return {canonicalize_name(match[1]): match[2] for match in found}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-tpu.txt"])
def test_requirements_pin_all_that_the_package_asks_for(name):
    pins = pins_of(name)
    if "tensorflow-tpu" in pins:  # the newest that there is for TPUs
        pins["tensorflow"] = "2.21"
    for dependency in map(Requirement, PROJECT["dependencies"]):
        assert dependency.specifier.contains(pins[canonicalize_name(dependency.name)]), dependency


@pytest.mark.parametrize("extra", ["dev", "docs"])
def test_what_bin_sets_up_has_the_extra_of_that_name(extra):
    text, pins = (ROOT / f"requirements-{extra}.txt").read_text(), pins_of(f"requirements-{extra}.txt")
    wanted = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["optional-dependencies"][extra])}
    assert all(requirement.specifier.contains(pins[name]) for name, requirement in wanted.items())
    direct = text.partition("\n# What those need in turn.")[0]
    assert set(re.findall(r"^([\w.-]+)==", direct, re.M)) == set(wanted)


def test_an_extra_that_a_message_or_a_page_names_is_there():
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "tf_darts").rglob("*.py")]
    named = {
        name for path in files for name in re.findall(r"pip install -e ['\"]\.\[(.*?)\]", path.read_text())
    }
    assert named == set(PROJECT["optional-dependencies"]) - {"dev", "docs"}


def test_github_tests_the_pythons_that_the_package_names():
    named = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python ::" in c}
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    for job in ("test", "wheel"):
        assert set(jobs[job]["strategy"]["matrix"]["python"]) == named
    commands = {name: [step.get("run") for step in job["steps"]] for name, job in jobs.items()}
    assert "bin/test" in commands["test"] and "bin/docs" in commands["docs"]


def test_what_runs_before_a_commit_is_in_bin_test_too():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    stages = (ROOT / "bin" / "test").read_text()
    commands = [hook["entry"].partition(" -m ")[2].partition(" --")[0] for hook in repository["hooks"]]
    assert commands == ["ruff check", "ruff format", "codespell_lib", "mypy"]
    assert all(f'"$PYTHON_BIN" -m {command} ' in stages for command in commands)


@pytest.mark.parametrize("name", ["", "-dev", "-docs"])
def test_pins_have_hashes(name):
    text = (ROOT / f"requirements{name}.txt").read_text().replace("\\\n", "")
    pins = [line for line in text.splitlines() if line and not line.startswith(("#", "-r"))]
    assert pins and all(re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line) for line in pins)


def run(*command, cwd, **more):
    """What a command prints; without the checkout on Python's path."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(python):
    """pip, working on the packages of another Python."""
    return sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the sources, so that building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("sources") / "tf_darts"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*IGNORED))
    return folder


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory):
    """The source distribution and the wheel made from it, and what building said."""
    folder = tmp_path_factory.mktemp("built")
    said = run(
        sys.executable, "-m", "build", "--no-isolation", f"--outdir={folder}", str(sources), cwd=folder
    )
    (archive,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return archive, wheel, said


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The programs of an environment that has the wheel, and the packages of this one but for tf_darts."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder)
    python = folder / "bin" / "python"
    run(*pip(python), "install", "--no-index", "--no-deps", "--quiet", str(built[1]), cwd=folder)
    own = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (own / "pinned.pth").write_text("\n".join(packages))  # these come behind the environment's own
    place = run(python, "-c", "import tf_darts; print(tf_darts.__file__)", cwd=folder).strip()
    assert Path(place).is_relative_to(own)
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_has_all_of_the_package_and_nothing_else(built, sources):
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
        (about,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        license_text = wheel.read(f"{about}/licenses/LICENSE").decode()
        metadata = email.message_from_bytes(wheel.read(f"{about}/METADATA"))
    assert license_text == (ROOT / "LICENSE").read_text()
    assert metadata["Version"] == tf_darts.__version__ and metadata["License-Expression"] == "Apache-2.0"
    expected = {path.relative_to(sources).as_posix() for path in (sources / "tf_darts").rglob("*.*")}
    assert {"tf_darts/py.typed", "tf_darts/nas_bench/data/nas_bench_201.npz"} <= expected
    expected |= {f"tf_darts/configs/{path.name}" for path in (sources / "configs").glob("*.py")}
    assert {name for name in names if not name.startswith(about)} == expected
    # From one such warning on, a build leaves out files that it should have.
    assert "SetuptoolsDeprecationWarning" not in built[2] and "no files found" not in built[2]


@pytest.mark.slow
def test_a_wheel_with_compiled_kernels_is_for_their_platform(sources, tmp_path):
    folder = tmp_path / "tf_darts"
    shutil.copytree(sources, folder, symlinks=True)
    carried = folder / "tf_darts" / "native" / "built" / "kernels.so"
    carried.parent.mkdir()
    carried.write_text("")
    made = (sys.executable, "-m", "build", "--no-isolation", "--wheel", f"--outdir={tmp_path}")
    run(*made, str(folder), cwd=tmp_path)
    (path,) = tmp_path.glob("*.whl")
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert path.name == f"tf_darts-{tf_darts.__version__}-py3-none-{platform}.whl"
    with zipfile.ZipFile(path) as wheel:
        assert "tf_darts/native/built/kernels.so" in wheel.namelist()


@pytest.mark.slow
def test_the_source_distribution_has_all_of_the_repository(built, sources):
    with tarfile.open(built[0]) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    files = {path.relative_to(sources).as_posix() for path in sources.rglob("*") if path.is_file()}
    files = {name for name in files if ".egg-info" not in name}
    made = {name for name in names if ".egg-info/" in name} | {"PKG-INFO", "setup.cfg"}
    assert names - made == files


@pytest.mark.slow
def test_the_pinned_versions_are_those_that_the_package_asks_for(installed, tmp_path):
    # Of the other packages each other's wishes are not looked at here.
    done = subprocess.run([*pip(installed / "python"), "check"], cwd=tmp_path, capture_output=True, text=True)
    assert "tf-darts" not in done.stdout + done.stderr
    listed = run(*pip(installed / "python"), "list", cwd=tmp_path)
    assert re.search(rf"^tf[-_]darts +{re.escape(tf_darts.__version__)}$", listed, re.M)


@pytest.mark.slow
def test_the_installed_programs_search_select_train_and_report(installed, tmp_path):
    def call(program, *arguments):
        return run(installed / f"tf-darts-{program}", *arguments, cwd=tmp_path, TF_CPP_MIN_LOG_LEVEL="3")

    workdir = "--workdir=runs/quickstart"
    said = call("search", "--config=configs/quickstart.py", workdir, *SHORT)
    assert said.splitlines()[-1] == "Next: tf-darts-select --workdir=runs/quickstart"
    said = call("select", workdir, "--method=perturbation")
    assert "Next: tf-darts-train --workdir=runs/quickstart --method=perturbation" in said
    assert "tf-darts-export --workdir=runs/quickstart" in call("train", workdir, "--method=perturbation")
    folder = tmp_path / "runs" / "quickstart"
    result = json.loads((folder / "training" / "perturbation" / "result.json").read_text())
    assert 0 <= result["test_accuracy"] <= 1
    recorded = json.loads((folder / "config.json").read_text())
    assert recorded["versions"]["tf_darts"] == tf_darts.__version__
    call("export", workdir, "--name=perturbation", "--formats=keras")  # and reads it where tf_darts is hidden
    call("report", workdir)
    assert f"Made by tf_darts {tf_darts.__version__}" in (folder / "report" / "index.html").read_text()


@pytest.mark.slow
def test_the_installed_configs_build_on_each_other_and_are_listed(installed, tmp_path):
    listed = run(installed / "tf-darts-list", cwd=tmp_path)
    for path in (ROOT / "configs").glob("*.py"):
        assert path.stem == "paper" or f"configs/{path.name}: " in listed
    assert "tf-darts-search --config=configs/paper.py:" in listed and "bin/" not in listed
    said = run(
        installed / "tf-darts-study", "--config=configs/study_digits.py", "--output=study",
        "--slurm=jobs.sh", "--config.seeds=(0,)", cwd=tmp_path,
    )  # fmt: skip
    assert f"After it: tf-darts-study --output={tmp_path / 'study'} --collect" in said
    run("bash", "-n", "jobs.sh", cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("program", sorted(SCRIPTS))
def test_an_installed_program_tells_its_flags(installed, tmp_path, program):
    done = subprocess.run([installed / program, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert "flags:" in done.stdout and f"{program}:" in done.stdout and "Traceback" not in done.stderr
