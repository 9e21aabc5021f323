"""The files in configs/: valid, and true to what they say."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from tf_darts import config as config_lib
from tf_darts import paper, spaces
from tf_darts.config import files
from tf_darts.errors import UserError
from tf_darts.spaces.darts import OPERATIONS
from tf_darts.study import settings

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


# Channels, cells, nodes: as the specification of DARTS-Bench-Suite says.
SUPERNETS = {"wide": (18, 4, 4), "deep": (7, 18, 4), "single_cell": (26, 1, 8)}


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("kind", ["regular", "no_skip", "all_skip"])
@pytest.mark.parametrize("supernet", SUPERNETS)
def test_the_benchmarks_of_darts_bench_suite(supernet, kind):
    config = files.load("darts_bench_suite", f"{supernet}_{kind}")
    config.data.path = "given by the flag"
    config = config_lib.validate(config)
    space = spaces.of(config)
    for section in ("search", "training"):
        found = config[section].channels, config[section].cells, space.nodes
        assert found == SUPERNETS[supernet]
    assert space.output_nodes == tuple(range(space.nodes - 2, space.nodes + 2)) and space.kept_edges == 2
    names = {"none", *OPERATIONS}
    names -= {"skip_connect"} if kind == "no_skip" else set()
    names = {f"{name}_with_skip" for name in OPERATIONS} if kind == "all_skip" else names
    assert set(space.operations) == names and not space.none_in_genotype
    assert (config.data.training_only, config.data.train_fraction) == (0.5, 0.5)
    assert (config.training.epochs, config.training.batch_size) == (300, 512)


@pytest.mark.usefixtures("registries")
def test_the_study_of_darts_bench_suite_has_its_protocol():
    config = files.load("study_darts_bench_suite")
    config.base.data.path = "given by the flag"
    config.base.search.method = "oles"  # as a flag sets it, for all
    study = settings.validate(config)
    assert len(study.jobs) == 9 * 3 and not study.skipped and study.jobs[9].seed == 1
    wanted = {(rate, decay) for rate in (0.025, 0.1, 0.01) for decay in (1e-4, 3e-4, 1e-3)}
    for job in study.jobs[:9]:
        alone = files.load("darts_bench_suite", job.search)
        alone.data.path, alone.seed, alone.search.method = job.config.data.path, job.seed, "oles"
        assert config_lib.validate(alone).to_dict() == job.config.to_dict()
        assert set(job.trained) == {"magnitude", "perturbation"}
        assert all(c.seed == job.seed for of in job.trained.values() for _, c in of.values())
        for trainings in job.trained.values():
            found = [(c.training.learning_rate, c.training.weight_decay) for _, c in trainings.values()]
            assert set(found) == wanted and len(found) == 9
    with pytest.raises(UserError, match="'wide' is no benchmark; allowed: wide_regular"):
        files.load("darts_bench_suite", "wide")
