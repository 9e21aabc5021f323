"""A whole run on own images that stops at any of its places, continues and ends as if it had not stopped."""

import pathlib

import pytest

from tests.faults import small
from tests.own_images import short
from tf_darts import api
from tf_darts.export import build, card
from tf_darts.own_images import find, plan
from tf_darts.whole_way import rivals, whole_run
from tf_darts.workdir.metrics import Metrics

pytestmark = [pytest.mark.usefixtures("no_pictures", "short_runs"), pytest.mark.slow]

# Where a run stops: an object, its function, at which call, and whether before or after it.
PLACES = {
    "the plan is made, nothing is written": (plan.Plan, "write", 1, "before"),
    "the plan is written": (plan.Plan, "write", 1, "after"),
    "in the search": (Metrics, "epoch", 1, "after"),
    "searched": (find.whole_run, "select", 1, "before"),
    "selected": (find.whole_run, "select", 1, "after"),
    "the training is planned, its plan is not written": (plan.Plan, "write", 2, "before"),
    "its plan is written": (plan.Plan, "write", 2, "after"),
    "in the training": (Metrics, "epoch", 3, "after"),
    "trained": (rivals, "train", 1, "before"),
    "the random cell is drawn": (rivals, "_random_cell", 1, "after"),
    "in the residual network": (Metrics, "epoch", 9, "after"),
    "rivals are trained": (build, "export", 1, "before"),
    "exported": (build, "export", 1, "after"),
    "concluded": (whole_run, "conclude", 1, "after"),
}


def run(workdir: pathlib.Path) -> dict[str, bytes]:
    """Run, or go on; return how it ends, without files that tell times or where the images are."""
    api.find((short.IMAGES, short.LABELS), budget=short.BUDGET, config=short.CONFIG, workdir=workdir)
    found = small.results(workdir)
    kept = ("search/", "selection/", "training/")
    assert {name for name in found if name.startswith("export/")}
    told = ("config.json", "SHA256SUMS")
    return {n: content for n, content in found.items() if n.startswith(kept) and not n.endswith(told)}


@pytest.fixture(scope="module", autouse=True)
def quick_export(short_runs):
    """Write a card alone: exporting, and reading back in another process, would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:

        def export(trained, data, folder, say):
            folder.mkdir(parents=True)
            (folder / card.JSON).write_text("{}")

        patch.setattr(build, "export", export)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, short_runs):
    return run(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("place", PLACES)
def test_it_goes_on_from_where_it_stopped(place, undisturbed, tmp_path, monkeypatch):
    owner, name, at, when = PLACES[place]
    real, calls = getattr(owner, name), []

    def stopping(*arguments, **keywords):
        calls.append(name)
        if len(calls) == at and when == "before":
            raise KeyboardInterrupt
        done = real(*arguments, **keywords)
        if len(calls) == at:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopping)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert len(calls) == at
    assert not small.differences(run(tmp_path), undisturbed)
