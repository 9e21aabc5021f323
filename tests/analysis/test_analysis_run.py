"""What the function of an analysis says of itself: the fields that it reads, and that it needs no search."""

import pytest

from tests.analysis import made
from tests.search import tiny
from tf_darts.analysis import analyses
from tf_darts.errors import UserError
from tf_darts.registry import ANALYSES


@pytest.fixture
def own(registries):
    """Register an analysis; return its function."""

    def own(run):
        run.leave({"draws": run.config.analysis.draws}, figures={})
        return f"{run.config.analysis.draws} draws"

    return ANALYSES.register("own", own)


def again(workdir, **fields):
    return made.study("own", workdir, **fields)


def test_a_field_that_is_read_may_not_change(own, tmp_path):
    own.reads = ("analysis.draws",)
    own(again(tmp_path))
    own(again(tmp_path, analysis__batches=3))
    with pytest.raises(UserError, match=r"another config: analysis\.draws: 5 -> 6\."):
        again(tmp_path, analysis__draws=6)


def test_a_field_that_is_not_read_may_change(own, tmp_path):
    own(again(tmp_path))
    own(again(tmp_path, analysis__draws=6))


def test_what_the_search_depends_on_counts_anyhow(own, tmp_path):
    own.reads = ("search.epochs", "seed")
    own(again(tmp_path))
    own(again(tmp_path))
    with pytest.raises(UserError, match=r"another config: search\.cells: 1 -> 2\."):
        again(tmp_path, search__cells=2)


def test_without_a_search_its_fields_may_change(own, tmp_path):
    own.needs_no_search = True
    own(again(tmp_path))
    own(again(tmp_path, search__cells=2))


def test_an_unknown_field_is_an_error(own, tmp_path):
    own.reads = ("analysis.draw",)
    with pytest.raises(UserError, match=r"own: reads has 'analysis\.draw'; did you mean analysis\.draws\?"):
        again(tmp_path)


def test_only_what_needs_no_search_is_prepared_without_one(own, tmp_path):
    with pytest.raises(UserError, match="holds no finished search"):
        analyses.prepare(["own"], str(tmp_path), tiny.config(), None)
    own.needs_no_search = True
    (run,) = analyses.prepare(["own"], str(tmp_path), tiny.config(), None).values()
    assert own(run) == "5 draws"
