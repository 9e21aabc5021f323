"""bin/launch, which starts the programs by the names that link to it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(__file__).resolve().parents[2] / "bin"
SAY = '#!/usr/bin/env bash\nprintf "%s\\n" "$PYTHONPATH" "$PYTHONSAFEPATH" "$@"\n'


@pytest.fixture
def checkout(tmp_path):
    """A checkout's bin/, whose Python only says how it was called."""
    root = tmp_path / "check out"
    shutil.copytree(BIN, root / "bin", symlinks=True)
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(SAY)
    python.chmod(0o755)
    return root


def call(program, *arguments, cwd, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more
    return subprocess.run([program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def test_a_name_is_a_program_from_any_folder_and_its_arguments_are_kept(checkout, tmp_path):
    expected = [str(checkout), "1", "-m", "tf_darts.cli.search", "--config.a=x y", "--b="]
    for program, cwd in (
        ("bin/search", checkout),
        ("./search", checkout / "bin"),
        (checkout / "bin/search", "/"),
    ):
        done = call(program, "--config.a=x y", "--b=", cwd=cwd)
        assert done.stdout.splitlines() == expected, done
    done = call("bin/search", cwd=checkout, PYTHONPATH="/mine")
    assert done.stdout.splitlines()[0] == f"{checkout}:/mine"


def test_a_link_from_elsewhere_may_have_another_name(checkout, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "far" / "darts-select").symlink_to(checkout / "bin" / "select")
    (tmp_path / "far" / "away" / "again").symlink_to("../darts-select")
    (tmp_path / "far" / "board").symlink_to(checkout / "bin" / "tensorboard")
    for link in ("far/darts-select", "far/away/again"):
        assert call(tmp_path / link, cwd="/").stdout.splitlines()[2:] == ["-m", "tf_darts.cli.select"]
    said = call(tmp_path / "far" / "board", "--logdir=w", cwd="/").stdout.splitlines()
    assert said[2:] == ["-m", "tensorboard.main", "--samples_per_plugin=images=100", "--logdir=w"]


def test_copies_in_place_of_links_do_the_same(checkout, tmp_path):
    shutil.copytree(checkout / "bin", tmp_path / "unpacked" / "bin")  # follows links, as archives may
    shutil.copytree(checkout / ".venv", tmp_path / "unpacked" / ".venv")
    assert not (tmp_path / "unpacked" / "bin" / "train").is_symlink()
    said = call("unpacked/bin/train", cwd=tmp_path).stdout.splitlines()
    assert said == [str(tmp_path / "unpacked"), "1", "-m", "tf_darts.cli.train"]


def test_without_an_environment_it_is_python_of_the_path_if_that_has_tensorflow(checkout, tmp_path):
    shutil.rmtree(checkout / ".venv")
    (tmp_path / "path").mkdir()
    python, path = tmp_path / "path" / "python3", f"{tmp_path / 'path'}:{os.environ['PATH']}"
    python.write_text('#!/usr/bin/env bash\nif [[ $1 == -c ]]; then exit "$LACKS"; fi\necho "$@"\n')
    python.chmod(0o755)
    done = call("bin/train", "--a", cwd=checkout, PATH=path, LACKS="0")
    assert done.stdout == "-m tf_darts.cli.train --a\n"
    done = call("bin/train", "--a", cwd=checkout, PATH=path, LACKS="1")
    assert done.returncode == 1 and done.stderr.startswith("bin/train: no .venv here, and python3 has no")


def test_under_its_own_name_it_wants_a_module(checkout):
    done = call("bin/launch", cwd=checkout)
    assert done.returncode == 1 and "give a module and its arguments" in done.stderr
    done = call("bin/launch", "a.module", "b", cwd=checkout)
    assert done.stdout.splitlines()[2:] == ["-m", "a.module", "b"]


def test_files_of_the_current_folder_hide_no_module_of_python(checkout, tmp_path):
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(f'#!/usr/bin/env bash\nexec "{sys.executable}" "$@"\n')
    for name in ("random", "select"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    (checkout / "two.py").write_text(
        "import random, select, subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import random; print(random.__file__)'], check=True)\n"
    )
    done = call(checkout / "bin" / "launch", "two", cwd=tmp_path)
    assert done.returncode == 0 and not Path(done.stdout.strip()).is_relative_to(tmp_path), done
