"""Search and selection on images that stay on disk: batches by step alone, continued to the same bits."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces, stages
from tf_darts.config import files
from tf_darts.data import sources
from tf_darts.data.batches import Batches, of_passes, steps_over
from tf_darts.data.pass_steps import PassSteps
from tf_darts.data.transform import Transform
from tf_darts.models import torch_weights
from tf_darts.runtime.steps import Steps
from tf_darts.selection.probe_steps import ProbeSteps

CLASSES = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty training and four test images of each class, 12x10 pixels."""
    root, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part, count in (("train", 20), ("val", 4)):
        for k in range(CLASSES):
            place = root / part / f"class{k}"
            place.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 256, (12, 10, 3), np.uint8) // 2 + 100 * k
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    return root


def config(folder, **fields):
    settings = {
        "data__source": "folder",
        "data__path": str(folder),
        "data__test_split": "val",
        "data__stream": True,
        "data__image_size": 8,
        "data__test_resize": 9,
        "data__crop_padding": 0,
        "data__limit_train": 0,
        "data__limit_test": 0,
        "data__split": "class",
        "search__batch_size": 4,
        "search__epochs": 2,
        "selection__interval": 1,
    }
    return tiny.config(**settings | fields)


def images(settings):
    return sources.load(settings.data, settings.seed)


def sets(settings, seed=5):
    data = images(settings)
    return data.search_sets(settings.data, seed, Transform(data.mean, data.std, flip=True))


def sums(batch):
    """What tells one batch from another, its images and their order too."""
    pixels, labels = batch
    weights = tf.range(1.0, 1.0 + pixels.shape[1])
    order = tf.range(1.0, 1.0 + pixels.shape[0])
    return {
        "rows": tf.reduce_sum(pixels * weights[:, None, None]),
        "columns": tf.reduce_sum(pixels * weights[:, None]),
        "labels": tf.reduce_sum(order * tf.cast(labels, tf.float32)),
    }


def test_a_batch_is_that_of_its_step_alone(folder):
    train, valid, _ = sets(config(folder, data__train_fraction=0.65))
    assert (train.size, valid.size) == (26, 14)

    def step(number, replica, first, second):
        return {"number": number, **sums(first), **{f"{k} 2": v for k, v in sums(second).items()}}

    def steps():
        names = ("number", "rows", "columns", "labels", "rows 2", "columns 2", "labels 2")
        return PassSteps(
            tiny.one_device(),
            valid.size,
            4,
            lambda count: step,
            names,
            20,
            batches=lambda count: [
                Batches(train, "fresh", 4),
                of_passes(valid, "pass", 4, count, 1, augment=True),
            ],
        )

    def some(steps, number, most):
        found = []
        while len(found) < most:
            rows, count = steps(number)
            found += [{name: values[i] for name, values in rows.items()} for i in range(count)]
            number += count
        return found[:most]

    whole = some(steps(), 0, 14)  # 6 full batches a pass of the one, 3 and a rest of 2 of the other
    assert [row["number"] for row in whole] == list(range(14))
    for name in ("rows", "rows 2"):
        assert len({round(float(row[name]), 3) for row in whole}) == 14
    for first in (5, 11):
        assert some(steps(), first, 3) == whole[first : first + 3]


def test_replicas_share_the_same_batches_and_probe_whole_ones(folder):
    _, valid, _ = sets(config(folder, data__train_fraction=0.65))
    seen = {}
    for strategy in (tiny.one_device(), tiny.two_replicas()):
        replicas = strategy.num_replicas_in_sync
        kinds = [Batches(valid, "fresh", 4, replicas)]

        def scores(pixels, labels):
            middle = tf.reduce_mean(pixels, [1, 2, 3])[None]
            return tf.cast(labels, tf.float32)[None], middle + tf.reduce_mean(pixels)  # the batch counts

        probe = ProbeSteps(strategy, valid, 4, scores, 1, 5, augment=True)
        found, done = {"correct": [], "loss": []}, 0
        while done < probe.per_pass:
            rows, count = probe(1, done)
            done += count
            for name, values in rows.items():
                found[name].append(values)
        with strategy.scope():
            steps = steps_over(kinds, strategy, lambda n, r, batch: sums(batch), ("rows", "columns"))
        seen[replicas] = {name: np.concatenate(parts, 1)[0] for name, parts in found.items()}
        seen[replicas] |= steps(1, 3)
    assert len(seen[1]["loss"]) == 14  # three batches and the rest
    for name, values in seen[1].items():
        np.testing.assert_allclose(values, seen[2][name], rtol=1e-4, atol=1e-3, err_msg=name)


def test_probes_see_the_first_images_and_cutout_is_the_device_s(folder):
    _, valid, _ = sets(config(folder))
    few = valid.first(5)
    assert few.size == 5
    whole, part = (s.batch("t", 0, 0, 5, augment=False) for s in (valid, few))
    np.testing.assert_array_equal(whole[0], part[0])
    pixels, number = whole[0], tf.constant(0)
    plain, cut = (
        s.finish(pixels, "p", number, 5, tf.constant(0), augment=True) for s in (valid, valid.with_cutout(4))
    )
    assert (cut.numpy() == 0).any() and np.isin(cut, [*np.unique(plain), 0]).all()


def run(settings, workdir):
    """Search and select; return what tells one run from another."""
    session = tiny.run(settings, images=images(settings))
    stages.search(session, str(workdir))
    stages.select(session, str(workdir))
    rows = []
    for name in ("search/metrics.jsonl", "selection/perturbation/metrics.jsonl"):
        rows += [{k: v for k, v in row.items() if "second" not in k} for row in tiny.rows(workdir / name)]
    decisions = tiny.rows(workdir / "selection/perturbation/decisions.jsonl")
    for row in decisions:
        row.pop("seconds", None)
    return rows, decisions, json.loads((workdir / "search/result.json").read_text())


@pytest.mark.slow
def test_stopped_and_continued_it_ends_the_same(folder, tmp_path, monkeypatch):
    settings = config(folder, runtime__checkpoint_minutes=0.0, selection__compact=False)
    whole = run(settings, tmp_path / "whole")
    assert len(whole[1]) >= 4 and len({row.get("train_loss") for row in whole[0]}) > 8
    for number in (4, 23):  # in the search; in the selection
        with monkeypatch.context() as patched:
            tiny.stop_at_call(patched, Steps, "__call__", number)
            with pytest.raises(tiny.StoppedError):
                run(settings, tmp_path / "stopped")
    assert run(settings, tmp_path / "stopped") == whole


@pytest.mark.slow
def test_pc_darts_protocol_at_a_tiny_size(folder, tmp_path):
    settings = files.load("pc_darts_imagenet")
    small = {
        "data.path": str(folder),
        "data.image_size": 32,
        "data.test_resize": 36,
        "data.share": 0.5,
        "search.channels": 4,
        "search.cells": 3,
        "search.epochs": 3,
        "search.alpha_warmup_epochs": 2,
        "search.batch_size": 2,
        "training.channels": 4,
        "training.cells": 3,
        "training.epochs": 1,
        "training.warmup_epochs": 0,
        "training.batch_size": 4,
        "training.auxiliary_weight": 0.0,
        "runtime.tensorboard": False,
    }
    settings.update_from_flattened_dict(small)
    settings = config_lib.validate(settings)
    session = tiny.run(settings, spaces.of(settings), images(settings))
    stages.check(session)
    stages.search(session, str(tmp_path))
    rows = [row for row in tiny.rows(tmp_path / "search/metrics.jsonl") if "train_loss" in row]
    assert len(rows) == 3 * 8  # 16 images fit the weights, 4 fit alpha
    assert ["valid_loss" in row for row in rows] == [False] * 16 + [True] * 8
    record = json.loads((tmp_path / "search/data.json").read_text())
    assert record["train"]["of_class"] == [10, 10]
    _, genotype = stages.select(session, str(tmp_path))
    # The network is trained on all images, beside it.
    settings.data.share = 1.0
    whole = tiny.run(settings, spaces.of(settings), images(settings))
    _, result = stages.train(whole, str(tmp_path), "magnitude", genotype)
    assert result["test_images"] == 8
    made = stages._set_up(session, session.config).bilevel.supernet
    state = torch_weights.export(made)
    assert {"stem0.0.weight", "stem0.3.weight", "stem1.1.weight"} <= set(state)
    assert state["stem1.1.weight"].shape == (12, 12, 3, 3)  # three times as wide as a cell, as in the search
