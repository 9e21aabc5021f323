"""Files are read in a fresh process; a model with other answers is found out."""

import keras
import numpy as np
import pytest

from tests.export import random_network
from tests.search import tiny
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.export import build, check, formats
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.registry import OPERATIONS

OWN = """
import tensorflow as tf
from tf_darts.extend import Operation, primitives

class Gate(Operation):
    def __init__(self, channels, stride=1, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.gate = self.kernel("gate", 1, 1, channels, channels)
        self.norm = self.batch_norm("norm", channels)

    def call(self, node, weight=None, training=False):
        gate = tf.sigmoid(primitives.conv(node.x, self.gate.value))
        y = self.norm(gate * node.x, training=training)
        return self.weigh(primitives.subsample(y) if self.stride == 2 else y, weight)
"""


@pytest.fixture
def own(tmp_path, registries):
    """Return a network whose edges are an operation of the user's own, in a file; and its model."""
    (tmp_path / "own.py").write_text(OWN)
    OPERATIONS.register("gate", f"{tmp_path / 'own.py'}:Gate")
    row = (("skip_connect", "gate"),) * 5
    space = spaces.Space(
        "own", 2, 2, {"normal": row, "reduce": row}, (2, 3), 2, spaces.SPACES["darts"].stacking
    )
    cell = [("gate", 0), ("gate", 1), ("gate", 0), ("skip_connect", 2)]
    text = f"Genotype(normal={cell}, normal_concat=[2, 3], reduce={cell}, reduce_concat=[2, 3])"
    network = random_network.make(space, genotype_lib.from_text(text, space), cells=3)
    return network, random_network.exported(network)


def written(model, folder, *names, side=8):
    paths = {}
    for name in names:
        paths[name] = folder / build.FILES[name]
        formats.WRITERS[name](model, paths[name], random_network.images(20, side))
    return paths


def compared(network, paths, imports, monkeypatch, side=8, trusted=()):
    monkeypatch.setattr(check, "LATENCY_BATCHES", (2,))
    batch = random_network.images(side=side)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(random_network.logits(network, batch)))
    return check.compare(paths, imports, batch, expected.argmax(-1), expected, trusted)


@pytest.mark.slow
def test_a_users_own_operation_is_part_of_every_file_and_only_keras_needs_its_code(
    own, tmp_path, monkeypatch
):
    network, model = own
    paths = written(model, tmp_path, "keras", "saved_model")
    imports = {"keras": ["tf_darts.export.operation_layer"], "saved_model": []}
    with pytest.raises(UserError, match="operation 'gate' is code in '.*own.py', which a file asks for"):
        compared(network, {"keras": paths["keras"]}, imports, monkeypatch)
    findings = compared(network, paths, imports, monkeypatch, trusted=[str(tmp_path / "own.py")])
    assert list(findings) == ["keras", "saved_model"]
    for finding in findings.values():
        assert finding.agrees and finding.accuracy == finding.same_class == 1
        assert list(finding.latency) == ["2"] and finding.latency["2"]["median_seconds"] > 0
    with pytest.raises(UserError, match="keras: cannot be read in a fresh process: .*OperationLayer"):
        compared(network, {"keras": paths["keras"]}, {"keras": []}, monkeypatch)


@pytest.mark.slow
def test_a_published_network_of_twenty_cells(tmp_path, monkeypatch):
    """The size that is retrained for CIFAR-10: sums of many channels are where files could come apart."""
    network = random_network.make(spaces.get("darts"), PUBLISHED["darts_pt_s5_0"], 36, 20, 10)
    model = random_network.exported(network, 32)
    paths = written(model, tmp_path, *build.FILES, side=32)
    findings = compared(network, paths, {name: [] for name in paths}, monkeypatch, side=32)
    assert list(findings) == ["keras", "saved_model", "tflite", "tflite_int8"]
    for name in ("keras", "saved_model", "tflite"):
        assert findings[name].agrees and findings[name].same_class == 1
    # The weights are drawn, so that classes are close to each other and no accuracy says anything of int8.
    assert findings["tflite_int8"].largest_difference < 0.1


def test_other_answers_do_not_agree(tmp_path, monkeypatch):
    network = random_network.make(tiny.SPACE, tiny.GENOTYPE)
    model = random_network.exported(network)
    classifier = model.get_layer("head_classifier")
    kernel, bias = classifier.get_weights()
    classifier.set_weights([kernel, bias + np.array([1e-3, 0, 0, 0, 0], np.float32)])
    (finding,) = compared(
        network, written(model, tmp_path, "saved_model"), {"saved_model": []}, monkeypatch
    ).values()
    assert 1e-5 < finding.largest_difference < 1e-3 and not finding.agrees


def test_int8_agrees_by_its_accuracy():
    expected = np.eye(2, dtype=np.float32)[[0] * 100]
    labels = np.zeros(100, int)

    def agrees(wrong):
        classes = np.array([1] * wrong + [0] * (100 - wrong))
        return check._finding("tflite_int8", expected * 0.9, classes, labels, expected, {}).agrees

    assert agrees(0) and agrees(1) and not agrees(2)


def test_what_a_killed_export_left_is_replaced_and_what_is_whole_stays(tmp_path):
    folder, new = tmp_path / "export", tmp_path / ".export.new"
    for path, text in ((folder, "old"), (new, "new")):
        path.mkdir()
        (path / "model_card.json").write_text(text)
    build._replace(folder, new)
    assert (folder / "model_card.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
