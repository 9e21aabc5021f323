"""SGAS within the selection's budget: what it decides can always be completed, and is refused where not."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.test_budget import MADE_UP, completions, costs_and_states, fit, limits_near, together
from tests.search import tiny
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models.architecture import Architecture
from tf_darts.models.budget import Budget
from tf_darts.models.decision_state import DecisionState
from tf_darts.models.genotype_costs import GenotypeCosts
from tf_darts.search import loop
from tf_darts.search import setup as search_setup
from tf_darts.search.alpha_summary import describe
from tf_darts.selection import magnitude, select, sgas
from tf_darts.study import settings as study_settings
from tf_darts.workdir.stage_folders import search_stage

FIELDS = {
    "search__method": "sgas",
    "search__evaluate_every": 0,
    "sgas__warmup_epochs": 0,
    "sgas__interval": 1,
    "sgas__batch_increase": 0,
}


def decide_all(space, seed, budget=None):
    """All decisions by magnitude from alpha that is drawn anew for each; the rows and the architecture."""
    architecture = Architecture(space, alpha_scale=1.0, seed=seed)
    config = tiny.config(**FIELDS, search__epochs=30)
    method = sgas.Sgas(config, space)
    setup = types.SimpleNamespace(
        space=space,
        config=config,
        bilevel=types.SimpleNamespace(architecture=architecture, alphas=architecture.alpha),
        valid=None,
        budget=budget,
    )
    draw, rows = np.random.default_rng(seed), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sgas, "Prober", lambda *arguments, **keywords: None)  # magnitude probes nothing
        for epoch in range(sgas.number_of_decisions(space)):
            for alpha in architecture.alpha.values():
                alpha.assign(draw.normal(size=alpha.shape).astype(np.float32))
            rows += method.decide(setup, epoch, [describe(architecture)])
    return rows, architecture


@pytest.mark.parametrize("number", range(len(MADE_UP)))
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_what_it_decides_fits_wherever_something_does(number, data):
    space = MADE_UP[number]
    costs, _ = data.draw(costs_and_states(space))
    start = sgas._without_none(space, DecisionState.undecided(space))
    found = [completions(space, costs, start, t) for t in space.cell_types]
    totals = together(costs.fixed, *found)
    limits = limits_near(totals, data.draw)
    budget = Budget(space, costs, *limits)
    keeps = sgas.decided_edges(Architecture(space))
    if not budget.fits(start, keeps):
        # An edge that has nothing but `none` counts as decided.
        assert not fit(totals, limits) or len(space.candidates["normal"][2]) == 1
        with pytest.raises(UserError, match="allowed: at least"):
            budget.check(start, keeps)
        return
    rows, architecture = decide_all(space, data.draw(st.integers(0, 100)), budget)
    genotype = magnitude.select(architecture).genotype
    assert budget.allows(genotype) and fit([costs.of(genotype)[:2]], limits)
    assert all(row.chosen not in row.refused for row in rows)
    decided = DecisionState.of(Architecture(space)).after(rows)
    assert decided.equals(DecisionState.of(architecture))


def test_a_budget_that_everything_fits_changes_nothing():
    space = spaces.get("darts_with_none")
    sizes = {t: np.ones((14, space.num_operations, 2), np.int64) for t in space.cell_types}
    budget = Budget(space, GenotypeCosts(space, np.int64([0, 0]), sizes), 16, 16)
    assert decide_all(space, 3, budget)[0] == decide_all(space, 3)[0]


def test_an_edge_that_has_nothing_cheap_waits_and_is_pruned():
    costs = GenotypeCosts(
        tiny.SPACE,
        np.int64([0, 0]),
        {"normal": np.int64([[[9, 0], [9, 0]], [[0, 0], [5, 0]], [[0, 0], [5, 0]]])},
    )
    budget = Budget(tiny.SPACE, costs, 5)
    for seed in range(10):
        rows, architecture = decide_all(tiny.SPACE, seed, budget)
        assert [row.edge for row in rows] in ([1, 2], [2, 1])
        assert rows[1].removed == (0,)
        names = [row.chosen for row in rows]
        assert names.count("nor_conv_1x1") <= 1
        if rows[1].refused:
            assert rows[1].refused == ("nor_conv_1x1",) and names[0] == "nor_conv_1x1"
        assert not architecture.open_edges["normal"].numpy()[0]


@pytest.mark.slow
def test_a_whole_search_fits_and_its_selection_too(tmp_path):
    skips = tiny.config(**FIELDS)
    data = tiny.data(skips)
    budgets = {"selection__max_parameters": least(skips, data)}  # skip connections alone fit
    made = tiny.setup(tiny.config(**FIELDS, **budgets))
    loop.run(made, tmp_path)
    rows = tiny.rows(tmp_path / "decisions.jsonl")
    assert {row["chosen"] for row in rows} == {"skip_connect"}
    assert {tuple(row["refused"]) for row in rows} == {("nor_conv_1x1",)}
    again = tiny.setup(tiny.config(**FIELDS, **budgets, selection__method="magnitude"))
    (tmp_path / "selection").mkdir()
    genotype = select.run(again, tmp_path, tmp_path / "selection")
    assert {choice.operation for choice in genotype.cells["normal"]} == {"skip_connect"}


def least(config, data):
    """The parameters of the cheapest network."""
    with pytest.raises(UserError) as caught:
        search_setup.check(tiny.config(**FIELDS, selection__max_parameters=1), tiny.SPACE, data, 1)
    return int(str(caught.value).split("at least ")[1].split()[0])


def test_a_budget_that_only_none_fits_is_refused_before_any_work():
    space = spaces.get("nas_bench_201")
    fields = {**FIELDS, "search__epochs": 6, "data__downscale": 1}
    config = tiny.config(**fields, space="nas_bench_201", selection__max_multiply_adds=1)
    with pytest.raises(UserError) as caught:
        search_setup.check(config, space, tiny.data(config), 1)
    nothing = int(str(caught.value).split("at least ")[1].split()[0])
    config = tiny.config(**fields, space="nas_bench_201", selection__max_multiply_adds=nothing)
    search_setup.check(config, space, tiny.data(config), 1)  # skip connections cost nothing either


def test_the_search_depends_on_its_budget_and_on_no_other_selection(tmp_path):
    def stage(**fields):
        return search_stage(str(tmp_path), tiny.config(**{**FIELDS, **fields}))

    stage(selection__max_parameters=5000).open()
    stage(selection__max_parameters=5000, selection__criterion="loss").check()
    for fields, name in (
        ({"selection__max_parameters": 5001}, "selection.max_parameters: 5000 -> 5001"),
        ({}, "selection.max_parameters: 5000 -> None"),
        ({"selection__max_parameters": 5000, "training__channels": 5}, "training.channels: 4 -> 5"),
    ):
        with pytest.raises(UserError, match=name):
            stage(**fields).check()
    plain = search_stage(str(tmp_path / "darts"), tiny.config(selection__max_parameters=5000))
    plain.open()
    search_stage(str(tmp_path / "darts"), tiny.config()).check()  # DARTS decides nothing


def study(**fields):
    config = study_settings.default()
    config.base.update({"data": {"source": "digits"}, "space": "nas_bench_201"})
    config.searches = {"sgas": {"search": {"method": "sgas"}, **fields}, "darts": {}}
    config.selections = {"magnitude": {"method": "magnitude"}, "small": {"max_parameters": 10**9}}
    return study_settings.validate(config)


def test_a_study_leaves_out_budgets_that_the_search_did_not_have():
    made = study()
    names = {job.search: list(job.selections) for job in made.jobs}
    assert names == {"sgas": ["magnitude"], "darts": ["magnitude", "small"]}
    (line,) = made.skipped
    assert "selections.small after searches.sgas: another budget than the search's" in line
    both = study(selection={"max_parameters": 10**9})
    assert not both.skipped and {len(job.selections) for job in both.jobs} == {2}
