"""Probes and alpha of a supernet beside each other, and beside NAS-Bench-201's table."""

import csv
import json

import numpy as np
import pytest

from tests.analysis import made
from tests.nas_bench.made import table_text
from tests.probe_masks import ProbeMasks
from tests.search import tiny
from tf_darts.analysis import perturbation
from tf_darts.errors import UserError
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.selection.probe import Prober
from tf_darts.spaces import nas_bench_201
from tf_darts.workdir import events

pytestmark = pytest.mark.usefixtures("no_pictures", "few_resamples")

NB201 = {"space": "nas_bench_201"}


@pytest.fixture(scope="module")
def text():
    return table_text()


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Save a supernet of NAS-Bench-201's cell as if searched."""
    folder = tmp_path_factory.mktemp("unsearched")
    tiny.save_unsearched(folder / "search", made.ONE_CELL, **NB201)
    return folder


def study(workdir, table=None, **fields):
    return made.study("perturbation", workdir, made.ONE_CELL, table, **NB201, **fields)


@pytest.fixture(scope="module")
def analysed(workdir, text):
    """Return the analysis of three of its edges with a table, what it left, and the text."""
    table = NasBench201.parse(text, "made.csv.gz")
    done = study(workdir, table, analysis__edges="0,2,5", report__table=table.source)
    said = perturbation.run(done)
    return done, done.result(), said


def test_every_operation_is_measured_as_a_pass_with_its_mask(workdir, analysed):
    operations = analysed[1]["operations"]
    assert [(row["edge"], row["operation"]) for row in operations] == [
        (e, name) for e in (0, 2, 5) for name in nas_bench_201.OPERATIONS
    ]
    fresh = study(workdir).setup
    architecture = fresh.bilevel.architecture
    masks = ProbeMasks(architecture)
    evaluate = fresh.evaluator(fresh.valid, "selection/probe", True, augment=True)
    whole = evaluate()
    weights = architecture.probabilities()["normal"].numpy()
    losses = set()
    for row in operations:
        o = nas_bench_201.OPERATIONS.index(row["operation"])
        masks.probe("normal", row["edge"], o)
        without = evaluate()
        masks.end()
        assert row["perturbation"] == whole.accuracy - without.accuracy
        assert row["perturbation_loss"] == pytest.approx(without.loss - whole.loss, abs=1e-5)
        assert row["mixing_weight"] == pytest.approx(float(weights[row["edge"], o]))
        assert row["alpha"] == float(architecture.alpha["normal"].numpy()[row["edge"], o])
        losses.add(round(row["perturbation_loss"], 4))
    assert len(losses) > 5
    nothing = [row for row in operations if row["operation"] == "none"]
    assert all(row["perturbation"] == 0 and abs(row["perturbation_loss"]) < 1e-6 for row in nothing)


def test_true_strength_is_the_mean_of_the_table(analysed, text):
    rows = list(csv.DictReader(text.splitlines()))
    for measured in analysed[1]["operations"]:
        place = {0: 0, 2: 2, 5: 5}[measured["edge"]]
        having = [
            float(row["c10_test200"])
            for row in rows
            if row["arch"].replace("+", "").strip("|").replace("||", "|").split("|")[place].split("~")[0]
            == measured["operation"]
        ]
        assert len(having) == 3125
        assert measured["true_strength"] == pytest.approx(np.mean(having))


def test_what_is_compared_and_left(analysed):
    done, result, said = analysed
    pairs = [(found["measure"], found["against"]) for found in result["comparisons"]]
    assert pairs == list(perturbation.PAIRS)
    assert result["table"] == "made.csv.gz" and result["table_column"] == "c10_test200"
    assert {path.name for path in done.folder.glob("*.png")} == {
        "alpha_and_perturbation.png",
        "alpha_and_perturbation_loss.png",
        "alpha_and_true_strength.png",
        "chosen.png",
        "correlations.png",
    }
    for found in result["comparisons"]:
        assert found["edges"] == 3
        assert any(
            line.split()[:2] == [found["measure"], found["against"]] and f"{found['lost']:.4g}" in line
            for line in said.splitlines()
        )


@pytest.mark.slow
def test_without_a_table_nothing_is_said_of_true_strength_and_nothing_is_probed_again(
    workdir, analysed, monkeypatch
):
    probed = []
    score = Prober.score

    def counted(self, cell_type, removals, *arguments, **keywords):
        probed.append(removals[0][0])
        return score(self, cell_type, removals, *arguments, **keywords)

    monkeypatch.setattr(Prober, "score", counted)
    more = study(workdir, analysis__edges="0,1")
    perturbation.run(more)
    assert probed == [1]
    result = more.result()
    assert {found["against"] for found in result["comparisons"]} == {"perturbation", "perturbation_loss"}
    assert "table" not in result and "true_strength" not in result["operations"][0]
    kept = {row["edge"]: row for row in tiny.rows(more.folder / "probes.jsonl")}
    assert sorted(kept) == [0, 1, 2, 5]
    before = [row for row in analysed[1]["operations"] if row["edge"] == 0]
    for row, old in zip(result["operations"][:5], before, strict=True):
        assert row["perturbation_loss"] == old["perturbation_loss"]


def test_other_probes_are_refused_in_the_same_folder(workdir, analysed):
    with pytest.raises(UserError, match="made with another config: selection.probe_images: 0 -> 8"):
        study(workdir, selection__probe_images=8)


def test_a_column_that_the_table_lacks_is_refused(workdir, analysed, text):
    other = study(workdir, NasBench201.parse(text), analysis__edges="0", analysis__table_column="c10_best")
    with pytest.raises(UserError, match="no column 'c10_best'; allowed: .*c10_test200"):
        perturbation.run(other)


@pytest.mark.slow
def test_edges_that_the_search_decided_are_left_out(tmp_path):
    fields = {"search__method": "sgas", "sgas__warmup_epochs": 0, "sgas__interval": 1}
    fields["sgas__batch_increase"] = 0
    searched = made.search(tmp_path, search__evaluate_every=0, **fields)
    (first, *_) = tiny.rows(tmp_path / "search" / "decisions.jsonl")
    left = searched.bilevel.architecture.undecided_edges("normal")
    assert first["edge"] not in left
    done = made.study("perturbation", tmp_path, **fields)
    # Two of three edges are decided; the node then loses the third.
    assert left == []
    with pytest.raises(UserError, match="no edge with several open operations"):
        perturbation.run(done)


@pytest.mark.slow
def test_what_is_told_is_kept_and_shown_once(tmp_path):
    fields = {"search__epochs": 1, "search__evaluate_every": 0, "runtime__tensorboard": True}
    made.search(tmp_path, **fields)
    for _ in range(2):
        done = made.study("perturbation", tmp_path, **fields)
        text = perturbation.run(done)
        done.tell(text)
    assert (done.folder / "summary.txt").read_text() == f"{text}\n"
    found = [(v.tag, e.step) for e in events.read(done.folder) for v in e.summary.value]
    assert len(found) == len(set(found)) and found.count(("analysis_perturbation/summary", 0)) == 1
    done.tell("other")
    shown = [v for e in events.read(done.folder) for v in e.summary.value if v.tag.endswith("/summary")]
    assert len(shown) == 1 and b"other" in shown[0].tensor.SerializeToString()
    assert ("analysis_perturbation/correlations", 0) in found


@pytest.mark.slow
def test_alpha_that_was_never_trained_has_no_correlation(tmp_path):
    fields = {"search__method": "fixed_alpha", "search__epochs": 1, "search__evaluate_every": 0}
    made.search(tmp_path, **fields)
    done = made.study("perturbation", tmp_path, **fields)
    assert " - " in perturbation.run(done)
    result = json.loads((done.folder / "result.json").read_text())
    assert result["comparisons"][0]["within_edges"]["spearman"]["value"] is None
    assert {row["mixing_weight"] for row in result["operations"]} == {0.5}
