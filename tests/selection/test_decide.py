"""Decisions by probing, with scores that are made up."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tf_darts import spaces
from tf_darts.models.architecture import Architecture
from tf_darts.models.decision_state import agree
from tf_darts.models.evaluator import Score
from tf_darts.selection.decide import Decider
from tf_darts.selection.probe import Seen
from tf_darts.selection.probe_pass import mask_without
from tf_darts.selection.race import Race
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.workdir.decisions import as_row

DARTS = spaces.SPACES["darts"]
NODE_5 = range(9, 14)  # its five input edges


class FakeProber:
    """Scores removals as a table says: what is lost when an operation or an edge is missing.

    Args:
      architecture: its mixing weights are read at each measurement.
      lost: {(edge, operation, or None for the whole edge): images then wrong, of 100}; normal cell.
      loss: the same for the loss, 1.0 with everything present.
      images: the same for the images seen; 100 where nothing is said.
    """

    def __init__(self, architecture, lost, loss=None, images=None):
        self.architecture, self.lost, self.loss, self.images = architecture, lost, loss or {}, images or {}
        self.passes, self.active, self.races = [], [], []
        self.before = architecture.mixing_weights()["normal"].numpy()

    def score(self, cell_type, removals, pass_index, race=None, each_call=lambda batches: None):
        self.races.append(race)
        scores = []
        for edge, operation in removals:
            mask = mask_without(self.architecture, cell_type, edge, operation)
            weights = self.architecture.mixing_weights()[cell_type].numpy() * mask
            self.passes.append((pass_index, edge, operation))
            self.active.append(np.flatnonzero(weights.any(1)).tolist())
            key = (edge, operation)
            images = self.images.get(key, 100)
            scores.append(Score(images - self.lost.get(key, 0), images, 1.0 + self.loss.get(key, 0.0)))
            each_call(1)
        return scores


def decide(lost, planned, criterion="accuracy", loss=None, decided=(), images=None, racing_confidence=0.0):
    architecture = Architecture(DARTS, alpha_scale=1.0, seed=3)
    for edge in decided:
        architecture.decide_operation("normal", edge, 2)
    prober = FakeProber(architecture, lost, loss, images)
    decision = Decider(architecture, prober, criterion, racing_confidence).decide(planned, 70)
    return architecture, prober, as_row(decision)


def operation_of(edge):
    return PlannedDecision(event=2, epoch=10, kind="operation", cell_type="normal", place=edge)


TOPOLOGY = PlannedDecision(event=16, epoch=80, kind="topology", cell_type="normal", place=5)


def test_the_operation_whose_removal_hurts_most_is_kept():
    architecture, prober, row = decide({(4, 1): 20, (4, 5): 31, (4, 6): 30}, operation_of(4))
    assert row["operation"] == 5 and row["chosen"] == "dil_conv_3x3"
    assert prober.passes == [(70, 4, o) for o in range(7)]  # in order, all on the same images
    weights = architecture.mixing_weights()["normal"].numpy()
    assert weights[4].tolist() == [0, 0, 0, 0, 0, 1, 0]
    np.testing.assert_array_equal(np.delete(weights, 4, 0), np.delete(prober.before, 4, 0))
    assert architecture.undecided_edges("normal") == [e for e in range(14) if e != 4]
    assert architecture.undecided_edges("reduce") == list(range(14))


def test_the_row_keeps_every_probe():
    _, _, row = decide({(4, 1): 20}, operation_of(4), loss={(4, 1): 0.5})
    assert {k: row[k] for k in ("kind", "event", "epoch", "cell_type", "criterion", "edge", "edge_name")} == {
        "kind": "operation",
        "event": 2,
        "epoch": 10,
        "cell_type": "normal",
        "criterion": "accuracy",
        "edge": 4,
        "edge_name": "3<-2",
    }
    assert [probe["operation"] for probe in row["probes"]] == list(DARTS.candidates["normal"][4])
    hurt = {"operation": "avg_pool_3x3", "correct": 80, "images": 100, "accuracy": 0.8, "loss": 1.5}
    assert row["probes"][1] == hurt
    assert row["probes"][0] == hurt | {
        "operation": "max_pool_3x3", "correct": 100, "accuracy": 1.0, "loss": 1.0
    }  # fmt: skip


@pytest.mark.parametrize("images", [40, 2, 1])
@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_the_lead_is_taken_image_by_image_with_its_standard_error(criterion, images):
    draw = np.random.default_rng(5)
    hits = draw.integers(0, 2, (7, images)).astype(np.float32)
    losses = draw.random((7, images), np.float32)

    class Prober:
        def score_beside_whole(self, cell_type, removals, pass_index, race, each_call):
            without = [Seen([hits[o]], [losses[o]]) for _, o in removals]
            return without, Seen([np.ones(images, np.float32)], [np.zeros(images, np.float32)])

    decider = Decider(Architecture(DARTS), Prober(), criterion, measures_whole=True)
    row = as_row(decider.decide(operation_of(4), 0))
    best = row["operation"]
    following = DARTS.candidates["normal"][4].index(row["lead"]["over"])
    ahead = hits[following] - hits[best] if criterion == "accuracy" else losses[best] - losses[following]
    assert row["lead"]["value"] == pytest.approx(ahead.mean(), abs=1e-6) and row["lead"]["value"] >= 0
    if images == 1:
        assert row["lead"]["error"] is None
    else:
        assert row["lead"]["error"] == pytest.approx(stats.sem(ahead), rel=1e-6)


def test_a_tie_of_operations_goes_to_the_earlier_one():
    assert decide({(4, 3): 20, (4, 5): 20}, operation_of(4))[2]["operation"] == 3
    assert decide({}, operation_of(4))[2]["operation"] == 0


def test_the_loss_decides_where_it_is_the_criterion():
    lost, loss = {(4, 1): 20}, {(4, 6): 0.3, (4, 2): 0.2}
    row = decide(lost, operation_of(4), "loss", loss)[2]
    assert row["operation"] == 6 and row["criterion"] == "loss"
    assert decide(lost, operation_of(4), "accuracy", loss)[2]["operation"] == 1


def test_a_node_loses_the_edges_that_are_needed_least():
    lost = dict(zip([(e, None) for e in NODE_5], [9, 3, 7, 5, 8], strict=True))
    architecture, prober, row = decide(lost, TOPOLOGY)
    assert row["removed"] == [10, 12, 11] and row["kept"] == [9, 13]
    assert row["kept_names"] == ["5<-0", "5<-4"] and row["node"] == 5
    assert [[probe["edge"] for probe in r["probes"]] for r in row["rounds"]] == [
        [9, 10, 11, 12, 13],
        [9, 11, 12, 13],
        [9, 11, 13],
    ]
    assert row["rounds"][0]["probes"][1] == {
        "edge": 10, "edge_name": "5<-1", "correct": 97, "images": 100, "accuracy": 0.97, "loss": 1.0
    }  # fmt: skip
    # Each round sees an order of its own, in which its probes agree.
    assert [number for number, _, _ in prober.passes] == [70] * 5 + [71] * 4 + [72] * 3
    open_edges = architecture.open_edges["normal"].numpy()
    assert np.flatnonzero(~open_edges).tolist() == [10, 11, 12]
    assert architecture.open_edges["reduce"].numpy().all()


def test_edges_dropped_in_earlier_rounds_stay_while_the_rest_are_probed():
    _, prober, _ = decide({(e, None): e for e in NODE_5}, TOPOLOGY)
    for (_, probed, _), active in zip(prober.passes, prober.active, strict=True):
        assert active == [e for e in range(14) if e != probed]


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_a_tie_of_edges_removes_the_later_one(criterion):
    row = decide({}, TOPOLOGY, criterion)[2]
    assert row["removed"] == [13, 12, 11] and row["kept"] == [9, 10]


def test_the_edge_with_the_lowest_loss_is_removed_first_where_loss_decides():
    loss = dict(zip([(e, None) for e in NODE_5], [0.1, 0.5, 0.4, 0.3, 0.2], strict=True))
    row = decide({(9, None): 50}, TOPOLOGY, "loss", loss)[2]
    assert row["removed"] == [9, 13, 12] and row["kept"] == [10, 11]


def test_a_node_of_decided_edges_is_probed_by_edges_too():
    row = decide({(e, None): 20 - e for e in NODE_5}, TOPOLOGY, decided=NODE_5)[2]
    assert row["removed"] == [13, 12, 11] and row["kept"] == [9, 10]


def test_probing_is_told_of_after_each_call():
    architecture, told = Architecture(DARTS), []
    decider = Decider(architecture, FakeProber(architecture, {}), "accuracy")
    decider.decide(operation_of(4), 0, told.append)
    assert told == [1] * 7
    decider.decide(operation_of(5), 0)  # of this one nobody wants to be told
    decider.decide(TOPOLOGY, 0, told.append)
    assert told == [1] * (7 + 5 + 4 + 3)


def test_every_round_is_a_race_of_its_own():
    _, prober, row = decide({}, operation_of(4), racing_confidence=0.9)
    assert prober.races == [Race("accuracy", True, 0.9, 7)] and row["racing_confidence"] == 0.9
    _, prober, row = decide({}, TOPOLOGY, "loss", racing_confidence=0.95)
    assert prober.races == [Race("loss", False, 0.95, left) for left in (5, 4, 3)]
    assert row["racing_confidence"] == 0.95


@pytest.mark.parametrize("planned", [operation_of(4), TOPOLOGY], ids=["operation", "topology"])
def test_without_racing_there_is_no_race_and_no_word_of_it(planned):
    _, prober, row = decide({}, planned)
    assert set(prober.races) == {None} and "racing_confidence" not in row


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_an_operation_that_left_the_race_is_not_kept(criterion):
    lost, loss = {(4, 5): 60, (4, 2): 30}, {(4, 5): 0.9, (4, 2): 0.3}
    assert decide(lost, operation_of(4), criterion, loss)[2]["operation"] == 5
    row = decide(lost, operation_of(4), criterion, loss, images={(4, 5): 80}, racing_confidence=0.9)[2]
    assert row["operation"] == 2
    assert [probe["images"] for probe in row["probes"]] == [100] * 5 + [80, 100]
    assert row["probes"][5]["accuracy"] == 20 / 80


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_an_edge_that_left_the_race_is_not_dropped(criterion):
    lost = {(e, None): 100 for e in NODE_5} | {(10, None): 50, (12, None): 90}
    loss = {(10, None): -0.5, (12, None): -0.1}
    assert decide(lost, TOPOLOGY, criterion, loss)[2]["removed"][0] == 10
    images = {(10, None): 80}
    row = decide(lost, TOPOLOGY, criterion, loss, images=images, racing_confidence=0.9)[2]
    assert 10 in row["kept"] and row["removed"][0] == 12
    assert row["rounds"][0]["probes"][1]["images"] == 80


def test_agree_compares_the_masks_with_the_recorded_decisions():
    architecture = Architecture(DARTS, alpha_scale=1.0)
    decider = Decider(architecture, FakeProber(architecture, {}), "accuracy")
    made = [decider.decide(planned, 0) for planned in (operation_of(4), operation_of(9), TOPOLOGY)]
    assert agree(architecture, made)
    assert not agree(architecture, made[:2]) and not agree(architecture, made[1:])
    assert not agree(architecture, [dataclasses.replace(made[0], operation=3), *made[1:]])
    assert not agree(architecture, [*made[:2], dataclasses.replace(made[2], removed=(9, 12, 11))])

    mask = architecture.open_edges["reduce"].numpy()
    mask[0] = False
    architecture.open_edges["reduce"].assign(mask)
    assert not agree(architecture, made)
