"""Whole selections within a budget, and budgets that are refused before one begins."""

import dataclasses

import numpy as np
import pytest

from tests.search import tiny, two_cells
from tf_darts import spaces
from tf_darts.config import depends
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models import budget as budget_lib
from tf_darts.models import cost
from tf_darts.models.budget import Budget
from tf_darts.models.genotype_costs import SKIPS, GenotypeCosts, parts_of
from tf_darts.models.latency_table import NOTHING, LatencyTable
from tf_darts.models.network import Network, count_parameters
from tf_darts.registry import SELECTIONS
from tf_darts.search import loop as search_loop
from tf_darts.search import setup as search_setup
from tf_darts.selection import select as selection_lib
from tf_darts.selection import shapley
from tf_darts.workdir.stage_folder import StageFolder
from tf_darts.workdir.stage_folders import selection_stage


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    search_loop.run(tiny.setup(tiny.config(search__epochs=1, search__evaluate_every=0)), folder)
    return folder


def size_of(genotype):
    """Parameters and multiply-adds of the network that `tiny.config` trains."""
    network = Network(tiny.SPACE, genotype, 4, 1, 10, channels_in=1)
    return count_parameters(network), cost.multiply_adds(network, (8, 8, 1))


COUNTED = depends.BUDGET_FIELDS[:2]
SHAPLEY = {"method": "shapley", "permutations": 1}
ZERO_COST_PT = {"method": "zero_cost_pt", "proposals": 1, "proposal_batches": 1, "proxy": "synflow"}


@pytest.mark.parametrize(
    ("limited", "fields"),
    [
        (0, {"method": "magnitude"}),
        (1, {"method": "magnitude"}),
        (0, {"method": "perturbation"}),
        (0, {"method": "perturbation", "one_shot": True}),
        (0, {"method": "perturbation", "criterion": "magnitude"}),
        (0, {"method": "random"}),
        (0, {"method": "supernet_ranking", "samples": 3}),
        (0, SHAPLEY),
        (0, ZERO_COST_PT),
    ],
    ids=str,
)
def test_a_selection_keeps_to_the_budget(searched, tmp_path, monkeypatch, limited, fields):
    if fields is SHAPLEY:  # at chance no operation is worth anything
        values = {"normal": np.float64([[0, 1]] * 3)}
        monkeypatch.setattr(shapley, "values_of", lambda rows: (values, {"normal": 0 * values["normal"]}))

    def select(seed, limit):
        given = {"interval": 0, "compact": False, depends.BUDGET_FIELDS[limited]: limit, **fields}
        settings = tiny.config(seed=seed, **{f"selection__{field}": value for field, value in given.items()})
        folder = tmp_path / f"{seed} {limit}"
        folder.mkdir()
        genotype = selection_lib.run(tiny.setup(settings), searched, folder)
        return genotype, tiny.rows(folder / "decisions.jsonl")

    for seed in range(20):  # until the genotype has a convolution
        free, rows = select(seed, 0)
        assert "refused" not in str(rows)
        if "nor_conv_1x1" in str(free):
            break
    limit = size_of(free)[limited] - 1
    within, rows = select(seed, limit)
    assert within != free and size_of(within)[limited] <= limit
    assert ("refused" in str(rows)) == (fields["method"] in ("perturbation", "zero_cost_pt"))


@pytest.mark.parametrize(
    "fields",
    [{"method": "perturbation"}, {"method": "random"}, SHAPLEY],
    ids=str,
)
def test_a_selection_keeps_to_the_limit_of_skip_connections(searched, tmp_path, fields):
    def skips(seed, limit):
        given = {"interval": 0, "compact": False, "max_skips": limit, **fields}
        settings = tiny.config(seed=seed, **{f"selection__{field}": value for field, value in given.items()})
        folder = tmp_path / f"{seed} {limit}"
        folder.mkdir()
        return str(selection_lib.run(tiny.setup(settings), searched, folder)).count("skip_connect")

    seed = next(seed for seed in range(20) if skips(seed, 0) == 2)
    assert skips(seed, 1) < 2


def test_a_limit_of_skip_connections_is_of_normal_cells_and_of_no_network():
    settings = tiny.config(selection__max_skips=1, training__cells=3)
    assert depends.of_budget(settings) == {}
    settings.search.method = "sgas"
    assert depends.of_deciding_search(settings)["selection.max_skips"] == 1
    costs = budget_lib.of_config(settings, two_cells.SPACE, 10, (8, 8, 1)).costs
    skips = {t: rows[..., SKIPS].sum(0).tolist() for t, rows in costs.edges.items()}
    assert two_cells.NORMAL[1] == "skip_connect"
    assert skips == {"normal": [0, 5, 0, 0], "reduce": [0] * 4}


def test_a_selection_that_knows_no_budgets_is_refused(tmp_path, monkeypatch):
    convolutions = Genotype("tiny", {"normal": tuple(Choice(3, e, "nor_conv_1x1") for e in range(2))})
    monkeypatch.setitem(SELECTIONS, "random", lambda setup, folder: convolutions)
    settings = tiny.config(selection__method="random", selection__max_parameters=size_of(convolutions)[0])
    assert selection_lib.run(tiny.setup(settings), tmp_path, tmp_path) == convolutions
    settings.selection.max_parameters -= 1
    with pytest.raises(UserError, match="selection.method is 'random', which keeps to no budget"):
        selection_lib.run(tiny.setup(settings), tmp_path, tmp_path)


def checked(settings):
    """What a set-up is checked for before any work."""
    return search_setup.check(settings, tiny.SPACE, tiny.data(settings), 1)


@pytest.mark.parametrize("limited", [0, 1], ids=COUNTED)
def test_a_budget_that_nothing_fits_is_refused(limited):
    skips = Genotype("tiny", {"normal": tuple(Choice(3, e, "skip_connect") for e in range(2))})
    least, field = size_of(skips)[limited], depends.BUDGET_FIELDS[limited]
    checked(tiny.config(**{f"selection__{field}": least}))
    settings = tiny.config(**{f"selection__{field}": least - 1})
    with pytest.raises(UserError) as caught:
        checked(settings)
    message = str(caught.value)
    assert message.startswith(f"config: selection.{field} is {least - 1}; allowed: at least {least} ")
    assert "\n" not in message


def test_limits_that_nothing_keeps_together_are_refused():
    either = {"normal": np.int64([[[1, 10], [10, 1]]] * 3)}  # few parameters, or few multiply-adds
    costs = GenotypeCosts(tiny.SPACE, np.int64([0, 0]), either)
    Budget(tiny.SPACE, costs, 11, 11).check()
    Budget(tiny.SPACE, costs, 2, 20).check()
    with pytest.raises(UserError) as caught:
        Budget(tiny.SPACE, costs, 10, 12).check()
    message = str(caught.value)
    assert "selection.max_multiply_adds is 12; allowed: at least 20 " in message
    assert "selection.max_parameters 10" in message
    with pytest.raises(UserError, match="selection.max_parameters is 1; allowed: at least 2 "):
        Budget(tiny.SPACE, costs, 1, 12).check()
    with pytest.raises(ValueError, match="without a limit"):
        Budget(tiny.SPACE, costs)


def test_each_limit_out_of_reach_is_named_with_the_least():
    costs = GenotypeCosts(tiny.SPACE, np.int64([7, 7, 1500, 2500]), {"normal": np.zeros((3, 2, 4), np.int64)})
    with pytest.raises(UserError) as caught:
        Budget(tiny.SPACE, costs, 6, 7, 1000, 1_000_000).check()
    message = str(caught.value)
    assert (
        "selection.max_parameters is 6; allowed: at least 7; selection.max_tflite_kilobytes is 1;" in message
    )
    assert "allowed: at least 2 for a network" in message and "latency" not in message
    with pytest.raises(UserError, match=r"max_latency_ms is 0.002; allowed: at least 0.003 for"):
        Budget(tiny.SPACE, costs, 7, 7, 1500, 2000).check()
    settings = tiny.config(
        selection__max_tflite_kilobytes=3, selection__max_latency_ms=0.3, selection__max_parameters=10**30
    )
    assert budget_lib.limits_of(settings.selection) == [10**30, 0, 3000, 300_000, 0]


def test_three_limits_that_nothing_keeps_together_are_refused():
    either = np.int64([[[9, 0, 0], [0, 9, 0], [0, 0, 9]]] * 3)
    space = dataclasses.replace(
        tiny.SPACE, candidates={"normal": (("skip_connect", "nor_conv_1x1", "nor_conv_3x3"),) * 3}
    )
    costs = GenotypeCosts(space, np.int64([0, 0, 0]), {"normal": either})
    Budget(space, costs, 9, 9, 1).check()
    with pytest.raises(UserError) as caught:
        Budget(space, costs, 8, 8, 17).check()
    assert "selection.max_tflite_kilobytes is 0.017; allowed: at least 1 for" in str(caught.value)
    assert "and selection.max_parameters 8 and selection.max_multiply_adds 8, or 0" in str(caught.value)


def test_a_limit_of_latency_needs_a_table_that_has_all():
    settings, shape = tiny.config(selection__max_latency_ms=1.0), (8, 8, 1)
    with pytest.raises(
        UserError, match="max_latency_ms is 1 without selection.latency_table; allowed here: with"
    ):
        budget_lib.of_config(settings, tiny.SPACE, 10, shape)
    parts = parts_of(tiny.SPACE, 4, 1, 10, shape)
    table = LatencyTable({part: 0.25 + 0.25 * (part != NOTHING) for part in parts})
    found = budget_lib.of_config(settings, tiny.SPACE, 10, shape, table)
    # A call, stem and head, two edges less the sum that is not there.
    assert found.costs.of(tiny.GENOTYPE).nanoseconds == 250_000 * (1 + 2 + 2 - 1)
    settings.selection.max_latency_ms = 0.9
    with pytest.raises(UserError, match="max_latency_ms is 0.9; allowed: at least 1 for a network"):
        budget_lib.of_config(settings, tiny.SPACE, 10, shape, table)
    lacking = LatencyTable({part: 1.0 for part in parts if part.operation != "skip_connect"}, {}, "t.csv")
    with pytest.raises(
        UserError, match="latency_table is 't.csv', which has no row for skip_connect on 8x8x4"
    ):
        budget_lib.of_config(settings, tiny.SPACE, 10, shape, lacking)


def test_images_that_the_network_enlarges_cost_as_the_larger_ones():
    settings = tiny.config(selection__max_parameters=10**30, training__cells=2)
    space = spaces.get("nas_bench_201")
    small, large = (budget_lib.of_config(settings, space, 10, (8, side, 1)) for side in (6, 8))
    assert np.array_equal(small.costs.fixed, large.costs.fixed)
    assert budget_lib.of_config(tiny.config(), space, 10, (8, 6, 1)) is None


def test_of_a_table_the_content_matters_and_not_the_place(tmp_path):
    def stage(name, ms):
        path = tmp_path / name
        LatencyTable({NOTHING: ms}).write(path)
        settings = tiny.config(selection__max_latency_ms=1.0, selection__latency_table=str(path))
        return selection_stage(str(tmp_path), settings)

    stage("one.csv", 1.0).open()
    stage("two.csv", 1.0).check()
    with pytest.raises(UserError, match="selection.latency_table's sha256: "):
        stage("one.csv", 2.0).check()


@pytest.mark.parametrize("limit", [0, 10_000])
def test_a_selection_depends_on_the_networks_size_where_it_has_a_budget(tmp_path, limit):
    def stage(channels):
        settings = tiny.config(selection__max_multiply_adds=limit, training__channels=channels)
        return StageFolder(tmp_path, "selection/x", settings, ("selection",), depends.of_budget(settings))

    stage(4).open()
    stage(4).check()
    if limit:
        with pytest.raises(UserError, match="training.channels: 4 -> 5"):
            stage(5).check()
    else:
        stage(5).check()
