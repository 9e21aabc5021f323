"""bin/export and bin/predict: from a trained network to files that others read."""

import csv
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from tf_darts.export import card as card_lib

GENOTYPE = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
CONFIG = """
from configs import quickstart

def get_config():
    config = quickstart.get_config()
    config.data.limit_test = 192  # batches of 32
    config.training.channels, config.training.epochs, config.training.batch_size = 4, 4, 32
    config.training.learning_rate = 0.1
    config.runtime.tensorboard = False
    return config
"""
MINE, MODEL = ("--workdir=a b", "--name=mine"), "--model=a b/export/mine"
FILES = {"keras": "model.keras", "saved_model": "saved_model", "tflite": "model.tflite"}


@pytest.fixture(scope="module")
def done(call, tmp_path_factory):
    """A folder with a trained network, and what exporting it said."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "config.py").write_text(CONFIG)
    trained = call(
        "train",
        "--config=config.py",
        "--workdir=a b",
        f"--genotype={GENOTYPE}",
        "--name=mine",
        cwd=folder,
    )
    assert trained.status == 0, trained.err
    assert trained.out.splitlines()[-1].endswith(" or bin/export --workdir='a b' --name=mine")
    # An earlier export, in whose place the new one is put.
    (folder / "a b" / "export" / "mine").mkdir(parents=True)
    for file in ("model_card.json", "of_before"):
        (folder / "a b" / "export" / "mine" / file).write_text("{}")
    ended = call("export", "--workdir=a b", "--name=mine", cwd=folder)
    assert ended.status == 0, ended.err
    images = datasets.load_digits().images[:3]
    (folder / "images").mkdir()
    for number, image in enumerate(images):
        pixels = np.rint(image * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    return folder, ended


@pytest.fixture(scope="module")
def card(done):
    return json.loads((done[0] / "a b" / "export" / "mine" / "model_card.json").read_text())


def test_every_file_gives_the_trained_networks_answers(done, card):
    assert list(card["formats"]) == [*FILES, "tflite_int8"]
    result = json.loads((done[0] / "a b" / "training" / "mine" / "result.json").read_text())
    assert card["checked"]["images"] == 192
    assert (
        card["checked"]["accuracy"] == pytest.approx(result["test_accuracy"])
        and result["test_accuracy"] > 0.6
    )
    for name, entry in card["formats"].items():
        assert entry["agrees"] and entry["imports"] == []
        if name in FILES:
            assert entry["largest_difference"] <= 1e-5 and entry["same_class"] == 1
        else:
            assert (
                entry["largest_difference"] > 1e-5 and entry["accuracy"] >= card["checked"]["accuracy"] - 0.01
            )
    sizes = {name: entry["bytes"] for name, entry in card["formats"].items()}
    assert 0 < sizes["tflite_int8"] < sizes["tflite"] < sizes["saved_model"]


def test_the_card_says_what_the_model_is(done, card):
    folder, ended = done
    result = json.loads((folder / "a b" / "training" / "mine" / "result.json").read_text())
    assert card["genotype"] == GENOTYPE and card["space"] == "nas_bench_201"
    assert card["data"]["classes"] == [str(k) for k in range(10)]
    assert card["data"]["image"] == {
        "height": 8, "width": 8, "channels": 1, "downscale": 1, "fit": "squeeze", "test_resize": 0
    }  # fmt: skip
    assert (card["data"]["train_images"], card["data"]["test_images"]) == (896, 192)
    assert card["network"]["parameters"] == result["parameters"]
    # Stages of 8x8, 4x4 and 2x2 pixels with 4, 8 and 16 channels: two 3x3 and a 1x1 convolution in a cell.
    cells = sum(pixels * 19 * c * c for pixels, c in ((64, 4), (16, 8), (4, 16)))
    blocks = sum(pixels * (9 * (a * b + b * b) + a * b) for pixels, a, b in ((16, 4, 8), (4, 8, 16)))
    assert card["network"]["multiply_adds"] == 64 * 9 * 4 + cells + blocks + 16 * 10
    for entry in card["formats"].values():
        for size in ("1", "32"):
            assert 0 < entry["latency"][size]["median_seconds"] < 60 and entry["latency"][size]["calls"] >= 3
    assert set(card["versions"]) == {"tf_darts", "tensorflow", "keras", "numpy", "python"}
    text = (folder / "a b" / "export" / "mine" / "model_card.md").read_text()
    assert text in ended.out
    for shown in (
        GENOTYPE,
        f"{result['parameters']:,}",
        f"{100 * result['test_accuracy']:.2f} %",
        "model_int8.tflite",
    ):
        assert shown in text
    assert ended.out.splitlines()[-1] == "Next: bin/predict --model='a b/export/mine' --image=FILE_OR_FOLDER"


def probabilities(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["class"] for row in rows], np.array(
        [[float(row[f"probability of {k}"]) for k in range(10)] for row in rows]
    )


def test_predict_gives_the_same_with_every_file_and_the_work_directory(done, call):
    folder, _ = done
    sources = [f"--model=a b/export/mine/{file}" for file in ("", *FILES.values(), "model_int8.tflite")]
    found = []
    for number, source in enumerate([*sources, "--workdir=a b --name=mine"]):
        name = f"{number}.csv"
        arguments = [part for part in source.split(" --")]
        arguments = [arguments[0], *(f"--{part}" for part in arguments[1:])]
        ended = call("predict", *arguments, "--image=images", f"--output={name}", "--top=2", cwd=folder)
        assert ended.status == 0 and ended.err == "", ended.err
        found.append((ended.out.splitlines()[:3], *probabilities(folder / name)))
    lines, classes, expected = found[-1]
    np.testing.assert_allclose(expected.sum(1), 1, rtol=1e-5)
    for row, line, chosen in zip(expected, lines, classes, strict=True):
        best, second = row.argsort()[::-1][:2]
        assert chosen == str(best)
        assert line.endswith(f".png: {best} {100 * row[best]:.2f} %, {second} {100 * row[second]:.2f} %")
    for k, (ours, _, answers) in enumerate(found[:-1]):
        tolerance = 0.15 if sources[k].endswith("int8.tflite") else 1e-5
        np.testing.assert_allclose(answers, expected, rtol=0, atol=tolerance)
        if tolerance < 0.1:
            assert ours == lines


def test_images_of_another_size_and_kind_are_brought_to_the_models(done, call):
    folder, _ = done
    with Image.open(folder / "images" / "0.png") as image:
        image.convert("RGB").save(folder / "colours.png")
        large = image.resize((24, 16))
        large.save(folder / "large.png")
        large.resize((8, 8), Image.Resampling.BILINEAR).save(folder / "small.png")
    names = ("images/0.png", "colours.png", "large.png", "small.png")
    arguments = ("--model=a b/export/mine/model.tflite", *(f"--image={name}" for name in names))
    lines = call("predict", *arguments, cwd=folder).out.splitlines()
    grey, colours, large, small = (line.split(":")[1] for line in lines)
    assert grey == colours and large == small != grey


def test_it_is_put_in_the_place_of_an_earlier_one(done):
    made = done[0] / "a b" / "export" / "mine"
    names = {*FILES.values(), "model_int8.tflite", "model_card.json", "model_card.md"}
    assert {path.name for path in made.iterdir()} == names
    assert [path.name for path in made.parent.iterdir()] == ["mine"]


def test_the_files_are_put_where_output_says(done, call):
    folder, _ = done
    before = sorted((folder / "a b" / "export").rglob("*"))
    ended = call(
        "export", *MINE, "--output=for others/v1", "--formats=keras", "--check_images=16", cwd=folder
    )
    assert ended.status == 0, ended.err
    made = folder / "for others" / "v1"
    assert {path.name for path in made.iterdir()} == {"model.keras", "model_card.json", "model_card.md"}
    assert json.loads((made / "model_card.json").read_text())["checked"]["images"] == 16
    assert ended.out.splitlines()[-1].startswith("Next: bin/predict --model='for others/v1' ")
    assert sorted((folder / "a b" / "export").rglob("*")) == before


def test_the_card_says_what_it_computes_in(card):
    assert "trained in float32" in card_lib.text(card)
    text = card_lib.text(card | {"precision": "mixed_bfloat16"})
    assert "trained in mixed_bfloat16, with weights in float32; the files compute in float32" in text


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_lines_of_the_page_read_the_files(done, monkeypatch, number):
    page = Path(__file__).resolve().parents[2] / "docs" / "export.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    assert len(blocks) == 3
    monkeypatch.chdir(done[0] / "a b" / "export" / "mine")
    names = {}
    exec(blocks[number], names)
    if number == 0:
        assert names["probabilities"].shape == (2, 10)


def test_others_read_the_saved_model_by_its_signatures(done):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(done[0] / "a b" / "export" / "mine" / "saved_model"))
    assert set(loaded.signatures) == {"classify", "serving_default"}
    classify = loaded.signatures["classify"]
    assert classify.structured_input_signature[1]["images"] == tf.TensorSpec(
        (None, 8, 8, 1), tf.uint8, "images"
    )
    assert {n: (t.dtype, tuple(t.shape)) for n, t in classify.structured_outputs.items()} == {
        "probabilities": (tf.float32, (None, 10)),
        "class": (tf.int64, (None,)),
    }


def test_the_int8_file_computes_in_int8_and_takes_pixels_as_they_are(done):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(done[0] / "a b" / "export" / "mine" / "model_int8.tflite"))
    (taken,) = interpreter.get_input_details()
    assert taken["dtype"] == np.uint8 and taken["quantization"] == (1.0, 0)
    types = {detail["dtype"] for detail in interpreter.get_tensor_details()}
    assert np.int8 in types
    floats = [d for d in interpreter.get_tensor_details() if d["dtype"] == np.float32]
    assert [math.prod(d["shape"]) for d in floats] == [10]  # the probabilities, as they come out


@pytest.mark.parametrize("shape", [(2, 9, 9, 1), (8, 8, 1), (2, 8, 8, 3), (2, 64)])
def test_the_saved_models_signature_takes_no_other_shape(done, shape):
    """Without the check a wrong size is answered, and one image without the batch's axis ends the process."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(done[0] / "a b" / "export" / "mine" / "saved_model"))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not compatible with expected shape \[\?,8,8"):
        loaded.signatures["classify"](images=tf.zeros(shape, tf.uint8))


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        ("export", ["--workdir=a b"], "training/perturbation holds no finished training; allowed: mine"),
        ("export", [*MINE, "--formats=onnx"], "--formats: onnx; allowed: one or several of keras"),
        ("export", [*MINE, "--output=images"], "--output: 'images' holds something else; allowed"),
        ("predict", [MODEL], "--image: missing"),
        ("predict", ["--model=a b", "--image=images"], "--model: 'a b'; allowed: a folder that bin/export"),
        ("predict", [MODEL, "--image=nowhere.png"], "--image: 'nowhere.png': no such file"),
        ("predict", [MODEL, "--image=config.py"], "--image: cannot read config.py (no image, or of an"),
        ("predict", [MODEL, "--image=empty"], "--image: 'empty' has no images; allowed: a folder of 8-bit"),
        ("predict", ["--image=images"], "--workdir: missing"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(done, call, program, arguments, message):
    (done[0] / "empty").mkdir(exist_ok=True)
    ended = call(program, *arguments, cwd=done[0])
    assert ended.status == 2 and ended.out == ""
    (line,) = ended.err.splitlines()
    assert message in line


def test_a_fresh_process_cannot_import_tf_darts(tmp_path):
    """What the program relies on: the process that reads the files."""
    import subprocess

    from tf_darts.export import reload

    job = {"models": {}, "imports": [], "latency_batches": []}
    (tmp_path / "job.json").write_text(json.dumps(job))
    np.save(tmp_path / "images.npy", np.zeros((1, 8, 8, 1), np.uint8))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import runpy, pathlib;"
        "runpy.run_path(sys.argv[2])['main'](pathlib.Path(sys.argv[3]));"
        "import tf_darts"
    )
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", program, root, reload.__file__, str(tmp_path)], capture_output=True, text=True
    )
    assert "import of tf_darts halted; None in sys.modules" in ended.stderr
