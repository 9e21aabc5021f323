"""Data run no code: every row of the table in docs/reliability.md, without trust and with it."""

import json
import re
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.export import random_network
from tests.forking import ROOT
from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import extend, registry, trust
from tf_darts.config import EXTENSIBLE
from tf_darts.data import tfds_source
from tf_darts.errors import UserError
from tf_darts.export import build, card, formats, model_file, predicting
from tf_darts.export.operation_layer import OperationLayer
from tf_darts.study import engine, settings
from tf_darts.study.output import Output
from tf_darts.workdir.records import write_json

pytestmark = pytest.mark.usefixtures("registries")

PAYLOAD = """
open({marker!r}, "w").close()
from tf_darts.extend import Method, Operation

class Sharp(Method):
    pass

class Same(Operation):
    def call(self, node, weight=None, training=False):
        return self.weigh(node.x, weight)
"""


@pytest.fixture(autouse=True)
def nothing_is_trusted(monkeypatch):
    """What fixtures of other files trust counts for nothing here."""
    monkeypatch.setattr(trust, "_named", {})


@pytest.fixture
def payload(tmp_path):
    """A stranger's file, which leaves `ran` beside it when it is imported."""
    path = tmp_path / "payload.py"
    path.write_text(PAYLOAD.format(marker=str(tmp_path / "ran")))
    yield path
    registry.load_reference.cache_clear()
    for name in [name for name in sys.modules if name.startswith("payload_")]:
        del sys.modules[name]


def ran(payload):
    return (payload.parent / "ran").exists()


def test_the_table_names_tests_that_there_are():
    text = (ROOT / "docs" / "reliability.md").read_text()
    rows = re.search(r"^### What can make code run\n(.*?)^##", text, re.M | re.S)[1]
    names = re.findall(r"`(test_\w+)`", rows)
    here = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(names) >= 10
    for name in names:
        assert any(f"def {name}(" in source for source in here.values()), name


@pytest.mark.parametrize("field", EXTENSIBLE)
def test_a_config_that_is_data_adds_names_and_loads_nothing(payload, field):
    config = config_lib.default()
    config.extensions[field] = {"strange": f"{payload}:Same"}
    config_lib.validate(config, "runs/config.json")
    with pytest.raises(
        UserError, match=f"^runs/config.json: .*'strange' is code in '{payload}'.*--trust="
    ) as e:
        EXTENSIBLE[field].load("strange")
    assert "\n" not in str(e.value) and not ran(payload)
    extend.trust(payload)
    assert EXTENSIBLE[field].load("strange").__name__ == "Same" and ran(payload)


def workdir(payload, folder):
    """Make a work directory as a stranger hands it on: its search method is the payload."""
    config = config_lib.default()
    config.data.source, config.search.method = "digits", "strange"
    config.extensions.methods = {"strange": f"{payload}:Sharp"}
    folder.mkdir()
    write_json(folder / "config.json", {"config": config.to_dict(), "versions": {}})
    return f"--workdir={folder.name}"


PROGRAMS = [
    ("select", ()),
    ("train", ("--genotype=darts_pt_s5_0",)),
    ("analyze", ("--analysis=perturbation",)),
    ("export", ("--name=perturbation",)),
    ("predict", ("--image=.", "--name=perturbation")),
]


@pytest.mark.parametrize(("program", "flags"), PROGRAMS)
def test_a_work_directory_runs_nothing(payload, programs, program, flags):
    folder = workdir(payload, payload.parent / "given")
    ended = programs.call(program, folder, *flags, cwd=payload.parent)
    assert ended.status == 2 and ended.err.startswith("error: ") and not ran(payload)
    if program in ("select", "train"):
        assert "error: given/config.json: search.method 'strange' is code in '" in ended.err
        again = re.search(r"--trust=\S+", ended.err)[0]
        ended = programs.call(program, folder, *flags, again, cwd=payload.parent)
        assert "is code in" not in ended.err


def test_a_flag_that_names_the_file_is_enough(payload, programs):
    folder = workdir(payload, payload.parent / "given")
    flag = f"--config.extensions.methods={{'strange': '{payload}:Sharp'}}"
    ended = programs.call("select", folder, flag, cwd=payload.parent)
    assert ended.status == 2 and "is code in" not in ended.err  # there is no search to select from
    file = payload.parent / "own.py"
    file.write_text(
        "from tf_darts import config\ndef get_config():\n    made = config.default()\n"
        f"    made.extensions.methods = {{'strange': {str(payload)!r} + ':Sharp'}}\n"
        "    made.data.source = 'digits'\n    return made\n"
    )
    ended = programs.call("select", "--config=own.py", "--workdir=none", cwd=payload.parent)
    assert ended.status == 2 and "is code in" not in ended.err


def test_a_report_does_without_the_code(payload, programs):
    folder = workdir(payload, payload.parent / "given")
    ended = programs.call("report", folder, cwd=payload.parent)
    assert ended.status == 0 and not ran(payload)
    assert ended.err.startswith(
        "warning: no pictures of the mixing weights: given/config.json: search.method"
    )
    ended = programs.call("report", folder, f"--trust={payload}", cwd=payload.parent)
    assert ended.status == 0 and not ended.err and ran(payload)


def test_a_study_runs_nothing_and_its_workers_are_handed_the_trust(payload, tmp_path):
    study = settings.default()
    study.base.extensions.methods = {"strange": f"{payload}:Sharp"}
    study.base.search.method = "strange"
    study.searches, study.selections = {"one": {}}, {"magnitude": {"method": "magnitude"}}
    output = Output(tmp_path / "output")
    output.record(settings.validate(study))
    output.study()
    with pytest.raises(UserError, match=f"'strange' is code in '{payload}'"):
        registry.METHODS.load("strange")
    assert not ran(payload) and not any(a.startswith("--trust") for a in engine.command())
    settings.allow_extensions(study.to_dict())
    assert f"--trust={payload}" in engine.command("--check")
    assert registry.METHODS.load("strange").__name__ == "Sharp" and ran(payload)


# Models.


@pytest.fixture
def own_layer(payload, tmp_path):
    """The Keras file of a network with an operation in the payload; made where that is registered."""
    registry.OPERATIONS.register("same", f"{payload}:Same")
    x = keras.Input((8, 8, 4))
    layer = OperationLayer("same", f"{payload}:Same", 4, 1, name="edge")
    keras.Model(x, layer(x)).save(tmp_path / "model.keras")
    del registry.OPERATIONS["same"]
    registry.load_reference.cache_clear()
    for name in [name for name in sys.modules if name.startswith("payload_")]:
        del sys.modules[name]
    (tmp_path / "ran").unlink()
    return tmp_path / "model.keras"


def under_the_old_name(path):
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = parts["config.json"].decode()
    config = config.replace("OperationLayer", "OwnOperation")
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (parts | {"config.json": config.encode()}).items():
            file.writestr(name, content)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("safe_mode", [True, False])
def test_a_layer_of_a_keras_file_loads_no_file(own_layer, payload, old, safe_mode):
    if old:
        under_the_old_name(own_layer)
    with pytest.raises(UserError, match=f"^layer 'edge': operation 'same' is code in '{payload}'"):
        keras.models.load_model(own_layer, safe_mode=safe_mode)
    assert not ran(payload) and "same" not in registry.OPERATIONS
    if not old:  # its weights' names would have to change too
        extend.trust(payload)
        keras.models.load_model(own_layer, safe_mode=safe_mode)
        assert ran(payload)


def test_a_layer_of_a_keras_file_takes_what_is_registered(own_layer, payload):
    with pytest.raises(UserError, match="^layer 'edge': operation 'same' is code in 'os'"):
        OperationLayer("same", "os:system", 4, 1, name="edge")
    with pytest.raises(UserError, match="^layer 'edge': operation 'same' is code in"):
        OperationLayer("same", ["os:system"], 4, 1, name="edge")
    registry.OPERATIONS.register("same", registry.OPERATIONS.load("skip_connect"))
    keras.models.load_model(own_layer)
    assert not ran(payload)


def exported(folder, name):
    """Put the model card of an export beside a file of it."""
    image = {"height": 4, "width": 4, "channels": 1, "downscale": 1, "test_resize": 0}
    content = {"data": {"image": image, "classes": ["a", "b"]}, "formats": {name: {}}}
    write_json(folder / card.JSON, content)
    return str(folder)


def test_predicting_by_a_strangers_keras_file(own_layer, payload):
    with pytest.raises(UserError, match="^--model: '.*model.keras' cannot be read: layer 'edge': .*--trust="):
        predicting.of_export(exported(own_layer.parent, "keras"))
    assert not ran(payload)


def test_a_keras_file_with_a_lambda_is_refused(tmp_path):
    x = keras.Input((4, 4, 1))
    keras.Model(x, keras.layers.Lambda(lambda y: y * 2)(x)).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="^--model: '.*' holds Lambda, __lambda__, which may run programs"):
        predicting.of_export(exported(tmp_path, "keras"))
    extend.trust(tmp_path / "model.keras")  # Keras's own safe mode still holds
    with pytest.raises(UserError, match="^--model: '.*' cannot be read: .*"):
        predicting.of_export(str(tmp_path))


class Writer(tf.Module):
    """A model that writes a file when it is asked."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 1], tf.uint8, "images")])
    def classify(self, images):
        tf.cond(tf.reduce_all(images >= 0), lambda: tf.io.write_file(self.path, "x"), tf.no_op)
        probabilities = tf.nn.softmax(tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3]))[:, None]
        return {"probabilities": probabilities, "class": tf.argmax(probabilities, -1)}


def test_a_saved_model_that_writes_a_file_is_refused(tmp_path):
    model = Writer(str(tmp_path / "ran"))
    tf.saved_model.save(model, str(tmp_path / "saved_model"), signatures={"classify": model.classify})
    folder = exported(tmp_path, "saved_model")
    with pytest.raises(UserError, match="^--model: '.*saved_model' holds WriteFile, which may .*--trust="):
        predicting.of_export(folder)
    assert not (tmp_path / "ran").exists()
    extend.trust(tmp_path / "saved_model")
    predicting.of_export(folder).answer(np.zeros((1, 4, 4, 1), np.uint8))
    assert (tmp_path / "ran").exists()


def test_a_tflite_file_with_operators_of_others_is_refused(tmp_path):
    model = Writer(str(tmp_path / "ran"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [model.classify.get_concrete_function()], model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    with pytest.raises(UserError, match="^--model: '.*model.tflite' holds Flex.*FlexWriteFile, which may"):
        predicting.of_export(exported(tmp_path, "tflite"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["model.h5", "model.pt", "saved"])
def test_files_that_bin_export_does_not_write_are_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04.")
    exported(tmp_path, "keras")
    with pytest.raises(UserError, match="^--model: .* cannot be read: allowed: a file as model.keras"):
        predicting.of_export(str(tmp_path / name))


def test_what_bin_export_writes_is_read(tmp_path):
    network = random_network.make(tiny.SPACE, tiny.GENOTYPE)
    model = random_network.exported(network)
    for name, file in build.FILES.items():
        formats.WRITERS[name](model, tmp_path / file, random_network.images(20))
        model_file.check(tmp_path / file)


# Data sets.


def test_features_of_a_data_set_are_those_of_tfds(tmp_path, monkeypatch):
    """tfds imports the module of a feature that it does not know."""
    (tmp_path / "strange_features.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"name": "mine", "version": "1.0.0"}))
    feature = {"type": "strange_features.Image", "content": {"shape": []}}
    (folder / "features.json").write_text(json.dumps(feature))
    data = config_lib.default().data
    data.name, data.path = "mine", str(tmp_path)
    with pytest.raises(UserError, match="features.json: a feature is code in 'strange_features'.*--trust="):
        tfds_source.builder(data)
    assert not (tmp_path / "ran").exists()
    extend.trust("strange_features")
    with pytest.raises(UserError, match="cannot be read"):  # nothing in it is a feature
        tfds_source.builder(data)
    with pytest.raises(ValueError, match="Unrecognized FeatureConnector"):
        tfds.features.FeatureConnector.from_config(str(folder))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["huggingface:cifar10", "kaggle:x/y", "strange/script.py:mine", "../x"])
def test_names_of_data_sets_that_tfds_would_run_code_for_are_refused(name):
    data = config_lib.default().data
    data.name, data.path = name, ""
    with pytest.raises(UserError, match="data.name.*not a name of tfds"):
        tfds_source.builder(data)
