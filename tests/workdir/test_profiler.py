"""Traces of steps."""

import pytest

from tests.search import tiny
from tf_darts.search import loop
from tf_darts.workdir import events


@pytest.mark.parametrize("steps", [1, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_search_leaves_a_trace_and_the_same_results(tmp_path, capsys, steps):
    """Also where it ends before it has so many steps."""
    folders = {steps: tmp_path / "traced", 0: tmp_path / "not"}
    for wanted, folder in folders.items():
        folder.mkdir()
        fields = {"data__crop_padding": 0, "search__evaluate_every": 0, "runtime__tensorboard": True}
        loop.run(tiny.setup(tiny.config(runtime__profile_steps=wanted, **fields)), folder)
    (trace,) = (tmp_path / "traced" / "plugins" / "profile").rglob("*.xplane.pb")
    assert trace.stat().st_size > 1000
    assert not (tmp_path / "not" / "plugins").exists()
    for name in ("metrics.jsonl", "result.json"):
        assert (tmp_path / "traced" / name).read_text() == (tmp_path / "not" / name).read_text()
    counts = [sum(1 for _ in events.read(folder)) for folder in folders.values()]
    assert counts[0] == counts[1] > 0
    said = f"the trace of steps is in {tmp_path / 'traced' / 'plugins' / 'profile'}"
    assert (said in capsys.readouterr().out) == (steps == 1)  # a trace cut short is not announced as whole
