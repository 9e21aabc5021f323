"""The whole way with images that no network halves often enough, and of channels that no screen shows."""

import json

import numpy as np
import pytest
from PIL import Image

from tf_darts import api
from tf_darts.export import FILES, predicting, reload
from tf_darts.report import workdir_contents, workdir_page
from tf_darts.training import trained_network

RNG = np.random.default_rng(0)
Y = np.arange(48) % 3
CONFIG = {
    "space": "nas_bench_201",
    "data.crop_padding": 2,
    "runtime.tensorboard": False,
    **{f"{stage}.{name}": 1 for stage in ("search", "training") for name in ("cells", "epochs")},
    **{"search.channels": 4, "search.batch_size": 8, "selection.interval": 0},
    **{"training.channels": 4, "training.batch_size": 8, "training.auxiliary_weight": 0.0},
    **{"training.cutout_length": 0, "training.drop_path": 0.0},
}


def images(*shape):
    """Images that are brighter with each class."""
    return (RNG.integers(0, 100, (len(Y), *shape)) + 70 * Y[:, None, None, None]).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pad", "resize"])
def test_twelve_channels_of_10_by_13_pixels(tmp_path, how, capsys):
    x = images(10, 13, 12)
    config = CONFIG | {"data.enlarge": how}
    searched = api.search((x, Y), (x, Y), config=config, workdir=tmp_path)
    said = capsys.readouterr()
    assert f"of 10x13x12 (in the network 12x16: data.enlarge={how})" in said.out + said.err
    trained = api.train(api.select(searched, "perturbation"))
    page = workdir_page.make(workdir_contents.read(tmp_path))
    assert page  # no picture of the mistakes, and a page all the same
    errors = json.loads((trained.folder / "errors.json").read_text())
    assert errors["images"] == len(Y) and not (trained.folder / "mistakes.png").exists()
    wanted = trained.predict(x)
    assert wanted.shape == (48, 3) and np.ptp(wanted[:, 0]) > 0.01
    accuracy = (wanted.argmax(-1) == Y).mean()
    assert accuracy == pytest.approx(trained.test_accuracy)
    card = trained.export(tmp_path / "exported", check_images=0)
    assert all(entry["agrees"] for name, entry in card["formats"].items() if name != "tflite_int8")
    for name, tolerance in (("keras", 1e-5), ("saved_model", 1e-5), ("tflite", 1e-4), ("tflite_int8", 0.1)):
        answers = reload.answers_of(reload.load(tmp_path / "exported" / FILES[name]), x)[0]
        np.testing.assert_allclose(answers, wanted, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.slow
def test_files_of_10_pixels_are_answered_alike_from_everywhere(tmp_path):
    x, files = images(10, 10, 3), []
    genotype = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
    trained = api.train(genotype, (x, Y), (x, Y), config=CONFIG, workdir=tmp_path)
    trained.export(tmp_path / "exported", ["keras", "tflite"], check_images=0)
    for k, image in enumerate(x[:6]):
        files.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(image).save(files[-1])
    read = trained_network.read(str(tmp_path), trained.folder.name, trained.run.config)
    for classifier in (
        predicting.of_trained(read),
        predicting.of_export(str(tmp_path / "exported" / FILES["keras"])),
        predicting.of_export(str(tmp_path / "exported" / FILES["tflite"])),
    ):
        np.testing.assert_allclose(classifier.classify(files), trained.predict(x[:6]), rtol=0, atol=1e-4)
