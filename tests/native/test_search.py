"""A search on native kernels: it continues bit for bit, and what ran is recorded."""

import dataclasses

import pytest

from tests.native import kernels
from tests.search import tiny
from tf_darts import stages
from tf_darts.native import choice
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop
from tf_darts.workdir import seconds
from tf_darts.workdir.records import read_json

SPACE = dataclasses.replace(tiny.SPACE, candidates={"normal": (("skip_connect", "dil_conv_3x3"),) * 3})


@pytest.fixture(autouse=True)
def there():
    kernels.or_skip()


def config(kind, **fields):
    return tiny.config(search__channels=16, runtime__kernels=kind, **fields)


def test_a_stopped_search_continues_as_if_it_had_not_been(tmp_path, monkeypatch):
    def search(folder):
        made = tiny.setup(config("native", runtime__checkpoint_minutes=0.0), SPACE)
        folder.mkdir(exist_ok=True)
        loop.run(made, folder)
        return made

    whole = search(tmp_path / "whole")
    assert whole.bilevel.supernet.kernels == choice.NATIVE
    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 3)
        search(tmp_path / "stopped")
    tiny.assert_equal(tiny.state(search(tmp_path / "stopped")), tiny.state(whole))


def test_what_ran_is_recorded_and_another_path_is_told(tmp_path, monkeypatch, capsys):
    def search(kind):
        return stages.search(tiny.run(config(kind, search__epochs=1), SPACE), tmp_path)

    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 1)
        search("auto")
    folder = tmp_path / "search"
    assert read_json(folder / "config.json")["kernels"] == "native"
    assert read_json(folder / seconds.NAME)["kernels"] == "native"
    capsys.readouterr()
    search("tensorflow")
    assert "other versions (kernels: 'native' -> 'tensorflow'): it continues" in capsys.readouterr().err
    assert read_json(folder / seconds.NAME)["kernels"] == "tensorflow"
