"""How many images models were given: counted by hand for each way of searching and selecting."""

import json

import numpy as np
import pytest

from tests.report import made
from tf_darts.report import spent, workdir_contents
from tf_darts.workdir.data_record import DataRecord, PartRecord

# Four epochs of three batches of 64 from a half of 180 images.
STEPS = 4 * 3 * 64
PROBES = 6 * (5 + 1) * made.IMAGES // 3
TRAINING = 2 * 360
DATA = DataRecord(
    ("a", "b"),
    (8, 8, 1),
    np.zeros(1, np.float32),
    np.ones(1, np.float32),
    PartRecord(360, (180, 180), ""),
    PartRecord(made.IMAGES, (100, 100), ""),
)


def workdir(folder, **fields):
    config = made.workdir(folder, mistakes=False, **fields).to_dict()
    for stage in ("search", "selection/magnitude", "selection/perturbation", "training/magnitude"):
        write_stage(folder / stage, config)
    write_stage(folder / "training" / "perturbation", config)
    return folder


def write_stage(folder, config):
    DATA.write(folder)
    # As of a stage with a budget, which depends on single fields of other sections too.
    made.write(folder / "config.json", {"config": config | {"training.channels": 16}})
    if folder.parent.name == "training":
        result = json.loads((folder / "result.json").read_text())
        made.write(folder / "result.json", result | {"epochs": 2})


def count(folder, name="magnitude"):
    return spent.images(workdir_contents.read(folder), name)


@pytest.mark.parametrize(
    ("fields", "search"),
    [
        ({}, 2 * STEPS),
        ({"search__alpha_warmup_epochs": 3}, STEPS + STEPS // 4),
        ({"search__method": "darts_second_order"}, STEPS + 4 * STEPS),
        ({"search__method": "sdarts_adv", "sdarts__attack_steps": 4}, STEPS * 17 // 3 + STEPS),
        ({"search__method": "sgas"}, 4 * 180 + STEPS),  # passes, whose last batch is smaller
        ({"data__train_fraction": 0.25}, 4 * 2 * 2 * 64),
    ],
)
def test_images_of_the_search(tmp_path, fields, search):
    assert count(workdir(tmp_path, **fields)) == search + TRAINING


def test_alpha_that_is_never_trained_is_given_nothing(tmp_path):
    folder = workdir(tmp_path, search__method="fixed_alpha")
    assert count(folder, "perturbation") == STEPS + PROBES + TRAINING


def test_a_search_that_ended_early_counts_as_far_as_it_came(tmp_path):
    folder = workdir(tmp_path)
    rows = [json.loads(line) for line in (folder / "search" / "metrics.jsonl").read_text().splitlines()]
    made.write_lines(folder / "search" / "metrics.jsonl", [row for row in rows if row["step"] <= 6])
    assert count(folder) == STEPS + TRAINING


def test_a_search_of_two_stages_counts_both_as_far_as_they_came(tmp_path):
    folder = workdir(tmp_path, search__method="drnas_progressive", search__channels=4)
    text = (folder / "search" / "metrics.jsonl").read_text()
    (folder / "search" / "stage_1").mkdir()
    (folder / "search" / "stage_1" / "metrics.jsonl").write_text(text)
    assert count(folder) == 2 * 2 * STEPS + TRAINING
    rows = [json.loads(line) for line in text.splitlines()]
    made.write_lines(folder / "search" / "metrics.jsonl", [row for row in rows if row["step"] <= 6])
    assert count(folder) == 2 * STEPS + STEPS + TRAINING
    (folder / "search" / "metrics.jsonl").unlink()
    assert count(folder) == 2 * STEPS + TRAINING


def test_probes_count_a_third_and_fine_tuning_as_the_search(tmp_path):
    folder = workdir(tmp_path)
    assert count(folder, "perturbation") == 2 * STEPS + PROBES + TRAINING
    rows = [{"step": step, "epoch": 0, "train_loss": 1.0} for step in range(1, 7)]
    made.write_lines(folder / "selection" / "perturbation" / "metrics.jsonl", rows)
    finetuning = 2 * 180 + 6 * 64  # passes over the half, beside fresh batches of the other
    assert count(folder, "perturbation") == 2 * STEPS + PROBES + finetuning + TRAINING


def test_other_kinds_of_probes_count_too(tmp_path):
    folder = workdir(tmp_path)
    score = {"correct": 1, "images": 30, "accuracy": 0.1, "loss": 1.0}
    rounds = [{"probes": [{"edge": e, "edge_name": "", **score} for e in (0, 1)], "removed": [0]}]
    about = {"epoch": 0, "cell_type": "normal", "node": 3, "removed": [0]}
    rows = [{"kind": "topology", **about, "rounds": rounds}]
    rows += [{"kind": "sample", "genotype": text, **score} for text in ("a", "b", "a")]  # a scored once
    made.write_lines(folder / "selection" / "magnitude" / "decisions.jsonl", rows)
    assert count(folder) == 2 * STEPS + (2 + 2) * 30 // 3 + TRAINING


def test_further_supernets_count_where_they_are_probed(tmp_path):
    folder = workdir(tmp_path, selection__one_shot=True, selection__supernets=2)
    (folder / "search_2").mkdir()
    for name in ("metrics.jsonl", "config.json", "data.json", "result.json"):
        (folder / "search_2" / name).write_text((folder / "search" / name).read_text())
    config = json.loads((folder / "selection" / "magnitude" / "config.json").read_text())["config"]
    config["selection"]["method"] = "magnitude"
    made.write(folder / "selection" / "magnitude" / "config.json", {"config": config})
    assert count(folder, "perturbation") == 2 * 2 * STEPS + PROBES + TRAINING
    assert count(folder, "magnitude") == 2 * STEPS + TRAINING


def test_what_is_not_recorded_is_not_guessed(tmp_path):
    folder = workdir(tmp_path)
    record = workdir_contents.read(folder)
    assert spent.cpu_seconds(record, "magnitude") is None
    for stage in spent.stages_of(record, "magnitude"):
        made.write(stage.folder / "seconds.json", {"seconds": 1.0, "cpu_seconds": 2.5, "starts": 1})
    assert spent.cpu_seconds(workdir_contents.read(folder), "magnitude") == 7.5

    made.write(folder / "search" / "result.json", {"imported": {"file": "supernet.npz"}})
    assert count(folder) is None
    (folder / "training" / "magnitude" / "data.json").unlink()  # of version 1.0
    assert count(folder) is None
