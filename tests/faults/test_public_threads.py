"""What people met elsewhere, and version 1.0 had too: docs/public_threads.md names the threads."""

import json
import os
import pathlib
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from tests.export import random_network
from tf_darts import api, spaces
from tf_darts import config as config_lib
from tf_darts.data import sources
from tf_darts.errors import UserError
from tf_darts.export import keras_file, model_file
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.workdir import stage_folders

GENOTYPE = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
IMAGES = np.zeros((6, 8, 8, 3), np.uint8), np.arange(6) % 2


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["a[1]", "../up", "n" * 61, ".hidden", "a/b", "", "ä" * 61])
def test_a_trainings_name_is_one_in_every_file_system(here, name):
    with pytest.raises(UserError, match="name: .*; allowed: letters, digits, _ . - "):
        api.train(GENOTYPE, IMAGES, config={"space": "nas_bench_201"}, workdir="run", name=name)
    assert not os.listdir(here)


@pytest.mark.parametrize("folder", ["n" * 250, "ä" * 125, "/".join(["deep"] * 800)], ids=["n", "ä", "deep"])
def test_a_work_directory_too_long_for_the_file_system_is_one_line(here, folder):
    with pytest.raises(UserError, match=r"workdir: .* is too long; allowed: names of at most \d+ bytes"):
        api.train(GENOTYPE, IMAGES, config={"space": "nas_bench_201"}, workdir=folder)
    with pytest.raises(UserError, match="--output: .* is too long"):
        stage_folders.check_folder("--output", folder)
    assert not os.listdir(here)
    stage_folders.check_folder("--output", "n" * 200)


@pytest.mark.parametrize("folder", ["gs://bucket/run", pathlib.Path("s3://bucket/run")], ids=str)
def test_a_folder_in_a_bucket_is_not_made_here(here, folder):
    with pytest.raises(UserError, match="workdir: '(gs:/|s3:)/bucket/run' is an address; allowed: a path on"):
        api.train(GENOTYPE, IMAGES, config={"space": "nas_bench_201"}, workdir=folder)
    assert not os.listdir(here)


@pytest.mark.parametrize("folder", ["out [1]", "n" * 300, "gs://bucket/exported"])
def test_an_export_goes_to_a_folder_that_tensorflow_reads_again(here, folder):
    trained = api.Trained(None, here / "training" / "given", {})  # refused before it is looked at
    with pytest.raises(UserError, match="folder: "):
        trained.export(folder)
    assert not os.listdir(here)


def test_a_saved_model_below_brackets_is_refused_by_their_name(here):
    folder = pathlib.Path("models [v2]", "saved_model")
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match=r"--model: .* allowed: a path without \* \? \[ \]"):
        model_file.check(folder)


def test_folders_of_systems_and_disks_are_no_classes(here, capsys):
    for name in ("cat", "dog", "cat/@eaDir/0.png", "dog/Thumbs.db", "dog/.ipynb_checkpoints"):
        pathlib.Path("images", name).mkdir(parents=True)
    for name in ("@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information", "#recycle", "@Recycle"):
        pathlib.Path("images", name).mkdir()
    for place in ("cat", "dog", "cat/@eaDir/0.png", "dog/.ipynb_checkpoints"):
        for k in range(4):
            Image.new("RGB", (8, 8), (9 * k, 0, 0)).save(f"images/{place}/{k}.png")
    data = config_lib.default().data
    data.update({"source": "folder", "path": "images", "image_size": 8, "test_fraction": 0.5})
    found = sources.load(data, 0)
    assert found.class_names == ("cat", "dog") and len(found.x_train) + len(found.x_test) == 8
    assert "skipped" not in capsys.readouterr().err


def test_a_keras_file_has_nothing_that_an_older_keras_refuses(here):
    space = spaces.get("darts")
    names = list(space.operations)
    cell = [(names[k % len(names)], k % 2) for k in range(8)]
    text = f"Genotype(normal={cell}, normal_concat=[2, 3, 4, 5], reduce={cell}, reduce_concat=[2, 3, 4, 5])"
    network = random_network.make(space, genotype_lib.from_text(text, space), cells=3)
    model = random_network.exported(network)
    keras_file.save(model, pathlib.Path("model.keras"))
    with zipfile.ZipFile("model.keras") as file:
        assert set(file.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
        layers = json.loads(file.read("config.json"))["config"]["layers"]
    used = {name for layer in layers for name in layer["config"]}
    # Keras 3.5 knows neither these of 3.15's batch norm and layers, nor the seeds' axes of its initializers.
    newer = {"renorm", "renorm_momentum", "quantization_config", "optional"}
    assert not used & newer and not [name for name in used if name.endswith("_initializer")]
    assert {"filters", "kernel_size", "epsilon", "units"} <= used
    batch = random_network.images()
    read = keras.models.load_model("model.keras")
    np.testing.assert_array_equal(read(batch), model(batch))
    read.compile("sgd", "sparse_categorical_crossentropy")
    read.fit(batch, np.zeros(len(batch)), shuffle=False, verbose=0)  # still a model to train on
