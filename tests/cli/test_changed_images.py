"""A training and its images: what is used of them later, and that it is noticed when they are others."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
GENOTYPE = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
COLOURS = {"1": (0, 200, 0), "10": (200, 0, 0), "2": (0, 0, 200)}
CONFIG = """
from configs import quickstart

def get_config():
    config = quickstart.get_config()
    config.data.source, config.data.image_size, config.data.test_fraction = "folder", 8, 0.25
    config.data.path = "images"
    config.search.channels, config.search.epochs, config.search.batch_size = 4, 1, 8
    config.training.channels, config.training.cells, config.training.epochs = 4, 1, 6
    config.training.batch_size, config.training.learning_rate = 8, 0.1
    config.runtime.tensorboard = False
    return config
"""
MINE = ("--workdir=run", "--name=mine")


@pytest.fixture
def folder(tmp_path):
    """Make a folder of three classes of 16 images, each of nearly one colour."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(16):
            pixels = np.clip(rng.normal(colour, 12, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number:02}.png")
    shutil.copy(tmp_path / "images" / "1" / "00.png", tmp_path / "green.png")
    (tmp_path / "config.py").write_text(CONFIG)
    return tmp_path


def add(folder, name, count):
    for number in range(count):
        Image.new("RGB", (8, 8), (255, 255, 255)).save(folder / "images" / name / f"white{number}.png")


def train(call, folder, *flags):
    ended = call("train", "--config=config.py", *MINE, f"--genotype={GENOTYPE}", *flags, cwd=folder)
    assert ended.status == 0, ended.err
    return ended


def answer(call, folder, *of):
    ended = call("predict", *of, "--image=green.png", "--top=3", cwd=folder)
    assert ended.status == 0 and ended.err == "", ended.err
    return ended.out


def export(call, folder, output, *flags):
    ended = call("export", *MINE, f"--output={output}", *flags, cwd=folder)
    assert ended.status == 0, ended.err
    return json.loads((folder / output / "model_card.json").read_text()), ended


def test_predict_needs_no_images_of_the_training(folder, call):
    train(call, folder)
    before = answer(call, folder, *MINE)
    assert before.startswith("green.png: 1 ")
    (folder / "images" / "1").rename(folder / "images" / "green")
    assert answer(call, folder, *MINE) == before
    shutil.rmtree(folder / "images")
    assert answer(call, folder, *MINE) == before


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_that_are_not_utf_8_and_look_like_formulas(folder, call):
    images, latin = folder / "images", os.fsdecode(b"\xe9t\xe9")
    for name, new in zip(COLOURS, ("$1_$5", "$10", latin), strict=True):
        (images / name).rename(images / new)
    train(call, folder, "--config.training.epochs=1")
    training = folder / "run" / "training" / "mine"
    assert (training / "confusion.png").exists()
    (folder / "green.png").rename(folder / f"{latin}.png")
    flags = (*MINE, f"--image={latin}.png", "--output=o.csv")
    ended = subprocess.run(
        [sys.executable, "-m", "tf_darts.cli.predict", *flags],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(b"\xe9t\xe9.png: ")
    assert (folder / "o.csv").read_bytes().splitlines()[1].startswith(b"\xe9t\xe9.png,")


@pytest.mark.slow
def test_export_uses_what_the_training_saw(folder, call):
    train(call, folder)
    before = answer(call, folder, *MINE)
    card, _ = export(call, folder, "first", "--formats=keras", "--check_images=0")
    assert card["checked"]["kind"] == "test" and card["checked"]["images"] == 12
    result = json.loads((folder / "run" / "training" / "mine" / "result.json").read_text())
    assert card["checked"]["accuracy"] == result["test_accuracy"]

    def checked(name, said, *flags):
        assert answer(call, folder, *MINE) == before
        card, ended = export(call, folder, name, "--check_images=50", *flags)
        assert re.search(f"warning: files are compared on images of noise.*: .*{said}", ended.err)
        assert ("and tflite_int8 is left out" in ended.err) == (not flags)
        assert card["checked"]["kind"] == "made" and card["checked"]["images"] == 50
        assert list(card["formats"]) == (["keras"] if flags else ["keras", "saved_model", "tflite"])
        assert all(entry["agrees"] for entry in card["formats"].values())
        assert card["data"]["classes"] == list(COLOURS) and card["data"]["train_images"] == 36
        assert answer(call, folder, f"--model={name}") == before
        text = (folder / name / "model_card.md").read_text()
        assert "They are noise with the training images' mean" in text

    (folder / "images" / "1").rename(folder / "images" / "green")
    checked("renamed", "the classes are now without 1 and with green")
    (folder / "images" / "green").rename(folder / "images" / "1")
    add(folder, "2", 30)
    said = "training images are 34 of class 2, and were 12; test images are 12 of class 2"
    checked("added", said, "--formats=keras")
    int8 = call("export", *MINE, "--output=int8", "--formats=tflite_int8", cwd=folder)
    assert int8.status == 2 and not (folder / "int8").exists()
    assert "--formats: tflite_int8 needs the training's images: the images have changed since" in int8.err
    shutil.rmtree(folder / "images")
    checked("gone", "no such folder", "--formats=keras")


def test_a_moved_folder_is_no_change_and_other_images_are(folder, call):
    flags = ("--config=config.py", "--workdir=run")
    assert call("search", *flags, cwd=folder).status == 0
    (folder / "images").rename(folder / "moved")
    moved = ("--workdir=run", "--data_dir=moved", "--method=magnitude")
    assert call("select", *moved, cwd=folder).status == 0
    train(call, folder, "--data_dir=moved")
    export(call, folder, "exported", "--data_dir=moved", "--formats=tflite_int8")
    (folder / "moved").rename(folder / "images")
    add(folder, "2", 30)
    for program, *more in (
        ("search", *flags),
        ("select", "--workdir=run", "--method=magnitude"),
        ("select", "--workdir=run", "--method=perturbation"),
        ("train", *flags, "--name=mine", f"--genotype={GENOTYPE}"),
        ("train", *flags, "--name=other", f"--genotype={GENOTYPE}"),
    ):
        ended = call(program, *more, cwd=folder)
        assert ended.status == 2, (program, more, ended.out)
        (line,) = ended.err.splitlines()
        assert " was made with other images: training images are 34 of class 2, and were 12; test" in line
    assert sorted(path.name for path in (folder / "run" / "training").iterdir()) == ["mine"]
    assert sorted(path.name for path in (folder / "run" / "selection").iterdir()) == ["magnitude"]


@pytest.mark.slow
def test_a_streamed_training_is_exported_and_asked(folder, call):
    images = folder / "images"
    for part, numbers in (("train", range(12)), ("test", range(12, 16))):
        for name in COLOURS:
            (images / part / name).mkdir(parents=True)
            for number in numbers:
                (images / name / f"{number:02}.png").rename(images / part / name / f"{number:02}.png")
    for name in COLOURS:
        (images / name).rmdir()
    streamed = ("--config.data.stream=True", "--config.data.test_resize=8", "--config.data.crop_padding=0")
    train(call, folder, *streamed)
    card, _ = export(call, folder, "exported", "--check_images=0", "--formats=keras")
    assert card["checked"]["kind"] == "test" and card["checked"]["images"] == 12
    assert all(entry["agrees"] for entry in card["formats"].values())
    result = json.loads((folder / "run" / "training" / "mine" / "result.json").read_text())
    assert card["checked"]["accuracy"] == result["test_accuracy"]
    assert answer(call, folder, *MINE) == answer(call, folder, "--model=exported")
