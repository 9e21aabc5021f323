"""SIGTERM in the middle of each stage: it saves, ends, and continues to the results of an undisturbed run."""

import os
import signal

import pytest

from tests.search import tiny
from tests.training import test_loop as training
from tf_darts.runtime import preemption
from tf_darts.search import loop as search_loop
from tf_darts.selection import select as selection_lib
from tf_darts.selection.probe import Prober
from tf_darts.workdir.metrics import Metrics

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(autouse=True)
def watched():
    """As in a program; afterwards as before."""
    before = signal.getsignal(signal.SIGTERM)
    preemption.watch()
    yield
    preemption._asked.clear()
    signal.signal(signal.SIGTERM, before)


def search(folder):
    made = tiny.setup(tiny.config(search__evaluate_every=0))
    search_loop.run(made, folder)
    return tiny.state(made)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    search(folder)
    return folder


def interrupted(monkeypatch, stage, folder, owner, name, number):
    """The result of a stage that got SIGTERM at a call of this number, ended, and was started again."""
    with monkeypatch.context() as patch:
        method, calls = getattr(owner, name), []

        def signalled(*arguments, **keywords):
            calls.append(None)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGTERM)
            return method(*arguments, **keywords)

        patch.setattr(owner, name, signalled)
        with pytest.raises(SystemExit) as end:
            stage(folder)
    assert end.value.code == 143 and len(calls) in (number, number + 1)
    preemption._asked.clear()
    return stage(folder)


def rows(folder):
    return {path.name: path.read_text() for path in folder.glob("*.jsonl")}


# In the middle of the first epoch, and at its end.
@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_search(searched, tmp_path, monkeypatch, number):
    state = interrupted(monkeypatch, search, tmp_path, Metrics, "steps", number)
    tiny.assert_equal(state, search(searched))  # of what is finished this is the last checkpoint
    assert rows(tmp_path) == rows(searched)


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "name", "number"), [(Metrics, "steps", 3), (Prober, "seen", 2)])
def test_selection(searched, tmp_path, monkeypatch, owner, name, number):
    def select(folder):
        folder.mkdir(exist_ok=True)
        made = tiny.setup(tiny.config(selection__compact=False))
        return selection_lib.run(made, searched, folder), tiny.state(made)

    genotype, whole = select(tmp_path / "whole")
    found, state = interrupted(monkeypatch, select, tmp_path / "stopped", owner, name, number)
    assert found == genotype
    tiny.assert_equal(state, whole)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


def test_training(tmp_path, monkeypatch):
    def train(folder):
        made, result = training.train(folder, data__limit_train=32)  # four full batches
        return training.state(made), result

    whole, result = train(tmp_path / "whole")
    state, found = interrupted(monkeypatch, train, tmp_path / "stopped", Metrics, "steps", 3)
    tiny.assert_equal(state, whole)
    assert found == result and rows(tmp_path / "stopped") == rows(tmp_path / "whole")


@pytest.mark.parametrize(("together", "status"), [(0.0, -signal.SIGTERM), (60.0, 0)])
def test_a_second_sigterm_ends_at_once_unless_it_is_the_same_request(monkeypatch, together, status):
    monkeypatch.setattr(preemption, "TOGETHER", together)
    child = os.fork()
    if not child:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
