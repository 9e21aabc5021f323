"""The files in configs/: valid, and true to what they say."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from tf_darts import config as config_lib
from tf_darts import paper

FOLDER = Path(__file__).resolve().parents[2] / "configs"
# benchmark.py and study_*.py are configs of other programs, with tests in tests/benchmark and tests/study;
# paper.py takes the name of a row: tests/paper; pc_darts_imagenet.py has other images for each stage.
OTHERS = ("benchmark", "paper", "pc_darts_imagenet")
FILES = sorted(p for p in FOLDER.glob("*.py") if p.stem not in OTHERS and not p.stem.startswith("study_"))


def load(name):
    return config_lib.validate(runpy.run_path(str(FOLDER / f"{name}.py"))["get_config"]())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_config_is_valid_and_says_how_it_is_run(path):
    module = runpy.run_path(str(path))
    config = module["get_config"]()
    first, *rest = module["__doc__"].splitlines()
    if config.data.source in ("npz", "folder") and not config.data.path:  # left to the flag
        assert any("--data_dir=" in line for line in rest)
        config.data.path = "given by the flag"
    config_lib.validate(config)
    assert first.endswith(".") and len(first) > 20
    command = f"bin/run --config=configs/{path.name} --workdir=runs/"
    assert any(line.startswith(f"    {command}") for line in rest)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_the_first_lines_say_command_cost_and_result(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    first, command, facts, *rest = text.split("\n\n")
    assert first.endswith(".") and "\n" not in first
    commands = [line for line in command.splitlines() if line.startswith("    ")]
    assert commands and all(line.startswith("    bin/") for line in commands)
    assert f"configs/{path.stem}.py" in command
    cost, result = re.fullmatch(r"(Cost: .*)\n(Result.*: .*)", facts, re.S).groups()
    assert "\n" not in cost and re.search("minute|hour|GPU-days|times that of each row", cost)
    assert re.search(r"\d", result)
    assert rest  # what it is about
    for sentence in re.split(r"(?<=[.:?])\s+", "\n".join([facts, *rest])):
        assert "bin/" in sentence or len(sentence.split()) <= 35, sentence


def test_a_config_is_made_anew_at_each_call():
    module = runpy.run_path(str(FOLDER / "quickstart.py"))
    module["get_config"]().search.epochs = 1
    assert module["get_config"]().search.epochs != 1


def test_the_small_config_differs_from_the_published_one_in_size_alone():
    small, published = load("nas_bench_201_cifar10_small"), paper.settings("nas_bench_201", "cifar10")
    changed = {line.split(":")[0] for line in config_lib.differences(published.to_dict(), small.to_dict())}
    assert changed <= {
        "data.limit_train",
        "data.limit_test",
        "search.channels",
        "search.cells",
        "search.epochs",
        "selection.interval",
        "training.channels",
        "training.cells",
        "training.epochs",
        "training.batch_size",
    }
