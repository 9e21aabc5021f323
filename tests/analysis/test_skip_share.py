"""Skip connections over the epochs: known alphas, decisions of SGAS, and what is left."""

import csv
import json

import numpy as np
import pytest

from tests.analysis import made
from tests.search import tiny
from tf_darts.analysis import skip_share
from tf_darts.errors import UserError
from tf_darts.workdir.records import read_json

SKIP, CONV = tiny.OPERATIONS


def test_the_gap_is_the_mean_over_edges_of_known_weights():
    rows = np.float32([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]])
    assert skip_share.gap(tiny.SPACE, {"normal": rows}) == pytest.approx((0.5 + 0.0 - 0.75) / 3)


def write(workdir, alphas, decisions=(), **more):
    """Write a search whose rows have these alphas, [edges, operations] after each epoch."""
    folder = workdir / "search"
    folder.mkdir(parents=True)
    rows = []
    for number, alpha in enumerate(alphas):
        values = {
            f"alpha/normal/{edge}/{name}": float(alpha[e][o])
            for e, edge in enumerate(tiny.SPACE.edges)
            for o, name in enumerate(tiny.OPERATIONS)
        }
        accuracy = {"evaluation/valid_accuracy": 0.25 * (number + 1)}
        rows.append({"step": 3 * number + 3, "finished_epoch": number, **values, **accuracy})
    for name, content in (("metrics.jsonl", rows), ("decisions.jsonl", decisions)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in content))
    (folder / "result.json").write_text(json.dumps({"schema_version": 1, **more}))


def analysed(workdir, **fields):
    study = made.study("skip_share", workdir, **fields)
    text = skip_share.run(study)
    return text, read_json(study.folder / "result.json"), study.folder


def test_known_alphas_give_known_shares(tmp_path):
    # Magnitude keeps the two edges of the largest weight; log(3) is the weights 3/4 and 1/4.
    log3 = np.log(3.0)
    alphas = [
        [[-log3, 0], [-log3, 0], [0, 0]],  # convolutions on edges 0 and 1
        [[2 * log3, 0], [-log3, 0], [0, 0]],  # a skip connection on edge 0
        [[2 * log3, 0], [2 * log3, 0], [0, 0]],
    ]
    write(tmp_path, alphas)
    text, result, folder = analysed(tmp_path)
    assert [row["skip_share"] for row in result["epochs"]] == [0.0, 0.5, 1.0]
    expected = [(-0.5 - 0.5 + 0) / 3, (0.8 - 0.5 + 0) / 3, (0.8 + 0.8 + 0) / 3]
    assert [row["gap"] for row in result["epochs"]] == pytest.approx(expected, abs=1e-5)
    assert [row["epoch"] for row in result["epochs"]] == [1, 2, 3]
    assert [row["valid_accuracy"] for row in result["epochs"]] == [0.25, 0.5, 0.75]
    with (folder / "epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["genotype"] for row in rows] == [row["genotype"] for row in result["epochs"]]
    assert rows[2]["genotype"].count(SKIP) == 2 and rows[0]["genotype"].count(CONV) == 2
    assert (folder / "skip_share.png").read_bytes().startswith(b"\x89PNG")
    assert "+0.533" in text.splitlines()[-1] and "75.00" in text.splitlines()[-1]


def test_decisions_of_the_search_count_from_the_next_epoch_on(tmp_path):
    alphas = [[[1.0, 0], [1.0, 0], [0.5, 0]]] * 3
    decided = {"kind": "operation", "cell_type": "normal", "edge": 2, "operation": 1, "removed": []}
    write(tmp_path, alphas, [{**decided, "epoch": 0}], taken_from_epoch=1)
    fields = {"search__method": "sgas", "sgas__warmup_epochs": 0, "sgas__interval": 1}
    _, result, _ = analysed(tmp_path, **fields)
    genotypes = [row["genotype"] for row in result["epochs"]]
    assert genotypes[0].count(CONV) == 0 and genotypes[1].count(CONV) == genotypes[2].count(CONV) == 1
    assert result["taken_from_epoch"] == 2


def test_what_cannot_be_analysed_is_named(tmp_path):
    write(tmp_path, [])
    with pytest.raises(UserError, match="has no row of a finished epoch"):
        analysed(tmp_path)
    with pytest.raises(UserError, match="search.method is 'fixed_alpha', which never trains alpha"):
        analysed(tmp_path, search__method="fixed_alpha")
    path = tmp_path / "search" / "metrics.jsonl"
    path.write_text('{"step": 3, "finished_epoch": 0}\n')
    with pytest.raises(UserError, match="metrics.jsonl has no .*alpha/normal.* for epoch 1"):
        analysed(tmp_path)
