"""What TensorBoard gets of a search: everything once, however often it was stopped; and nothing changes."""

import pytest

from tests.search import tiny
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop, pictures
from tf_darts.workdir import events
from tf_darts.workdir.checkpoints import Checkpoints


def search(folder, **fields):
    folder.mkdir(exist_ok=True)
    made = tiny.setup(tiny.config(**fields))
    loop.run(made, folder)
    return made


def shown(folder):
    """Every value of the events: tag, step and content."""
    return sorted(
        (v.tag, event.step, v.tensor.SerializeToString())
        for event in events.read(folder)
        for v in event.summary.value
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    return search(folder, runtime__tensorboard=True), folder


def test_every_epoch_is_shown_once(searched):
    found = [(tag, step) for tag, step, _ in shown(searched[1])]
    assert len(set(found)) == len(found)
    ends = {step for tag, step in found if tag == "search/skip_share"}
    assert len(ends) == 3
    for tag in ("search/cell/normal", "search/alpha/normal", "search/mixing_weights/normal"):
        assert {step for name, step in found if name == tag} == {min(ends), max(ends)}
    for tag in (
        "search_alpha/normal",
        "search_mixing_weights/normal",
        "search_alpha/normal/3<-0/skip_connect",
    ):
        assert {step for name, step in found if name == tag} == ends
    assert {("search/command", 0), ("search/config", 0), ("custom_scalars__config__", 0)} <= set(found)


def test_it_changes_no_result(searched, tmp_path):
    made = search(tmp_path / "without")
    tiny.assert_equal(tiny.state(made), tiny.state(searched[0]))
    for name in ("metrics.jsonl", "result.json"):
        assert (tmp_path / "without" / name).read_text() == (searched[1] / name).read_text()
    assert not list((tmp_path / "without").glob("events*"))


@pytest.mark.parametrize(
    ("owner", "method", "call"),
    [
        pytest.param(Progress, "update", 3, marks=pytest.mark.slow),  # inside epoch 1
        (Checkpoints, "save", 2),  # events of epoch 1 are written, its checkpoint is not
        # Between the numbers and the pictures of epoch 2.
        pytest.param(pictures, "draw_mixture", 2, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_search_shows_the_same(searched, tmp_path, monkeypatch, owner, method, call):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            search(tmp_path, runtime__tensorboard=True)
    search(tmp_path, runtime__tensorboard=True)
    assert shown(tmp_path) == shown(searched[1])


@pytest.mark.parametrize("number", [1, 2, 9, 10, 11, 80])
@pytest.mark.parametrize(("steps", "most"), [(0, 2), (700, 3), (1120, 5), (19550, 10)])
def test_moments_are_few_and_reach_the_end(number, steps, most):
    found = pictures.moments(number, steps)
    assert len(found) == min(number, most) and {0, number - 1} <= found
