"""The plan: what there is to do, how long it takes, and what a time limit leaves out."""

import dataclasses

import pytest

from tests.search import tiny
from tf_darts import spaces
from tf_darts.config import files
from tf_darts.errors import UserError
from tf_darts.own_images import plan as plan_lib
from tf_darts.own_images.pace import Pace
from tf_darts.own_images.plan import Plan

RIVALS = ("random_cell", "residual_network")
SPACE = spaces.get("nas_bench_201")


def work(images=1000):
    config = files.load("recommended_small")
    config.search.epochs, config.search.batch_size = 10, 50
    config.selection.interval, config.training.batch_size = 2, 100
    return plan_lib.work_of(config, SPACE, images)


def test_work_is_counted_in_steps():
    found = work()
    assert (found.search_epochs, found.search_every, found.training_every) == (10, 5, 1)
    assert found.search_steps == 10 * 10  # half of 1,000 images in batches of 50
    assert found.search_forwards == 3  # alpha is not trained
    assert (found.tuning_epochs, found.tuning_steps) == (10, 10 * 10)  # two epochs between six events
    assert found.probe_batches == 6 * (5 + 1) * 10  # five operations, and the whole
    assert found.epoch_steps == 10
    assert found.images_seen == pytest.approx(50 * (100 + 100 + 360 / 3))


def seconds(epochs, rivals):
    return plan_lib.seconds_of(work(), Pace(5.0, 0.3), Pace(4.0, 0.1), epochs, rivals)


def test_seconds_follow_from_steps():
    found = seconds(20, RIVALS)
    assert found["search"] == pytest.approx(5 + 100 * 0.3)
    assert found["selection"] == pytest.approx(5 + 100 * 0.3 + 360 * 0.1)
    assert found["training"] == found["random_cell"] == pytest.approx(4 + 20 * 10 * 0.1)
    # 16,000 images of search and selection are 16 epochs more
    assert found["residual_network"] == pytest.approx(4 + (20 + 16) * 10 * 0.1)


def test_what_an_epoch_ends_with_counts_too():
    search, training = (Pace(1.0, 0.0, evaluation=0.5, checkpoint=0.25), Pace(2.0, 0.0, 0.75, 0.125))
    found = plan_lib.seconds_of(work(), search, training, 20, RIVALS)
    assert found["search"] == pytest.approx(1 + 10 * 0.25 + 2 * 0.5)  # evaluated after every fifth epoch
    assert found["selection"] == pytest.approx(1 + 10 * 0.25)
    assert found["training"] == pytest.approx(2 + 20 * (0.125 + 0.75))
    assert found["residual_network"] == pytest.approx(2 + 36 * (0.125 + 0.75))
    assert training.of_epochs(11, 0, 5) == pytest.approx(11 * 0.125 + 3 * 0.75)  # the last one is evaluated


def test_without_a_limit_the_rules_decide():
    assert plan_lib.fitted(seconds, 20, RIVALS, 0.0) == (20, RIVALS)


def test_with_time_to_spare_the_training_is_longer():
    epochs, rivals = plan_lib.fitted(seconds, 20, RIVALS, 1.0)
    assert (epochs, rivals) == (40, RIVALS)  # at most twice the rules' epochs
    assert plan_lib.fitted(seconds, 20, RIVALS, 1.0, fixed=True) == (20, RIVALS)


@pytest.mark.parametrize("limit", [300.0, 280.0, 260.0, 240.0, 220.0])
def test_what_is_planned_fits_and_no_epoch_more_does(limit):
    epochs, rivals = plan_lib.fitted(seconds, 20, RIVALS, (limit + 50) / 3600, used=50)
    assert sum(seconds(epochs, rivals).values()) <= plan_lib.MARGIN * limit
    assert epochs == 40 or sum(seconds(epochs + 1, rivals).values()) > plan_lib.MARGIN * limit
    assert epochs >= 20 or not rivals  # rivals go first
    more = RIVALS[: len(rivals) + 1]
    assert rivals == RIVALS or sum(seconds(20, more).values()) > plan_lib.MARGIN * limit


def test_a_limit_that_is_too_short_says_how_long_it_has_to_be():
    with pytest.raises(UserError, match=r"hours is 0.01; allowed: at least 0.0\d+ for these images"):
        plan_lib.fitted(seconds, 20, RIVALS, 0.01)


def test_a_plan_is_kept(tmp_path):
    plan = Plan({"training.epochs": 7, "search.stem": "pooled"}, RIVALS, {"search": 1.5}, "200k", 2.0)
    plan.write(str(tmp_path))
    asked = tiny.config(own_images__plan=True, own_images__budget="200k", own_images__hours=2.0)
    assert plan_lib.read(str(tmp_path), asked) == plan
    assert plan_lib.read(str(tmp_path / "other"), asked) is None
    config = dataclasses.replace(plan, training={"training.epochs": 9}).of_search(tiny.config())
    assert config.training.epochs == 7 and config.search.stem == "pooled"
    config = dataclasses.replace(plan, training={"training.epochs": 9}).of_training(tiny.config())
    assert config.training.epochs == 9 and config.search.stem == "pooled"
    for budget, hours, flag in (("100k", 2.0, "budget is '100k'"), ("200k", 1.0, "hours is 1.0")):
        with pytest.raises(UserError, match=flag):
            plan_lib.read(
                str(tmp_path),
                plan_lib.with_fields(asked, {"own_images.budget": budget, "own_images.hours": hours}),
            )


def test_a_flag_that_contradicts_the_plan_is_refused(tmp_path):
    plan = Plan({"training.epochs": 7}, RIVALS, {"search": 1.5}, "", 0.0, {"training.epochs": 9})
    plan.write(str(tmp_path))
    asked = tiny.config(own_images__plan=True, training__epochs=9)
    assert plan_lib.read(str(tmp_path), asked, ["training.epochs"]) == plan
    asked = plan_lib.with_fields(asked, {"training.epochs": 7})
    assert plan_lib.read(str(tmp_path), asked) == plan  # the config file's own
    with pytest.raises(UserError, match="training.epochs is 7; allowed: 9, with which .*plan.json was made"):
        plan_lib.read(str(tmp_path), asked, ["training.epochs"])


def test_a_training_by_itself_is_as_the_plan_says(tmp_path):
    config, name = tiny.config(), plan_lib.METHOD
    assert plan_lib.trained_as(str(tmp_path), config, [], name) is config
    settings = {"training.epochs": 7, "training.channels": 5, "training.stem": "pooled"}
    plan = Plan(settings, RIVALS, {"search": 1.5}, "", 0.0)
    plan.write(str(tmp_path))
    assert plan_lib.trained_as(str(tmp_path), config, [], name) is config  # not known yet
    dataclasses.replace(plan, training={"training.epochs": 9, "training.channels": 8}).write(str(tmp_path))

    def length_and_width(*arguments) -> tuple[int, int]:
        found = plan_lib.trained_as(str(tmp_path), config, *arguments).training
        assert found.stem == "pooled"
        return found.epochs, found.channels

    assert length_and_width([], name) == (9, 8)
    assert length_and_width(["training.epochs"], name) == (config.training.epochs, 8)
    assert length_and_width([], "smaller") == (9, 5)  # as its selection counted it
