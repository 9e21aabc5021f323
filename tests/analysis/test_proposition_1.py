"""examples/analyses: the closed form is the minimum, and trained alphas come to the closed form."""

import dataclasses
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from tests.analysis import made
from tf_darts import config as config_lib
from tf_darts import registry, trust
from tf_darts.analysis import analyses

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "analyses"
# The module as a config's `extensions.analyses` leads to it.
proposition_1 = sys.modules[registry.load_reference(f"{FOLDER / 'proposition_1.py'}:run").__module__]


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    """The user has named the folder of examples."""
    monkeypatch.setattr(trust, "_named", {})
    trust.allow(FOLDER)


@settings(deadline=None)
@given(st.floats(0.01, 10), st.floats(0.01, 10), st.floats(-0.95, 0.95))
def test_the_closed_form_is_the_minimum(conv, skip, correlation):
    covariance = correlation * (conv * skip) ** 0.5

    def variance(t):
        return t**2 * conv + (1 - t) ** 2 * skip + 2 * t * (1 - t) * covariance

    found = minimize_scalar(variance, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x
    assert proposition_1.optimal_weight(conv, skip, covariance) == pytest.approx(found, abs=1e-4)


def test_weights_are_proportional_to_the_other_ones_variance():
    assert proposition_1.optimal_weight(conv=1.0, skip=3.0) == pytest.approx(0.75)
    assert proposition_1.optimal_weight(conv=3.0, skip=1.0) == pytest.approx(0.25)
    # Alpha is the logarithm of a weight, but for a constant of the row.
    weight = proposition_1.optimal_weight(conv=0.2, skip=0.7)
    assert np.log(weight) - np.log(1 - weight) == pytest.approx(np.log(0.7) - np.log(0.2))


def test_equal_errors_have_no_best_weight():
    with pytest.raises(ValueError, match=r"var\(o - x\) is 0"):
        proposition_1.optimal_weight(1.0, 1.0, 1.0)


def test_alpha_trained_on_independent_errors_comes_to_the_proposition():
    for ratio, outcome in zip(
        proposition_1.RATIOS, proposition_1.independent(5, proposition_1.RATIOS), strict=True
    ):
        assert outcome.skip / outcome.conv == pytest.approx(ratio, rel=0.05)
        assert abs(outcome.gradient) < 1e-4  # training was over
        assert outcome.trained == pytest.approx(outcome.optimal, abs=1e-3)
        # The errors of 20,000 values are correlated by chance, 0.007 at one sigma.
        assert outcome.trained == pytest.approx(outcome.proposition, abs=0.01)


@pytest.fixture(scope="module")
def outcomes():
    return proposition_1.cell(5)


def test_alpha_trained_in_a_cell_comes_to_the_closed_form(outcomes):
    assert len(outcomes) == proposition_1.EDGES
    for outcome in outcomes:
        assert abs(outcome.gradient) < 1e-3
        # Variances are those of other images than alpha was trained on.
        assert outcome.trained == pytest.approx(outcome.optimal, abs=0.03)


def test_in_a_cell_skip_gains_along_the_chain_and_errors_are_not_independent(outcomes):
    weights = [outcome.trained for outcome in outcomes]
    assert weights[0] > weights[1] > weights[2]  # x comes closer to m*
    assert outcomes[0].skip > outcomes[1].skip
    # Where the paper's assumption fails, its formula misses by far more than the closed form does.
    for outcome in outcomes[1:]:
        assert outcome.covariance > 0.1 * (outcome.skip * outcome.conv) ** 0.5
        assert abs(outcome.proposition - outcome.trained) > 0.05


@pytest.fixture
def registered(registries):
    config_lib.validate(runpy.run_path(str(FOLDER / "config.py"))["get_config"]())


def test_the_analysis_trains_once(registered, tmp_path, monkeypatch):
    row = proposition_1.Outcome(0.5, 0.25, 0.01, 0.66, 0.669, 0.667, 1e-5)
    trained = []

    def stand_in(seed, *arguments):
        trained.append(seed)
        return [row, dataclasses.replace(row, trained=0.123)]

    monkeypatch.setattr(proposition_1, "independent", stand_in)
    monkeypatch.setattr(proposition_1, "cell", stand_in)
    fields = {"runtime__tensorboard": True}
    first = proposition_1.run(made.study("proposition_1", tmp_path, **fields))
    folder = tmp_path / "analysis" / "proposition_1"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert {path.suffix for path in before} >= {".json", ".png"}
    assert any("tfevents" in path.name for path in before)
    again = proposition_1.run(made.study("proposition_1", tmp_path, **fields))
    assert first == again and len(trained) == 2
    assert before == {path: path.read_bytes() for path in folder.iterdir()}
    assert "0.123" in first and first.count("0.667") == 4


def test_it_is_prepared_without_a_search(registered, tmp_path):
    assert list(analyses.prepare(["proposition_1"], str(tmp_path), config_lib.default(), None)) == [
        "proposition_1"
    ]


@pytest.mark.slow
def test_the_program_runs_it_without_a_search_and_continues(programs, tmp_path):
    command = ("analyze", f"--config={FOLDER / 'config.py'}", "--analysis=proposition_1", "--workdir=runs")
    first = programs.call(*command, cwd=tmp_path)
    assert first.status == 0, first.err
    assert "cell, edge 3" in first.out
    assert not (tmp_path / "runs" / "search").exists()
    result = (tmp_path / "runs" / "analysis" / "proposition_1" / "result.json").read_bytes()
    again = programs.call(*command, cwd=tmp_path)
    assert (again.status, again.out) == (0, first.out)
    assert (tmp_path / "runs" / "analysis" / "proposition_1" / "result.json").read_bytes() == result
