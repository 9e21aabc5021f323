"""Whole selections within a budget, and budgets that are refused before one begins."""

import numpy as np
import pytest

from tests.search import tiny
from tf_darts import spaces
from tf_darts.config import depends
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models import budget as budget_lib
from tf_darts.models import cost
from tf_darts.models.budget import Budget
from tf_darts.models.genotype_costs import GenotypeCosts
from tf_darts.models.network import Network, count_parameters
from tf_darts.registry import SELECTIONS
from tf_darts.search import loop as search_loop
from tf_darts.search import setup as search_setup
from tf_darts.selection import select as selection_lib
from tf_darts.workdir.stage_folder import StageFolder


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    search_loop.run(tiny.setup(tiny.config(search__epochs=1, search__evaluate_every=0)), folder)
    return folder


def size_of(genotype):
    """Parameters and multiply-adds of the network that `tiny.config` trains."""
    network = Network(tiny.SPACE, genotype, 4, 1, 10, channels_in=1)
    return count_parameters(network), cost.multiply_adds(network, (8, 8, 1))


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
    ],
    ids=str,
)
def test_a_selection_keeps_to_the_budget(searched, tmp_path, limited, fields):
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
    assert ("refused" in str(rows)) == (fields["method"] == "perturbation")


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


@pytest.mark.parametrize("limited", [0, 1], ids=depends.BUDGET_FIELDS)
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


def test_images_that_the_network_cannot_halve_are_refused():
    settings = tiny.config(selection__max_parameters=10**30, training__cells=2)
    space = spaces.get("nas_bench_201")
    assert budget_lib.of_config(settings, space, 10, (8, 8, 1)) is not None
    with pytest.raises(UserError, match="images are 8x6"):
        budget_lib.of_config(settings, space, 10, (8, 6, 1))
    assert budget_lib.of_config(tiny.config(), space, 10, (8, 6, 1)) is None


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
