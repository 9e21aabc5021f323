"""bin/latency, a selection within a limit of latency, its next best genotypes, and early refusals."""

import json
import re

import numpy as np
import pytest

from tf_darts.models import latency_table
from tf_darts.workdir import top_file

SMALL = [
    "--config=configs/quickstart.py", "--config.data.limit_train=48", "--config.data.limit_test=30",
    "--config.search.channels=2", "--config.search.epochs=1", "--config.search.batch_size=12",
    "--config.search.evaluate_every=0", "--config.selection.one_shot=True", "--config.training.channels=2",
    "--config.training.epochs=1", "--config.training.batch_size=12",
]  # fmt: skip


def table_of(call, folder, *more):
    ended = call("latency", *SMALL, "--output=here.csv", *more, cwd=folder)
    assert ended.status == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def measured(call, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return folder, table_of(call, folder, "--check=1")


def test_a_table_is_measured_and_checked(measured):
    folder, ended = measured
    table = latency_table.read(folder / "here.csv")
    assert f"{len(table.ms)} rows are in here.csv" in ended.out and len(table.ms) == 20
    assert re.search(r"^\| 1 +\| +[\d,]+ \| +[\d.]+ ms \| +[\d.]+ ms \|", ended.out, re.M)
    assert re.search(r"Error of latency: median [\d.]+%, largest", ended.out)
    checked = json.loads((folder / "latency_check.json").read_text())
    assert len(checked["networks"]) == 1 and checked["networks"][0]["measured_ms"] > 0
    assert checked["about"] == dict(table.about)


def test_a_selection_keeps_to_a_latency_and_the_next_best_is_trained(measured, call):
    folder, _ = measured
    given = f"--config.selection.latency_table={folder / 'here.csv'}"
    free = call("run", *SMALL, "--workdir=free", given, cwd=folder)
    assert free.status == 0, free.err
    _, rows = top_file.read(folder / "free/selection/perturbation")
    limit = sorted({row.latency_ms for row in rows})[0] + 1e-5
    within = call(
        "select", "--workdir=free", f"--config.selection.max_latency_ms={limit:.6f}",
        "--config.selection.name=within", cwd=folder,
    )  # fmt: skip
    assert within.status == 0, within.err
    assert re.search(
        r"as the config trains it: [\d,]+ parameters, .* TFLite about \d+ kB, in int8", within.out
    )
    _, kept = top_file.read(folder / "free/selection/within")
    assert kept and max(row.latency_ms for row in kept) <= limit
    page = (folder / "free/report/index.html").read_text()
    assert "Accuracy against cost" in page and "pareto-perturbation-latency_ms" in page
    trained = call(
        "train", "--workdir=free", "--genotype=free/selection/perturbation/top.json:2", "--name=second",
        cwd=folder,
    )  # fmt: skip
    assert trained.status == 0, trained.err
    result = json.loads((folder / "free/training/second/result.json").read_text())
    assert result["genotype"] == rows[1].genotype and result["parameters"] == rows[1].parameters
    exported = call(
        "export", "--workdir=free", "--name=second", "--formats=tflite", "--check_images=8",
        "--config.selection.max_latency_ms=1", cwd=folder,
    )  # fmt: skip
    assert exported.status == 0, exported.err
    said = json.loads((folder / "free/export/second/model_card.json").read_text())["latency"]
    assert said["predicted_ms"] == pytest.approx(rows[1].latency_ms) and said["measured_ms"] > 0
    assert re.search(r"predicted [\d.]+ ms for .*; measured here [\d.]+ ms,.*limit 1 ms", exported.out)


@pytest.mark.parametrize(
    ("limit", "least"),
    [
        ("max_parameters=9", "allowed: at least "),
        ("max_multiply_adds=9", "allowed: at least "),
        ("max_tflite_kilobytes=1", "allowed: at least "),
        ("max_latency_ms=0.000001", "allowed: at least 0.00"),
    ],
)
def test_an_unreachable_budget_is_refused_before_images_are_read(measured, call, tmp_path, limit, least):
    images, labels = np.zeros((10, 8, 8, 1), np.uint8), np.arange(10)
    smaller = images[:, 1:]  # refused too, once they are read
    np.savez(tmp_path / "i.npz", x_train=images, y_train=labels, x_test=smaller, y_test=labels)
    ended = call(
        "run", *SMALL, "--config.data.source=npz", "--data_dir=i.npz", "--workdir=new",
        f"--config.selection.latency_table={measured[0] / 'here.csv'}", f"--config.selection.{limit}",
        cwd=tmp_path,
    )  # fmt: skip
    name, value = limit.split("=")
    assert ended.status == 2 and not (tmp_path / "new").exists()
    assert f"selection.{name} is {float(value):g}; {least}" in ended.err and ended.err.count("\n") == 1


def test_files_for_a_phone_and_flags_that_contradict(call, tmp_path):
    ended = call("latency", *SMALL, "--output=a.csv", "--files=b", cwd=tmp_path)
    assert ended.status == 2 and "--output, --files, --workdir: allowed: one of them" in ended.err
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").touch()
    ended = call("latency", *SMALL, "--files=b", cwd=tmp_path)
    assert ended.status == 2 and "--files: 'b' holds something; allowed: a new folder" in ended.err
    assert not list(tmp_path.glob("*.csv"))
