"""What TensorBoard gets of a selection, and what is recorded for it beside the probes."""

import math

import numpy as np
import pytest

from tests.search import tiny
from tests.search.test_pictures import shown
from tf_darts.plots import decisions
from tf_darts.selection import select as selection_lib
from tf_darts.selection.probe import Prober
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.decisions import read as read_decisions

# Halves of 16 images: full batches only.
FIELDS = {
    "data__limit_train": 32,
    "data__train_fraction": 0.5,
    "data__crop_padding": 0,
    "selection__compact": False,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    tiny.save_unsearched(folder)
    return folder


def select(searched, folder, **fields):
    folder.mkdir(exist_ok=True)
    made = tiny.setup(tiny.config(**FIELDS, **fields))
    return selection_lib.run(made, searched, folder)


@pytest.fixture(scope="module")
def selected(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("selected")
    return select(searched, folder, runtime__tensorboard=True), folder


def test_every_decision_is_shown_once(selected):
    found = [(tag, step) for tag, step, _ in shown(selected[1])]
    assert len(set(found)) == len(found)
    steps = {name: sorted(s for tag, s in found if tag == f"selection_decisions/{name}") for name in
             ("effects/normal", "cell/normal", "lead", "supernet_accuracy")}  # fmt: skip
    assert steps["effects/normal"] == [1, 2, 3, 4] and steps["cell/normal"] == [1, 4]
    assert steps["supernet_accuracy"] == [1, 2, 3]  # the fourth is on topology
    assert ("selection/genotype_text", 0) in found  # TensorBoard shows one kind of thing for each tag
    assert [tag for tag, _ in found].count("selection/genotype") == 1


@pytest.mark.slow
@pytest.mark.parametrize("call", [2, 4])
def test_a_stopped_selection_shows_the_same(searched, selected, tmp_path, monkeypatch, call):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Checkpoints, "save", call)
        with pytest.raises(tiny.StoppedError):
            select(searched, tmp_path, runtime__tensorboard=True)
    assert select(searched, tmp_path, runtime__tensorboard=True) == selected[0]
    assert shown(tmp_path) == shown(selected[1])


def test_measuring_the_whole_supernet_changes_no_decision(searched, selected, tmp_path):
    assert select(searched, tmp_path, selection__measure_whole=False) == selected[0]
    own, beside = (tiny.rows(folder / "decisions.jsonl") for folder in (tmp_path, selected[1]))
    for row in beside:
        row.pop("whole", None), row.pop("lead", None)
        for probe in row.get("probes", ()):
            probe.pop("lost"), probe.pop("gained")
    assert own == beside


def test_the_whole_is_what_an_undisturbed_pass_gives(searched):
    made = tiny.setup(tiny.config())
    prober, removals = Prober(made, made.valid), [(0, 0), (0, 1)]
    seen, whole = prober.score_beside_whole("normal", removals, 3)
    alone = prober.score("normal", removals, 3)
    assert [s.score() for s in seen] == alone
    evaluate = made.evaluator(made.valid, "selection/probe", training=True, augment=True)
    assert whole.score().correct == evaluate(pass_index=3).correct
    for each, score in zip(seen, alone, strict=True):
        lost, gained = each.pairs(whole)
        assert whole.score().correct - score.correct == lost - gained
        own, all_of_it = each.values("accuracy"), whole.values("accuracy")
        assert (lost, gained) == (np.sum(all_of_it > own), np.sum(own > all_of_it))


def test_leads_are_differences_of_probes(selected):
    for row in tiny.rows(selected[1] / "decisions.jsonl"):
        if row["kind"] == "operation":
            by_name = {probe["operation"]: probe for probe in row["probes"]}
            expected = by_name[row["lead"]["over"]]["accuracy"] - by_name[row["chosen"]]["accuracy"]
            assert row["lead"]["value"] == pytest.approx(expected, abs=1e-6)
            # Of n differences that are -1, 0 or 1 the standard error of the mean is 1/sqrt(n - 1) at most.
            most = 1 / math.sqrt(by_name[row["chosen"]]["images"] - 1)
            assert 0 <= row["lead"]["error"] <= most
            assert row["lead"]["error"] > 0 or not expected


def test_effects_are_read_from_the_rows(selected):
    read = decisions.shown_all(tiny.SPACE, read_decisions(selected[1]))
    assert [d.number for d in read] == [1, 2, 3, 4] and [d.kind for d in read][-1] == "topology"
    for decision in read[:3]:
        assert sum(e.chosen for e in decision.effects) == 1
        for effect in decision.effects:
            assert effect.low <= effect.drop <= effect.high and effect.weight is not None
    assert len(read[3].effects) == 3 and sum(e.chosen for e in read[3].effects) == 2
