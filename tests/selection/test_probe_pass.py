"""The masks of probes, and the forward pass that all probes of a decision share."""

import numpy as np
import pytest
import tensorflow as tf

from tests.probe_masks import ProbeMasks
from tf_darts.models.architecture import Architecture
from tf_darts.selection.probe_pass import mask_without
from tf_darts.spaces.darts import DARTS


@pytest.fixture
def architecture():
    return Architecture(DARTS, alpha_scale=1.0)


def test_a_mask_removes_one_operation_or_an_edge(architecture):
    mask = mask_without(architecture, "normal", 4, 3)
    assert mask.shape == (14, 7) and mask.dtype == np.float32
    assert np.argwhere(mask == 0).tolist() == [[4, 3]] and set(mask.ravel()) == {0, 1}
    mask = mask_without(architecture, "reduce", 13, None)
    assert np.argwhere(mask == 0).tolist() == [[13, o] for o in range(7)]


def test_a_mask_has_a_column_for_the_weight_of_the_edge():
    architecture = Architecture(DARTS, weighs_edges=True, passes_by=True)
    mask = mask_without(architecture, "normal", 2, None)
    assert mask.shape == (14, 8) and not mask[2].any()
    assert mask.shape == architecture.mixing_weights()["normal"].shape


def test_a_probe_of_a_decided_edge_removes_all_that_is_left(architecture):
    architecture.decide_operation("normal", 4, 3)
    weights = architecture.mixing_weights()["normal"] * mask_without(architecture, "normal", 4, 3)
    assert not weights[4].numpy().any()


def test_a_probe_ends_the_one_before_even_on_the_other_cell_type(architecture):
    before = architecture.current_weights()
    masks = ProbeMasks(architecture)
    masks.probe("normal", 4, 3)
    masks.probe("normal", 4, 5)
    now = architecture.current_weights()["normal"]
    assert now[4, 3] == before["normal"][4, 3] and now[4, 5] == 0
    masks.probe("reduce", 1, None)
    np.testing.assert_array_equal(architecture.current_weights()["normal"], before["normal"])
    masks.end()
    for cell_type, weights in architecture.current_weights().items():
        np.testing.assert_array_equal(weights, before[cell_type])
    assert [v.name for v in architecture.variables if "mask" in v.name] == []
    tf.debugging.assert_equal(architecture.open_edges["normal"], True)
