"""Probes as one pass, which a GPU has: scores and decisions are those of passes one by one."""

import dataclasses

import numpy as np
import pytest

from tests.search import compiled, tiny, two_cells
from tf_darts.layers import merged_edges
from tf_darts.models.supernet import Supernet
from tf_darts.registry import OPERATIONS
from tf_darts.runtime.strategy import assumed_device_type
from tf_darts.search import loop as search_loop
from tf_darts.selection import probe
from tf_darts.selection import select as selection_lib

REMOVALS = [(2, 0), (3, 2), (4, 3), (3, None)]


def space_of(*operations):
    candidates = dict.fromkeys(("normal", "reduce"), (operations,) * 5)
    return dataclasses.replace(two_cells.SPACE, candidates=candidates)


DILATED = space_of("none", "skip_connect", "dil_conv_3x3", "sep_conv_3x3")


def seen(cell_type, together, strategy=None, space=None, **fields):
    """What probes into the last node see on every image, and the whole supernet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(probe.TOGETHER, "CPU", together)
        if space is not None:
            patch.setattr(two_cells, "SPACE", space)
        made = two_cells.setup(strategy, search__cells=3, **fields)
        prober = probe.Prober(made, made.valid)
        found, whole = prober.score_beside_whole(cell_type, REMOVALS, 0)
    return [*found, whole]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.concatenate(a.correct), np.concatenate(b.correct))
        np.testing.assert_allclose(np.concatenate(a.losses), np.concatenate(b.losses), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell_type", ["reduce", pytest.param("normal", marks=pytest.mark.slow)])
def test_every_image_scores_as_one_by_one(cell_type):
    theirs = seen(cell_type, False)
    assert_same(seen(cell_type, True), theirs)
    assert len({score.score().loss for score in theirs}) == 4  # of each its own, but that of `none`


@pytest.mark.slow
def test_dilated_convolutions():
    assert_same(seen("normal", True, space=DILATED), seen("normal", False, space=DILATED))


@pytest.mark.slow
def test_in_a_compiled_step_with_merged_edges_too(monkeypatch):
    theirs = seen("normal", False)
    monkeypatch.setattr(merged_edges, "suits", lambda edges, training: training)
    assert_same(seen("normal", True, compiled.one_device()), theirs)


@pytest.mark.parametrize(
    ("probes", "cells", "together"), [(8, 8, 8), (9, 8, 5), (8, 3, 3), (6, 17, 6), (5, 1, 1)]
)
def test_no_more_at_once_than_there_are_cells(probes, cells, together):
    assert probe._fitting(probes, cells) == together


@pytest.mark.slow
def test_parts_of_a_decision(monkeypatch):
    theirs = seen("normal", False)
    for together in (2, 3):  # of 5 probes: the last part is not full
        monkeypatch.setattr(probe, "_fitting", lambda probes, cells, n=together: n)
        assert_same(seen("normal", True), theirs)


def test_a_gpu_alone_has_them_together_and_none_that_draws_or_is_a_users(monkeypatch):
    for space, suits in ((DILATED, True), (space_of("none", "noise", "skip_connect"), False)):
        made = Supernet(space, 2, 1, 4)
        for device in ("CPU", "GPU", "TPU"):
            with assumed_device_type(device):
                assert probe._suits(made, training=True) == (suits and device == "GPU")
                assert not probe._suits(made, training=False)
    made = Supernet(DILATED, 2, 1, 4)
    monkeypatch.setattr(OPERATIONS, "built_in", frozenset({"none", "skip_connect"}))
    with assumed_device_type("GPU"):
        assert not probe._suits(made, training=True)


@pytest.mark.slow
def test_a_selection_decides_the_same(tmp_path, monkeypatch):
    (tmp_path / "search").mkdir()
    search_loop.run(tiny.setup(tiny.config(search__epochs=1)), tmp_path / "search")
    rows = []
    for together in (False, True):
        monkeypatch.setitem(probe.TOGETHER, "CPU", together)
        monkeypatch.setattr(probe, "_fitting", lambda probes, cells: probes)
        folder = tmp_path / str(together)
        folder.mkdir()
        selection_lib.run(tiny.setup(tiny.config()), tmp_path / "search", folder)
        rows.append(tiny.rows(folder / "decisions.jsonl"))
    one_by_one, at_once = rows
    for a, b in zip(at_once, one_by_one, strict=True):
        assert a.get("chosen") == b.get("chosen") and a.get("kept") == b.get("kept")
        if a["kind"] == "operation":
            assert [p["correct"] for p in a["probes"]] == [p["correct"] for p in b["probes"]]
