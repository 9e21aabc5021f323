"""Every command of docs/tutorial.md, in its order and with its settings shortened."""

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tf_darts.config import validate

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
    if line.strip()
]
# Added to commands; what a search is given is recorded, and serves the stages after it.
SHORT = {
    "search": [
        "--config.data.limit_train=48", "--config.data.limit_test=30", "--config.search.channels=2",
        "--config.search.epochs=1", "--config.search.batch_size=12", "--config.search.evaluate_every=0",
        "--config.selection.interval=0", "--config.selection.compact=False", "--config.training.channels=2",
        "--config.training.epochs=1", "--config.runtime.tensorboard=False",
    ],
    "export": ["--formats=keras,tflite", "--check_images=20"],
}  # fmt: skip


@pytest.fixture(scope="module")
def done(call, tmp_path_factory):
    """A folder in which all commands were run, and what each printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "examples").symlink_to(ROOT / "examples")
    said = {}
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        if program == ".venv/bin/python":
            subprocess.run([sys.executable, *arguments], cwd=folder, check=True)
        else:
            name = program.removeprefix("bin/")
            assert (ROOT / program).exists()
            if name == "tensorboard":  # it would not end
                continue
            ended = call(name, *arguments, *SHORT.get(name, []), cwd=folder)
            assert ended.status == 0, f"{command}: {ended.err}"
            said[command] = ended.out
    return folder, said


@pytest.mark.slow
def test_the_commands_lead_from_images_to_a_model_that_classifies_them(done):
    folder, said = done
    programs = [shlex.split(command)[0] for command in COMMANDS]
    stages = ["bin/search", "bin/select", "bin/train", "bin/export", "bin/predict", "bin/tensorboard"]
    assert list(dict.fromkeys(programs)) == [".venv/bin/python", *stages]
    predicted = next(out for command, out in said.items() if command.startswith("bin/predict"))
    lines = predicted.splitlines()
    assert len(lines) == len(list((folder / "images" / "eight").glob("*.png"))) == 174
    assert all(
        re.fullmatch(r"images/eight/\d+\.png: \w+ [\d.]+ %, \w+ [\d.]+ %, \w+ [\d.]+ %", line)
        for line in lines
    )
    card = json.loads(
        (folder / "runs" / "tutorial" / "export" / "perturbation" / "model_card.json").read_text()
    )
    assert card["data"]["classes"] == ["eight", "five", "three"]
    assert all(entry["agrees"] for entry in card["formats"].values())
    assert list(card["formats"]) == ["keras", "tflite"] and card["checked"]["images"] == 20
    made = folder / "runs" / "tutorial" / "export" / "perturbation"
    files = {path.name for path in made.iterdir()}
    assert files == {"model.keras", "model.tflite", "model_card.json", "model_card.md"}


@pytest.mark.slow
def test_each_command_is_the_one_that_the_program_before_names(done):
    following = {command.split()[0]: out.splitlines()[-1] for command, out in reversed(done[1].items())}
    assert "bin/select --workdir=runs/tutorial" in following["bin/search"]
    assert "bin/train --workdir=runs/tutorial --method=perturbation" in following["bin/select"]
    assert "bin/export --workdir=runs/tutorial --name=perturbation" in following["bin/train"]
    assert "bin/predict --model=runs/tutorial/export/perturbation --image=" in following["bin/export"]


def test_what_the_page_says_of_the_settings_is_so():
    config = runpy.run_path(str(ROOT / "examples" / "tutorial" / "config.py"))["get_config"]()
    config.data.path = "images"
    config = validate(config)
    named = dict(re.findall(r"`((?:data|search|training)\.\w+)=([^`]+)`", PAGE))
    assert len(named) >= 5
    for name, value in named.items():
        section, field = name.split(".")
        assert str(config[section][field]) == value, name
