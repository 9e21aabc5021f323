"""Rivals of what was found: what they are trained on, that they resume, and what stays without time."""

import functools
import itertools
import json
import shutil
import types

import numpy as np
import pytest
from sklearn import datasets

from tests.search import tiny
from tf_darts import api
from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.export import build, card
from tf_darts.genotypes.genotype import from_text
from tf_darts.models.residual_network import ResidualNetwork
from tf_darts.report import outcome, spent, workdir_contents
from tf_darts.runtime import strategy
from tf_darts.training import trained_network
from tf_darts.training.deadline import Deadline
from tf_darts.whole_way import rivals
from tf_darts.workdir import seconds
from tf_darts.workdir.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("no_pictures")

DIGITS = datasets.load_digits()
IMAGES, LABELS = (DIGITS.images[:160] / 16).astype(np.float32), DIGITS.target[:160]
# 80 training images, halves of 40. In all: search 40 + 40; three epochs of fine-tuning of as many; three
# decisions of three probes of 40; two epochs of training.
CONFIG = {
    "space": "custom",
    "custom_space": {"stacking": "nas_bench_201", "nodes": 2, "candidates": ("nor_conv_1x1", "nor_conv_3x3")},
    "data": {"crop_padding": 0, "flip": False, "test_fraction": 0.5},
    "search": {"channels": 2, "cells": 1, "epochs": 1, "batch_size": 20, "evaluate_every": 1},
    "selection": {"interval": 1, "compact": False, "max_parameters": 4000},
    "training": {
        "channels": 12, "cells": 1, "epochs": 2, "batch_size": 16, "auxiliary_weight": 0.0,
        "cutout_length": 0, "drop_path": 0.1, "warmup_epochs": 1,
    },
    "comparison": {"rivals": rivals.RIVALS},
    "runtime": {"tensorboard": False, "steps_per_call": 2, "checkpoint_minutes": 0.0},
}  # fmt: skip
SEEN = 80 + 3 * 80 + 3 * 3 * 40 // 3 + 2 * 80
DUE = 8  # SEEN / 80 is 7.5


@pytest.fixture(scope="module", autouse=True)
def one_device():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strategy, "start", lambda runtime, guest=False: tiny.one_device())
        tiny.one_stage(patch)
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    searched = api.search((IMAGES, LABELS), config=CONFIG, workdir=tmp_path_factory.mktemp("whole"))
    trained = api.train(api.select(searched))
    return trained, api.compare(trained)


@pytest.fixture
def fresh(compared, tmp_path):
    """The work directory before its rivals, and `rivals.train` in it."""
    trained, _ = compared
    workdir = tmp_path / "fresh"
    left_out = shutil.ignore_patterns("random_cell", "residual_network", "report")
    shutil.copytree(trained.workdir, workdir, ignore=left_out)
    return workdir, functools.partial(rivals.train, trained.run.session, str(workdir), "perturbation")


def said_of(workdir):
    record = workdir_contents.read(workdir)
    return outcome.verdict(record, outcome.rows(record, None))


def read(trained, name):
    folder = trained.workdir / "training" / name
    return tuple(json.loads((folder / file).read_text()) for file in ("config.json", "result.json"))


def test_images_are_counted_that_models_were_given(compared):
    trained, whole = compared
    record = workdir_contents.read(trained.workdir)
    assert spent.images(record, "perturbation") == SEEN
    assert (
        spent.images(record, "random_cell") == 2 * 80 and spent.images(record, "residual_network") == 8 * 80
    )
    assert spent.images(record, "no_training") is None
    rows = {row.method: row for row in whole.rows}
    assert list(rows) == ["perturbation", "random_cell", "residual_network"]
    assert [row.rival for row in rows.values()] == [False, True, True]
    for name, row in rows.items():
        stages = [s.folder for s in spent.stages_of(record, name)]
        took = [json.loads((folder / seconds.NAME).read_text())["cpu_seconds"] for folder in stages]
        assert row.cpu_seconds == pytest.approx(sum(took)) and min(took) > 0
        assert len(stages) == {"perturbation": 3, "random_cell": 2, "residual_network": 1}[name]


def test_the_random_cell_is_trained_as_the_found_one_and_within_the_budget(compared):
    trained, _ = compared
    (config, result), (own, own_result) = read(trained, "random_cell"), read(trained, "perturbation")
    rival = config["config"].pop("rival")
    assert rival == {"of": "perturbation", "due_epochs": 2}
    own["config"].pop("genotype")
    drawn = config["config"].pop("genotype")
    assert config == own and result["epochs"] == own_result["epochs"] == 2
    assert result["parameters"] <= 4000 and from_text(drawn, trained.run.space)


def test_the_residual_network_has_as_many_parameters_and_images(compared):
    trained, _ = compared
    (config, result), (own, own_result) = read(trained, "residual_network"), read(trained, "perturbation")
    rival = config["config"].pop("rival")
    assert rival["of"] == "perturbation" and rival["due_epochs"] == DUE == result["epochs"]
    largest = ResidualNetwork.within(own_result["parameters"], 10, 1)
    assert (
        result["parameters"] == largest.parameters(10, 1)
        and tuple(rival["network"]["widths"]) == largest.widths
    )
    changed = config_lib.differences(own["config"]["training"], config["config"]["training"])
    assert changed == ["cells: 1 -> 2", "channels: 12 -> 1", "epochs: 2 -> 8"]
    assert config["config"]["data"] == own["config"]["data"]


def test_the_residual_network_is_read_back_and_predicts(compared):
    trained, _ = compared
    _, result = read(trained, "residual_network")
    found = trained_network.read(str(trained.workdir), "residual_network", trained.run.config)
    data = trained.run.data
    right = build.keras_model(found).predict(data.x_test, verbose=0).argmax(-1) == data.y_test
    assert right.mean() == pytest.approx(result["test_accuracy"])
    widths = ", ".join(map(str, found.residual.widths))
    about = {**card.about(found), "network": {}}
    assert card._space(about) == f"none: a residual network, stages of {widths} channels, 2 blocks in each"


def test_what_is_finished_is_found_again(compared):
    trained, whole = compared
    before = {p: p.stat().st_mtime_ns for p in (trained.workdir / "training").rglob("metrics.jsonl")}
    assert api.compare(trained).rows == whole.rows
    assert before == {p: p.stat().st_mtime_ns for p in before} and len(before) == 3


def test_a_killed_rival_continues_with_the_same_bits_and_its_own_epochs(compared, fresh, monkeypatch):
    workdir, train = fresh
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Checkpoints, "save", 5)
        with pytest.raises(tiny.StoppedError):
            train(["residual_network"])
    assert not (workdir / "training" / "residual_network" / "result.json").exists()
    train(["residual_network"], epochs_limit=3)  # it was begun with more
    ours, theirs = (w / "training" / "residual_network" for w in (workdir, compared[0].workdir))
    for name in ("metrics.jsonl", "result.json"):
        assert (ours / name).read_text() == (theirs / name).read_text()


def test_without_time_rivals_are_left_out(fresh):
    workdir, train = fresh
    assert train(end=0.0) == [f"{r} is left out: there was no time for it." for r in rivals.RIVALS]
    assert not (workdir / "selection" / "random_cell").exists() and said_of(workdir) == []


def test_a_rival_that_was_cut_short_is_said_to_be(fresh, monkeypatch):
    workdir, train = fresh
    clock = itertools.count()  # asked at the start, and as each epoch begins and ends
    with monkeypatch.context() as patch:
        patch.setattr(rivals, "Deadline", lambda end: Deadline(6, lambda: next(clock)))
        assert train(["residual_network"]) == []
    assert train(["random_cell"], epochs_limit=1) == []
    said = said_of(workdir)
    assert f"residual_network was cut short: it had 3 of the {DUE} epochs it was due." in said
    assert "random_cell was cut short: it had 1 of the 2 epochs it was due." in said
    config = json.loads((workdir / "training" / "random_cell" / "config.json").read_text())["config"]
    assert config["training"]["epochs"] == 1 and config["training"]["warmup_epochs"] == 0


def test_a_second_network_has_rivals_of_its_own(compared, tmp_path):
    trained, _ = compared
    workdir = str(trained.workdir)
    assert rivals.folder_name(workdir, "residual_network", "perturbation") == "residual_network"
    other = rivals.folder_name(workdir, "residual_network", "magnitude")
    assert other == "residual_network_of_magnitude"
    assert len(rivals.folder_name(workdir, "residual_network", "n" * 60)) == 60
    assert rivals.folder_name(str(tmp_path), "residual_network", "magnitude") == "residual_network"


def test_nothing_is_compared_with_what_is_not_trained(compared):
    trained, _ = compared
    with pytest.raises(UserError, match="training/magnitude has not finished"):
        rivals.train(trained.run.session, str(trained.workdir), "magnitude")
    with pytest.raises(UserError, match="rivals: .*resnet.*; allowed: some of random_cell, residual_network"):
        api.compare(trained, ["resnet"])
    for hours in (-1, float("nan"), "2"):
        with pytest.raises(UserError, match="hours: .*; allowed: a number of hours, or 0"):
            api.compare(trained, hours=hours)


def test_a_network_of_fewer_parameters_than_any_has_no_residual_rival(monkeypatch, compared):
    trained, _ = compared
    record = workdir_contents.read(trained.workdir)
    small = types.SimpleNamespace(result={"parameters": 100, "epochs": 2})
    record.trainings["small"] = small
    said = rivals._residual_network(trained.run.session, "", record, "small", "residual_network")
    assert said == "residual_network is left out: there is none with 100 parameters."
