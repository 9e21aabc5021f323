"""The config files that come with tf_darts, found from any folder, and what a program is called where."""

import ast

import pytest

from tf_darts.cli import entry
from tf_darts.config import files
from tf_darts.errors import UserError
from tf_darts.runtime import command


def test_a_file_of_the_current_folder_comes_first_then_the_one_of_tf_darts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert files.find("configs/quickstart.py") == str(files.FOLDER / "quickstart.py")
    for other in (
        "configs/nowhere.py",
        "quickstart.py",
        "mine/configs/quickstart.py",
        "/configs/quickstart.py",
    ):
        assert files.find(other) == other
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart.py").touch()
    assert files.find("configs/quickstart.py") == "configs/quickstart.py"


def test_the_flag_names_one_in_either_form_with_its_argument(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paper = str(files.FOLDER / "paper.py")
    given = ["--config=configs/paper.py:s1_cifar10_darts", "--workdir=configs/paper.py", "--config.seed=1"]
    assert entry.with_config_file(given) == [f"--config={paper}:s1_cifar10_darts", *given[1:]]
    assert entry.with_config_file(["--config", "configs/paper.py:a"]) == ["--config", f"{paper}:a"]
    for same in (["--config"], ["--config=mine.py", "more"], []):
        assert entry.with_config_file(same) == same


def test_a_config_is_loaded_by_name_and_made_anew():
    first = files.load("quickstart")
    first.search.epochs = 1
    assert files.load("quickstart").search.epochs != 1
    assert files.load("paper", "s1_cifar10_darts_pt").space == "s1"
    with pytest.raises(
        UserError, match=r"configs/quick.py: no such file .* allowed: benchmark, .*quickstart"
    ):
        files.load("quick")


@pytest.mark.parametrize(
    ("installed", "name", "called"),
    [
        (False, "import_supernet", "bin/import_supernet"),
        (True, "import_supernet", "tf-darts-import-supernet"),
        (False, "tensorboard", "bin/tensorboard"),
        (True, "tensorboard", "tensorboard"),
    ],
)
def test_what_a_program_is_called(monkeypatch, installed, name, called):
    monkeypatch.setattr(files, "INSTALLED", installed)
    assert command.of(name) == called


@pytest.mark.parametrize(
    ("installed", "started", "text"),
    [
        (False, "/somewhere/tf_darts/cli/search.py", "bin/search --quiet"),
        (True, "/an/environment/bin/tf-darts-search", "tf-darts-search --quiet"),
        (True, "notebook.py", "notebook.py --quiet"),
    ],
)
def test_the_command_that_was_typed(monkeypatch, installed, started, text):
    monkeypatch.setattr(files, "INSTALLED", installed)
    monkeypatch.setattr("sys.argv", [started, "--quiet"])
    assert command.text() == text


@pytest.mark.parametrize("name", files.names())
def test_a_file_builds_on_others_by_load_as_it_must_where_it_is_installed(name):
    tree = ast.parse((files.FOLDER / f"{name}.py").read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported and all(module.partition(".")[0] != "configs" for module in imported)
