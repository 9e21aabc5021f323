"""How far a selection has come: each part counts as what it costs, and all of them end at the total."""

import types

import numpy as np
import pytest

from tf_darts import spaces
from tf_darts.config import files
from tf_darts.selection import darts_pt, schedule

SPACE = spaces.SPACES["nas_bench_201"]
OPEN = [1, 26 / 30, 22 / 30, 18 / 30, 14 / 30, 10 / 30, 6 / 30]  # of six edges with five operations
STEPS = 4  # of an epoch
BATCHES = 60  # of a decision's probes: five operations and the whole, of 10


@pytest.fixture(name="counted")
def _counted(monkeypatch):
    """Plan a selection; return the plan, its epochs, what makes its progress, and what that then counts."""
    counts = []

    def progress(name, total, done):
        return types.SimpleNamespace(total=total, begun=done, update=lambda now, text: counts.append(now))

    monkeypatch.setattr("tf_darts.selection.selection_progress.Progress", progress)
    planned, epochs = schedule.plan(SPACE, {"normal": list(range(6))}, 2, schedule.by_index)

    def make(method="fixed_alpha", compact=True, decisions=0, step=0):
        config = files.load("quickstart")
        config.search.method, config.selection.compact = method, compact
        setup = types.SimpleNamespace(
            config=config, space=SPACE, probe_images=lambda: np.arange(100), probe_batch=10, others={}
        )
        stage = types.SimpleNamespace(at={"decisions": decisions}, step=step)
        return darts_pt._progress(setup, planned, epochs, STEPS, stage)

    return planned, epochs, make, counts


@pytest.mark.parametrize(
    ("method", "compact", "shares", "step"),
    [("fixed_alpha", True, OPEN, 3), ("darts", True, OPEN, 6), ("darts", False, [1] * 7, 6)],
)
def test_every_part_counts_as_what_it_costs(counted, method, compact, shares, step):
    planned, epochs, make, counts = counted
    work = make(method, compact)
    expected, now = [], 0.0
    for epoch in range(epochs):
        for number in (k for k, decision in enumerate(planned) if decision.epoch == epoch):
            work.probed(BATCHES // 2)
            expected.append(now + shares[number] * BATCHES / 2)
            work.decided()
            now += shares[number] * BATCHES
        work.finetuned(STEPS, "")
        now += STEPS * step * shares[sum(decision.epoch <= epoch for decision in planned)]
        expected.append(now)
    assert counts == [round(count) for count in expected]
    assert counts[-1] == work.progress.total


def test_a_selection_that_goes_on_begins_where_it_was(counted):
    _, _, make, counts = counted
    whole = make()
    for _ in range(2):
        whole.probed(BATCHES)
        whole.decided()
        whole.finetuned(STEPS, "")
        whole.finetuned(STEPS, "")
    again = make(decisions=2, step=4 * STEPS)
    assert again.progress.begun == counts[-1] > 0 and again.progress.total == whole.progress.total
