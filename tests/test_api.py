"""`tf_darts.api`: the README's lines on arrays, and the example on a dataset, shortened, from end to end."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

import tf_darts
from tests.search import tiny
from tf_darts import api
from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.runtime import strategy

pytestmark = pytest.mark.usefixtures("no_pictures")

ROOT = Path(__file__).resolve().parents[1]
SHORT = {
    "space": "custom",
    "custom_space": {"stacking": "nas_bench_201", "nodes": 2, "candidates": ("skip_connect", "nor_conv_1x1")},
    "data": {"crop_padding": 0, "flip": False, "test_fraction": 0.5},
    "search": {"channels": 2, "cells": 1, "epochs": 1, "batch_size": 20, "evaluate_every": 0},
    "selection": {"interval": 0, "compact": False},
    "training": {
        "channels": 4, "cells": 1, "epochs": 2, "batch_size": 16, "auxiliary_weight": 0.0, "cutout_length": 0,
        "drop_path": 0.0,
    },
    "runtime": {"tensorboard": False},
}  # fmt: skip
DIGITS = datasets.load_digits()
IMAGES, LABELS = (DIGITS.images[:160] / 16).astype(np.float32), DIGITS.target[:160]


def shortened(text, *replacements):
    """A program's text with parts replaced, each of which is in it."""
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module", autouse=True)
def one_device():
    """The strategy of a machine with one device (the tests have two), and networks of one stage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strategy, "start", lambda runtime, guest=False: tiny.one_device())
        tiny.one_stage(patch)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What the README's lines leave in a namespace and in a folder."""
    folder = tmp_path_factory.mktemp("readme")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (block,) = [block for block in blocks if "from tf_darts import api" in block]
    block = shortened(
        block,
        ("digits.images / 16, digits.target", "IMAGES, LABELS"),
        ('files.load("quickstart")', repr(SHORT)),
        ("trained.export()", "card = trained.export(formats=['keras'], check_images=20)"),
    )
    names = {"IMAGES": IMAGES, "LABELS": LABELS}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(block, names)
        names["selected"] = api.select(names["searched"], "perturbation")  # finds what is there
    return names, folder / "runs" / "py"


def test_the_lines_of_the_readme_leave_a_work_directory_for_every_program(done):
    names, workdir = done
    assert names["searched"].workdir == Path("runs/py")
    config = json.loads((workdir / "config.json").read_text())["config"]
    assert config["data"]["source"] == "npz" and config["data"]["path"] == str(workdir / "data.npz")
    with np.load(workdir / "data.npz") as arrays:
        assert arrays["x_train"].shape == (80, 8, 8, 1) and arrays["x_train"].dtype == np.uint8
        assert sorted(np.bincount(arrays["y_test"])) == pytest.approx(np.bincount(LABELS) / 2, abs=1)
    for file in (
        "search/result.json",
        "selection/perturbation/genotype.json",
        "training/perturbation/result.json",
    ):
        assert (workdir / file).exists()
    assert (workdir / "export" / "perturbation" / "model.keras").exists()


def test_what_they_give(done):
    names, workdir = done
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir.parents[1])
        assert names["searched"].alpha["normal"].shape == (3, 2)
        assert re.fullmatch(r"(\|(\w+~\d\|)+\+?)+", names["selected"].text)
        kinds = [row["kind"] for row in names["selected"].decisions]
        assert kinds == ["operation"] * 3
        trained = names["trained"]
        assert trained.test_accuracy == trained.result["test_accuracy"]
        probabilities = trained.predict(IMAGES[:3])
        np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
        assert probabilities.shape == (3, 10)
        uint8 = np.rint(IMAGES[:3] * 255).astype(np.uint8)[..., None]
        np.testing.assert_array_equal(trained.predict(uint8), probabilities)
        with pytest.raises(UserError, match=r"images are of shape \(4, 4, 1\); allowed: \(8, 8, 1\)"):
            trained.predict(IMAGES[:3, :4, :4])
        assert names["card"]["formats"]["keras"]["agrees"]


def test_again_it_finds_what_is_there_and_refuses_what_differs(done, monkeypatch):
    names, workdir = done
    monkeypatch.setattr(api.stages.search_loop, "run", None)  # called, it would fail
    searched = api.search((IMAGES, LABELS), config=SHORT, workdir=workdir)
    assert searched.folder == workdir / "search"
    assert api.select(searched).genotype == names["selected"].genotype
    with pytest.raises(UserError, match="data.npz holds other images .*x_test, x_train differ"):
        api.search((IMAGES, LABELS[::-1]), config=SHORT, workdir=workdir)
    with pytest.raises(UserError, match=r"made with another config: search\.epochs: 1 -> 2"):
        api.search((IMAGES, LABELS), config=SHORT | {"search.epochs": 2}, workdir=workdir)


def test_another_selection_goes_into_a_folder_of_its_own(done):
    searched = api.search((IMAGES, LABELS), config=SHORT, workdir=done[1])
    other = api.select(searched, "magnitude")
    assert other.folder == done[1] / "selection" / "magnitude" and len(other.decisions) == 3
    named = api.select(searched, "magnitude", config={"selection.name": "mine"})
    assert named.folder.name == "mine" and named.genotype == other.genotype
    with pytest.raises(UserError, match=r"selection\.method is 'magnitud'"):
        api.select(searched, "magnitud")


def test_a_genotype_without_a_work_directory_is_trained_in_a_temporary_one():
    class Heard(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.epochs = []

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append((epoch, sorted(logs)))

    heard = Heard()
    trained = api.train(
        "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|",
        (IMAGES[:64], LABELS[:64]),
        (IMAGES[64:80], LABELS[64:80]),
        config=SHORT,
        class_names=[f"digit {k}" for k in range(10)],
        callbacks=[heard],
    )
    assert trained.folder.name == "given" and trained.result["test_images"] == 16
    logs = ["accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"]
    assert heard.epochs == [(0, logs), (1, logs)]
    assert trained.run.data.class_names[3] == "digit 3"
    workdir = trained.workdir
    assert workdir.exists()
    del trained
    assert not workdir.exists()


@pytest.mark.slow
def test_the_example_on_a_dataset(tmp_path, monkeypatch, capsys):
    text = (ROOT / "examples" / "library" / "own_dataset.py").read_text()
    text = shortened(
        text,
        ("images, digits.target, test_size", "images[:160], digits.target[:160], test_size"),
        ("stratify=digits.target", "stratify=digits.target[:160]"),
        ("config=settings", f"config=settings | {SHORT | {'training.epochs': 3}!r}"),
        ("patience=5", "patience=0, min_delta=100.0"),  # never enough: stops after the second epoch
    )
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    exec(text, names)
    out = capsys.readouterr().out
    for method in ("magnitude", "perturbation"):
        assert f"{method:12} {names['selected'][method].text}" in out
    assert "after 2 epochs" in out
    assert (tmp_path / "runs" / "library" / "export" / "perturbation" / "model.keras").exists()


def test_the_settings_of_the_example_are_valid():
    text = (ROOT / "examples" / "library" / "own_dataset.py").read_text()
    settings = re.search(r"settings = (\{.*?^\})", text, re.S | re.M)[1]
    config = api.laid_over(config_lib.default(), eval(settings))
    assert config.search.alpha_learning_rate == 3e-3 and config.training.cutout_length == 0


@pytest.mark.parametrize(
    ("data", "test", "message"),
    [
        ((IMAGES, LABELS[:5]), None, "data: 160 images and 5 labels"),
        (IMAGES, None, "data is a ndarray; allowed: (images, labels), or a tf.data.Dataset"),
        ((IMAGES * 2, LABELS), None, "data: images has values from 0 to 2; allowed: uint8 images, or floats"),
        ((IMAGES, LABELS / 2), None, "data: labels has the type float64; allowed: integer labels"),
        ((IMAGES, np.eye(10)[LABELS] / 2), None, "data: labels has the shape (160, 10); allowed: [N]"),
        ((IMAGES, LABELS), (IMAGES[0], LABELS), "test: images has the shape (8, 8)"),
        ((IMAGES, LABELS), (IMAGES[:4, :4], LABELS[:4]), "training images (8, 8, 1), test images (4, 8, 1)"),
        (tf.data.Dataset.from_tensors((IMAGES, LABELS)).repeat(), None, "data: the dataset has no end"),
        (tf.data.Dataset.from_tensors(IMAGES), None, "data: the dataset's elements are TensorSpec"),
        (tf.data.Dataset.from_tensors((IMAGES, LABELS)).take(0), None, "data: the dataset is empty"),
        (None, (IMAGES, LABELS), "test and class_names are given without data"),
    ],
)
def test_useless_data_are_named(tmp_path, data, test, message):
    with pytest.raises(UserError, match=re.escape(message)):
        api.search(data, test, config=SHORT, workdir=tmp_path / "new")


def test_useless_settings_are_named(tmp_path, done):
    with pytest.raises(UserError, match=r"unknown field 'search\.epoch'; did you mean search\.epochs"):
        api.search((IMAGES, LABELS), config={"search.epoch": 1}, workdir=tmp_path)
    with pytest.raises(UserError, match="unknown field 'spaces'"):
        api.search((IMAGES, LABELS), config={"spaces": "s1"}, workdir=tmp_path)
    with pytest.raises(UserError, match="workdir is given with what was selected; allowed"):
        api.train(done[0]["selected"], workdir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("batched", [True, False])
def test_a_dataset_is_the_arrays_it_holds(tmp_path, batched):
    dataset = tf.data.Dataset.from_tensor_slices((DIGITS.images[:9, :, :4] / 16, LABELS[:9]))
    dataset = dataset.batch(4) if batched else dataset
    path = api.user_data.keep(tmp_path, dataset, (IMAGES[:1, :, :4], LABELS[:1]), (), 0.2, 0)
    with np.load(path) as arrays:
        expected = np.rint(DIGITS.images[:9, :, :4] / 16 * 255)[..., None]
        np.testing.assert_array_equal(arrays["x_train"], expected)
        np.testing.assert_array_equal(arrays["y_train"], LABELS[:9])


def test_the_library_is_imported_when_it_is_asked_for_and_defines_no_flags():
    program = (
        "import sys, tf_darts; assert 'tensorflow' not in sys.modules; tf_darts.api.search;"
        "from absl import flags; assert not {'config', 'workdir', 'data_dir'} & set(flags.FLAGS)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True)
    with pytest.raises(AttributeError, match="no attribute 'apis'"):
        tf_darts.apis  # noqa: B018
    assert isinstance(tf_darts.api.Genotype, type) and tf_darts.api.Genotype is Genotype
