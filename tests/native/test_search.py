"""Searches and trainings on native kernels: they continue bit for bit, and what ran is recorded."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.native import kernels
from tests.search import tiny
from tf_darts import stages
from tf_darts.native import choice
from tf_darts.registry import CRITERIA, METHOD_PARTS, PROXIES
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop
from tf_darts.selection.criterion import View
from tf_darts.training import loop as training
from tf_darts.training import setup
from tf_darts.workdir import seconds
from tf_darts.workdir.records import read_json

SPACE = dataclasses.replace(tiny.SPACE, candidates={"normal": (("skip_connect", "dil_conv_3x3"),) * 3})


@pytest.fixture(autouse=True)
def there():
    kernels.or_skip()


def config(kind, **fields):
    return tiny.config(**({"search__channels": 16, "runtime__kernels": kind} | fields))


def test_a_stopped_search_continues_as_if_it_had_not_been(tmp_path, monkeypatch):
    def search(folder):
        made = tiny.setup(config("native", runtime__checkpoint_minutes=0.0), SPACE)
        folder.mkdir(exist_ok=True)
        loop.run(made, folder)
        return made

    whole = search(tmp_path / "whole")
    assert whole.bilevel.supernet.kernels == choice.NATIVE
    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 3)
        search(tmp_path / "stopped")
    tiny.assert_equal(tiny.state(search(tmp_path / "stopped")), tiny.state(whole))


def test_what_ran_is_recorded_and_another_path_is_told(tmp_path, monkeypatch, capsys):
    def search(kind):
        return stages.search(tiny.run(config(kind, search__epochs=1), SPACE), tmp_path)

    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 1)
        search("auto")
    folder = tmp_path / "search"
    assert read_json(folder / "config.json")["kernels"] == "native"
    assert read_json(folder / seconds.NAME)["kernels"] == "native"
    capsys.readouterr()
    search("tensorflow")
    assert "other versions (kernels: 'native' -> 'tensorflow'): it continues" in capsys.readouterr().err
    assert read_json(folder / seconds.NAME)["kernels"] == "tensorflow"


def test_a_stopped_training_continues_as_if_it_had_not_been(tmp_path, monkeypatch):
    def train(folder):
        made = config("native", training__channels=20, runtime__checkpoint_minutes=0.0)
        made = setup.make(made, tiny.SPACE, tiny.GENOTYPE, tiny.data(made), tiny.one_device())
        folder.mkdir(exist_ok=True)
        training.run(made, folder, "test")
        return made

    whole = train(tmp_path / "whole")
    assert whole.network.kernels == choice.NATIVE
    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 3)
        train(tmp_path / "stopped")
    again = train(tmp_path / "stopped")
    tiny.assert_equal(*(tiny.values(made.network, made.optimizer) for made in (again, whole)))


FAST = {"darts_minus", "lambda_darts"}  # skip connections beside the kernels; mixing weights by cell


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=[] if m in FAST else pytest.mark.slow) for m in METHOD_PARTS]
)
def test_a_step_of_parts_agrees_with_tensorflow(method):
    found = []
    for kind in (choice.NATIVE, choice.TENSORFLOW):
        fields = {"search__method": method, "search__cells": 2, "search__alpha_scale": 1.0}
        # A half or a fourth of the channels go through operations.
        fields["search__channels"] = {"drnas_progressive": 32, "pc_darts": 64}.get(method, 16)
        if method == "drnas_progressive":
            fields["progressive__operations"] = (2, 1)  # the space has two
        settings = config(kind, **fields)
        settings.aligned_cells.epsilon = 0.01  # a difference divides rounding by it
        made = tiny.setup(settings, SPACE)
        assert made.bilevel.supernet.kernels == kind
        images = tf.random.stateless_normal([8, 8, 8, 1], [1, 2])
        first, second = ((images[i:], tf.range(8)[i:]) for i in (0, 4))
        arguments = (made.bilevel, first, second, tiny.now())
        step = tf.function(functools.partial(made.method.step, *arguments), autograph=False)
        metrics = made.strategy.run(step)
        found.append([np.float32(metrics[name]) for name in sorted(metrics)] + tiny.state(made))
    for value, expected in zip(*(map(np.float64, values) for values in found), strict=True):
        scale = max(np.abs(expected).max(), 1e-3)
        assert np.abs(value - expected).max() <= 1e-3 * scale


@pytest.mark.parametrize("name", [*PROXIES, "first_order"])
def test_a_criterion_measures_what_it_does_on_tensorflow(name):
    """Also where it looks at every ReLU, or differentiates twice, which native kernels do not offer."""
    criterion, found = CRITERIA.load(name)(), []
    # Without a ReLU after the last batch norm, gradients of the logits' sum are rounding alone.
    space = dataclasses.replace(SPACE, stacking=dataclasses.replace(SPACE.stacking, head_batch_norm=True))

    def measure(bilevel):
        images = tf.random.stateless_normal([8, 8, 8, 1], [1, 2])
        view = View(bilevel, images, tf.range(8), bilevel.architecture.mixing_weights())
        return tf.nest.flatten(criterion.measure(view))

    for kind in (choice.NATIVE, choice.TENSORFLOW):
        made = tiny.setup(config(kind, search__alpha_scale=1.0), space)
        assert made.bilevel.supernet.kernels == kind
        values = tf.function(functools.partial(measure, made.bilevel), autograph=False)()
        found.append(np.concatenate([np.ravel(value) for value in values]))
    assert np.abs(found[1]).max() > 0
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3 * np.abs(found[1]).max())
