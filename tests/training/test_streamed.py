"""Training from a stream: a tiny network for ImageNet, stopped and continued, and over replicas."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.data import sources
from tf_darts.data.pass_steps import over
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.training import loop
from tf_darts.training import setup as setup_lib

# One node with two edges, stacked as DARTS stacks its cells.
SPACE = dataclasses.replace(
    spaces.get("s2"),
    nodes=1,
    candidates=dict.fromkeys(("normal", "reduce"), (("skip_connect", "sep_conv_3x3"),) * 2),
    output_nodes=(2,),
)
CELL = (Choice(2, 0, "sep_conv_3x3"), Choice(2, 1, "skip_connect"))
GENOTYPE = Genotype("s2", dict.fromkeys(("normal", "reduce"), CELL))
CLASSES = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four training and two test images of each class, 24x20 pixels."""
    root, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part, count in (("train", 4), ("test", 2)):
        for k in range(CLASSES):
            place = root / part / f"class{k}"
            place.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 256, (24, 20, 3), np.uint8) // 2 + 100 * k
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.jpeg")
    return root


def config(folder, **training):
    settings = config_lib.default()
    settings.space = "s2"
    settings.data.update(
        {"source": "folder", "path": str(folder), "stream": True, "image_size": 16, "test_resize": 18}
    )
    settings.data.crop_padding = 0
    settings.training.update(
        {
            "stem": "imagenet",
            "channels": 4,
            "cells": 1,
            "epochs": 2,
            "evaluate_every": 2,
            "batch_size": 4,
            "auxiliary_weight": 0.0,
            "drop_path": 0.0,
            "cutout_length": 0,
            "label_smoothing": 0.1,
            "schedule": "exponential",
            "warmup_epochs": 1,
            **training,
        }
    )
    settings.runtime.tensorboard = False
    return config_lib.validate(settings)


def make(settings, strategy=None):
    data, strategy = sources.load(settings.data, settings.seed), strategy or tiny.one_device()
    setup_lib.check(settings, SPACE, data, strategy.num_replicas_in_sync)
    return setup_lib.make(settings, SPACE, GENOTYPE, data, strategy)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Eight images in batches of 4, two epochs: four steps."""
    made, place = make(config(folder)), tmp_path_factory.mktemp("trained")
    return made, loop.run(made, place, "test"), place


def test_a_network_is_trained(trained):
    made, result, place = trained
    rows = [row for row in tiny.rows(place / "metrics.jsonl") if "epoch" in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(0 < row["train_loss"] < 10 and row["gradient_norm"] > 0 for row in rows)
    np.testing.assert_allclose([row["learning_rate"] for row in rows], [0.025] * 2 + [0.025 * 0.97] * 2)
    assert result["test_images"] == 4 and 0 <= result["test_accuracy"] <= 1
    assert "test_top_5_accuracy" not in result  # of two classes
    moved = [np.abs(v.numpy()).max() for v in made.optimizer.velocity]
    assert min(moved) > 0


@pytest.mark.slow
def test_stopped_and_continued_it_ends_the_same(trained, folder, tmp_path, monkeypatch):
    for stop in (3, None):  # in the middle of the second epoch
        made = make(config(folder))
        monkeypatch.setattr(made.config.runtime, "checkpoint_minutes", 0.0)
        steps = loop.training_steps

        def stopping(setup, stop=stop, steps=steps):
            inner = steps(setup)

            class Stopping:
                per_pass = inner.per_pass

                def __call__(self, number):
                    if number == stop:
                        raise KeyboardInterrupt
                    return inner(number)

            return Stopping()

        with monkeypatch.context() as patched:
            patched.setattr(loop, "training_steps", stopping)
            if stop is None:
                result = loop.run(made, tmp_path, "test")
            else:
                with pytest.raises(KeyboardInterrupt):
                    loop.run(made, tmp_path, "test")
    assert result == trained[1]
    for ours, expected in zip(made.network.variables, trained[0].network.variables, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.slow
def test_two_replicas_see_the_same_batches(folder):
    """Batch norms see others, so that batches are compared and not what is learnt."""
    seen = {}
    for name, strategy in (("one", tiny.one_device()), ("two", tiny.two_replicas())):
        data = sources.load(config(folder).data, 0)
        transform = Transform(data.mean, data.std, 0, True, cutout_length=8)
        train, _ = data.sets(config_lib.default().data, 0, transform, 5)

        def step(number, replica, batch):
            weights = tf.range(1.0, 1.0 + batch[0].shape[1])
            return {
                "rows": tf.reduce_sum(batch[0] * weights[:, None, None]),
                "columns": tf.reduce_sum(batch[0] * weights[:, None]),
                "labels": tf.reduce_sum(batch[1]),
            }

        metrics = ("rows", "columns", "labels")
        steps = over(strategy, train, "p", True, 6, lambda count, step=step: step, metrics, 1)
        rows = [steps(n)[0] for n in range(steps.per_pass)]
        seen[name] = np.array([[row[metric][0] for metric in metrics] for row in rows])
        assert (steps.per_pass, steps.images) == (2, 8)
    np.testing.assert_allclose(seen["one"], seen["two"], rtol=1e-4, atol=1e-2)


def test_a_broken_image_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "broken")
    made = make(config(tmp_path / "broken"))
    (tmp_path / "broken" / "train" / "class0" / "0.jpeg").write_bytes(b"no image")  # seen before it was so
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match=r"an image there cannot be read \(.*train/class0/0.jpeg \(no image"):
        loop.run(made, tmp_path / "run", "test")


def test_images_that_do_not_fit_the_network(folder):
    with pytest.raises(UserError, match="the auxiliary head takes features of 7x7"):
        make(config(folder, auxiliary_weight=0.4))
    with pytest.raises(UserError, match="training.batch_size is 9; allowed: at most 8"):
        make(config(folder, batch_size=9))
