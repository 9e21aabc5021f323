"""The whole way on own images, at the smallest size: planned, found, compared, exported, continued."""

import json
import time

import numpy as np
import pytest
from PIL import Image

from tests.own_images import short
from tests.search import tiny
from tf_darts import api
from tf_darts.config import files
from tf_darts.data import sources
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.models import genotype_costs
from tf_darts.own_images import find, pace, plan
from tf_darts.session import Session
from tf_darts.workdir.records import read_config

pytestmark = pytest.mark.usefixtures("no_pictures", "short_runs")


@pytest.fixture(scope="module")
def found(tmp_path_factory, short_runs):
    workdir = tmp_path_factory.mktemp("found")
    return api.find((short.IMAGES, short.LABELS), budget=short.BUDGET, config=short.CONFIG, workdir=workdir)


def test_the_plan_is_kept_with_what_was_picked(found):
    content = json.loads((found.trained.workdir / plan.NAME).read_text())
    assert content["budget"] == short.BUDGET and set(content["training"]) == {
        "training.channels",
        "training.epochs",
        "training.warmup_epochs",
    }
    assert content["settings"]["search.stem"] == "plain"  # digits are small
    assert "search.epochs" in content["settings"] and found.plan.settings == content["settings"]
    assert set(content["seconds"]) == {
        "search",
        "selection",
        "training",
        "random_cell",
        "residual_network",
        "export",
    }
    assert set(content["training_seconds"]) == {
        "search and selection",
        "training",
        "random_cell",
        "residual_network",
        "export",
    }
    predicted = [*content["seconds"].values(), *content["training_seconds"].values()]
    assert all(seconds > 0 for seconds in predicted)


def test_what_the_caller_sets_stays(found):
    assert found.trained.result["epochs"] == 3
    assert found.trained.run.config.search.epochs == 1


def test_the_network_is_as_wide_as_the_budget_allows(found):
    config, run = found.trained.run.config, found.trained.run
    assert found.trained.result["parameters"] <= 900
    genotype = found.selected.genotype
    costs = {
        c: genotype_costs.count(run.space, c, config.training.cells, 10, (8, 8, 1)).of(genotype).parameters
        for c in (config.training.channels, config.training.channels + 1)
    }
    here, wider = costs.values()
    assert here == found.trained.result["parameters"] and wider > 900


def test_the_random_cell_is_as_wide_as_the_budget_allows_too(found):
    folder = found.trained.workdir / "training" / "random_cell"
    config, result = read_config(folder / "config.json"), json.loads((folder / "result.json").read_text())
    genotype = genotype_lib.from_text(result["genotype"], found.trained.run.space)
    here, wider = (
        genotype_costs.count(found.trained.run.space, config["training"]["channels"] + more, 1, 10, (8, 8, 1))
        for more in (0, 1)
    )
    assert here.of(genotype).parameters == result["parameters"] <= 900 < wider.of(genotype).parameters
    assert result["epochs"] == found.trained.result["epochs"]


def test_rivals_and_files_are_there(found):
    assert [row.method for row in found.outcome.rows] == ["perturbation", "random_cell", "residual_network"]
    assert {"model.keras", "model.tflite", "model_int8.tflite"} <= {p.name for p in found.exported.iterdir()}
    answers = found.trained.predict(short.IMAGES[:5])
    assert answers.shape == (5, 10)


def test_it_is_continued_without_a_new_plan(found, monkeypatch):
    monkeypatch.setattr(pace, "of_search", None)
    monkeypatch.setattr(pace, "of_training", None)
    again = api.find(
        (short.IMAGES, short.LABELS), budget=short.BUDGET, config=short.CONFIG, workdir=found.trained.workdir
    )
    assert again.plan == found.plan and again.trained.result == found.trained.result
    with pytest.raises(UserError, match="own_images.budget is '800'; allowed: '900, 50 ms'"):
        api.find(
            (short.IMAGES, short.LABELS), budget="800", config=short.CONFIG, workdir=found.trained.workdir
        )


def test_a_limit_that_is_too_short_is_said_before_any_work(tmp_path):
    with pytest.raises(UserError, match="own_images.hours is 0.001; allowed: at least "):
        api.find((short.IMAGES, short.LABELS), hours=0.001, config=short.CONFIG, workdir=tmp_path / "short")
    assert not (tmp_path / "short").exists()


def test_a_budget_that_nothing_keeps_to_is_said_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"selection.max_parameters is 10; allowed: at least \d+"):
        api.find((short.IMAGES, short.LABELS), budget="10", config=short.CONFIG, workdir=tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_limit_is_kept_to_where_all_takes_longer_than_predicted(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "AFTERWARDS", 1.0)
    predicted = iter([80.0, 500.0])  # before the search, and after it: longer than the whole limit
    monkeypatch.setattr(pace, "of_search", lambda session: pace.Pace(0.0, 1e-6))
    monkeypatch.setattr(pace, "of_training", lambda session, genotype: pace.Pace(next(predicted), 0.1))
    begun = time.monotonic()
    config = {**short.CONFIG, "search": {**short.CONFIG["search"], "epochs": 2}}
    found = api.find((short.IMAGES, short.LABELS), hours=0.05, config=config, workdir=tmp_path)
    assert time.monotonic() - begun < 180
    searched = json.loads((tmp_path / "search" / "result.json").read_text())
    assert searched["last_epoch"]["finished_epoch"] == 0  # of two: its share of the time was over
    assert [row.method for row in found.outcome.rows] == ["perturbation"]
    assert "residual_network is left out: the time limit leaves no time for it." in found.outcome.sentences


def test_what_no_plan_can_keep_to_is_refused():
    def refused(given=(), budget="", **fields):
        config = tiny.config(own_images__plan=True, own_images__budget=budget, **fields)
        with pytest.raises(UserError) as error:
            find.check(config, given)
        return str(error.value)

    assert refused(selection__method="random").startswith("config: selection.method is 'random'")
    assert "allowed: ''" in refused(selection__name="mine")
    assert "one_device, mirrored, tpu" in refused(runtime__strategy="multi_worker")
    assert "0 with own_images.budget '2k'" in refused(budget="2k", selection__max_parameters=1000)
    assert "with --config.training.channels" in refused(selection__latency_table="x.csv")
    config = tiny.config(own_images__plan=True, own_images__budget="2k", selection__latency_table="x.csv")
    find.check(config, ["training.channels"])


def test_streamed_images_are_planned_and_keep_their_side(tmp_path, monkeypatch, capsys):
    draw = np.random.default_rng(0)
    for i in range(24):
        (tmp_path / "images" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (20 + i % 2, 12, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / "ab"[i % 2] / f"{i}.png")
    values = {f"{s}.{n}": v for s, f in short.CONFIG.items() if s != "space" for n, v in f.items()}
    values |= {"space": "custom", "data.path": str(tmp_path / "images"), "data.stream": True}
    config = find.with_side(plan.with_fields(files.load("own_images"), values), values)
    assert config.data.image_size == 12
    monkeypatch.setattr(pace, "of_search", lambda session: pace.Pace(1.0, 0.1))
    monkeypatch.setattr(pace, "of_training", lambda session, genotype: pace.Pace(1.0, 0.1))
    made, said = find._planned(Session(config), values, time.monotonic())
    assert made.of_search(config).data.crop_padding == 0 and "data.crop_padding" not in made.settings
    assert made.settings["selection.max_parameters"] == 200_000 and "200,000 parameters" in said[1]
    assert "data: warning: Classes of fewer than" in capsys.readouterr().err
    own = plan.with_fields(config, {"selection.max_parameters": 3000})  # of a config file
    made, said = find._planned(Session(own), values, time.monotonic())
    assert "selection.max_parameters" not in made.settings and "3,000 parameters" in said[1]


def test_a_step_is_timed_by_itself_however_many_a_call_does(found, monkeypatch):
    ticks = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: ticks[0])

    def run() -> int:
        ticks[0] += 6.0
        return 3

    def evaluate() -> None:
        ticks[0] += 0.5

    class Saved:
        def __init__(self, folder, minutes, counters, leaves, state):
            assert not leaves and state == "all"

        def save(self, step):
            ticks[0] += 0.25

    monkeypatch.setattr(pace, "Checkpoints", Saved)
    measured = pace._timed(-4.0, run, evaluate, {"state": "all"})
    assert measured == pace.Pace(4.5, 2.0, evaluation=0.5, checkpoint=0.25)


def test_images_are_loaded_once_however_they_are_cropped(monkeypatch):
    loaded = []
    monkeypatch.setattr(sources, "load", lambda data, seed: loaded.append(data.crop_padding) or object())
    config = tiny.config()
    session = Session(config)
    other = session.with_config(plan.with_fields(config, {"data.crop_padding": 3, "data.flip": True}))
    assert other.data is session.data and len(loaded) == 1
    assert session.with_config(plan.with_fields(config, {"data.limit_train": 20})).data is not session.data
