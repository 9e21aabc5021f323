"""Rows of decisions.jsonl: what is written is read back, and what others leave is kept."""

import dataclasses
import json

import pytest

from tf_darts.workdir import decisions
from tf_darts.workdir.decisions import (
    DecisionsFile,
    Lead,
    MagnitudeDecision,
    OperationDecision,
    OtherDecision,
    Probe,
    RandomDecision,
    Round,
    SampleDecision,
    TopologyDecision,
    as_row,
    of_row,
)

WHOLE = Probe(correct=90, images=100, accuracy=0.9, loss=0.5)
WITHOUT = Probe(operation="skip_connect", correct=80, images=100, accuracy=0.8, loss=0.75, lost=11, gained=1)
OPERATION = OperationDecision(
    number=0,
    event=0,
    epoch=0,
    cell_type="normal",
    criterion="accuracy",
    edge=4,
    edge_name="3<-2",
    operation=0,
    chosen="skip_connect",
    probes=(WITHOUT,),
    whole=WHOLE,
    lead=Lead(over="nor_conv_1x1", value=0.25, error=None),
    mixing_weights={"skip_connect": 0.5, "nor_conv_1x1": 0.5},
)
DROPPED = Probe(edge=0, edge_name="3<-0", correct=1, images=2, accuracy=0.5, loss=1.0)
TOPOLOGY = TopologyDecision(
    number=1,
    event=1,
    epoch=2,
    cell_type="normal",
    criterion="loss",
    racing_confidence=0.9,
    rounds=(Round(probes=(DROPPED,), removed=(0,), refused=(1,)),),
    node=3,
    removed=(0,),
    kept=(1, 2),
    kept_names=("3<-1", "3<-2"),
)
ALL = [
    OPERATION,
    dataclasses.replace(OPERATION, number=None, refused=("none",), score=0.5, removed=(), undone=True),
    TOPOLOGY,
    dataclasses.replace(TOPOLOGY, rounds=(), mixing_weights={"3<-0": 0.25}, refused=(2,)),
    MagnitudeDecision(
        cell_type="normal", edge=0, edge_name="1<-0", mixing_weights={"none": 1.0}, chosen=None
    ),
    RandomDecision(genotype="text"),
    SampleDecision(genotype="text", correct=1, images=2, accuracy=0.5, loss=0.25),
]


@pytest.mark.parametrize("decision", ALL, ids=lambda decision: decision.kind)
def test_a_decision_survives_its_row(decision):
    assert of_row(json.loads(json.dumps(as_row(decision)))) == decision


def test_a_row_is_that_of_version_1_0():
    assert list(as_row(OPERATION).items()) == [
        ("number", 0),
        ("kind", "operation"),
        ("event", 0),
        ("epoch", 0),
        ("cell_type", "normal"),
        ("criterion", "accuracy"),
        ("edge", 4),
        ("edge_name", "3<-2"),
        ("operation", 0),
        ("chosen", "skip_connect"),
        (
            "probes",
            [
                {
                    "operation": "skip_connect",
                    "correct": 80,
                    "images": 100,
                    "accuracy": 0.8,
                    "loss": 0.75,
                    "lost": 11,
                    "gained": 1,
                }
            ],
        ),
        ("whole", {"correct": 90, "images": 100, "accuracy": 0.9, "loss": 0.5}),
        ("lead", {"over": "nor_conv_1x1", "value": 0.25, "error": None}),
        ("mixing_weights", {"skip_connect": 0.5, "nor_conv_1x1": 0.5}),
    ]
    assert as_row(TOPOLOGY)["rounds"] == [
        {
            "probes": [
                {
                    "edge": 0,
                    "edge_name": "3<-0",
                    "correct": 1,
                    "images": 2,
                    "accuracy": 0.5,
                    "loss": 1.0,
                }
            ],
            "removed": [0],
            "refused": [1],
        }
    ]
    assert as_row(ALL[4])["chosen"] is None  # said, though it is nothing


@pytest.mark.parametrize(
    "row",
    [{"kind": "mine", "x": 1}, {}, {"kind": "operation", "cell_type": "normal"}, {"kind": "sample"}],
    ids=str,
)
def test_rows_of_others_are_kept_as_they_are(row):
    assert of_row(row) == OtherDecision(row) and as_row(of_row(row)) == row
    assert of_row(row).epoch == -1


def test_what_a_later_version_adds_is_left_out():
    assert of_row(as_row(OPERATION) | {"news": 1}) == OPERATION


def test_a_file_is_continued_where_it_was(tmp_path):
    assert decisions.read(tmp_path) == []
    file = DecisionsFile(tmp_path)
    file.append(*ALL[:3])
    file.append({"kind": "mine", "epoch": 5})  # a row of a method of the user's own
    assert (
        file.decisions == decisions.read(tmp_path) == [*ALL[:3], OtherDecision({"kind": "mine", "epoch": 5})]
    )
    file = DecisionsFile(tmp_path, keep=lambda decision: decision.epoch < 2)
    assert file.decisions == decisions.read(tmp_path) == ALL[:2]
    assert DecisionsFile(tmp_path).decisions == decisions.read(tmp_path) == []


def test_decisions_after_an_epoch_are_undone(tmp_path):
    made = [dataclasses.replace(OPERATION, epoch=epoch) for epoch in range(3)]
    DecisionsFile(tmp_path).append(*made)
    decisions.undo_after(tmp_path, 1)
    assert [decision.undone for decision in decisions.read(tmp_path)] == [False, False, True]
