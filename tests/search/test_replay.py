"""Mixing weights over the epochs, from what a search recorded; the rows are written, not run."""

import numpy as np
import pytest

from tests.report import made
from tf_darts.models.architecture import Architecture
from tf_darts.search.alpha_summary import describe
from tf_darts.search.replay import of_epochs
from tf_darts.workdir.decisions import OperationDecision

SPACE = made.SPACE


@pytest.fixture(scope="module")
def recorded():
    """Rows of epochs 0 to 2, and the mixing weights at their time; an edge is decided after epoch 0."""
    architecture, rows, expected = Architecture(SPACE, 1.0, 3), [], []
    for epoch in range(3):
        architecture.alpha["normal"].assign_add(np.full((6, 5), 0.1 * epoch, np.float32) ** 2)
        rows.append({"step": epoch, "finished_epoch": epoch, **describe(architecture)})
        expected.append(architecture.mixing_weights()["normal"].numpy())
        if epoch == 0:
            architecture.decide_operation("normal", 2, 3)
    decision = OperationDecision(epoch=0, cell_type="normal", edge=2, operation=3)
    return rows, [decision], expected


def test_weights_are_those_of_their_time(recorded):
    rows, decisions, expected = recorded
    found = of_epochs(made.config(), SPACE, rows, decisions)
    assert list(found) == [1, 2, 3]
    for weights, right in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(weights["normal"], right)
    assert found[1]["normal"][2].max() < 1 and found[2]["normal"][2].tolist() == [0, 0, 0, 1, 0]


def test_rows_without_alpha_are_left_out(recorded):
    rows, _, _ = recorded
    found = of_epochs(made.config(), SPACE, [{"finished_epoch": 0, "step": 1}, rows[1]], [])
    assert list(found) == [2] and of_epochs(made.config(), SPACE, [], []) == {}
