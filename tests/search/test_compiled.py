"""Search, selection and training with steps that XLA compiles: as without, and bit for bit after a kill."""

import dataclasses

import numpy as np
import pytest

from tests.search import compiled, tiny, two_cells
from tf_darts import stages
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.native import choice
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop
from tf_darts.selection import probe as probe_lib
from tf_darts.selection import select as selection_lib
from tf_darts.training import loop as training_loop
from tf_darts.training import setup as training_setup
from tf_darts.workdir import seconds
from tf_darts.workdir.records import read_json

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def space(*operations):
    candidates = {"normal": (("skip_connect", *operations),) * 3}
    return dataclasses.replace(
        tiny.SPACE, candidates=candidates, batch_norm_after=frozenset({"max_pool_3x3"})
    )


def search(folder, strategy=None, **fields):
    made = tiny.setup(tiny.config(search__epochs=2, **fields), tiny.SPACE, strategy)
    folder.mkdir(exist_ok=True)
    loop.run(made, folder)
    return made


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    return search(folder, compiled.one_device()), folder


def test_losses_of_the_same_seed_are_those_without(searched, tmp_path):
    plain = search(tmp_path)
    for ours, theirs in zip(tiny.state(searched[0]), tiny.state(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    ours, theirs = (tiny.rows(folder / "metrics.jsonl") for folder in (searched[1], tmp_path))
    for a, b in zip(ours, theirs, strict=True):
        for name in a.keys() & {"train_loss", "valid_loss", "evaluation/valid_loss"}:
            assert a[name] == pytest.approx(b[name], rel=1e-5)


# What XLA computes in another way: poolings, `noise` (its draws), depthwise and dilated convolutions. Of max
# pooling one step: equal pixels become unequal in their last bits, and then another one is the largest.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "operations"),
    [(1, ("max_pool_3x3", "avg_pool_3x3")), (5, ("sep_conv_3x3", "dil_conv_3x3")), (5, ("noise",))],
)
def test_every_operation_trains_as_without(steps, operations):
    states = []
    for strategy in (compiled.one_device(), tiny.one_device()):
        made = tiny.setup(tiny.config(search__channels=4), space(*operations), strategy)
        tiny.search_steps(made)[0](0, steps)
        states.append(tiny.state(made))
    for ours, theirs in zip(*states, strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.slow
def test_a_stopped_search_continues_as_if_it_had_not_been(searched, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 3)
        search(tmp_path, compiled.one_device(), runtime__checkpoint_minutes=0.0)
    made = search(tmp_path, compiled.one_device(), runtime__checkpoint_minutes=0.0)
    tiny.assert_equal(tiny.state(made), tiny.state(searched[0]))
    assert (tmp_path / "metrics.jsonl").read_text() == (searched[1] / "metrics.jsonl").read_text()


def select(searched, folder, strategy=None):
    made = tiny.setup(tiny.config(), tiny.SPACE, strategy)
    folder.mkdir(exist_ok=True)
    return made, selection_lib.run(made, searched, folder)


@pytest.mark.slow
def test_a_selection_decides_as_without_and_continues(searched, tmp_path, monkeypatch):
    made, genotype = select(searched[1], tmp_path / "compiled", compiled.one_device())
    assert genotype == select(searched[1], tmp_path / "plain")[1]
    ours, theirs = (tiny.rows(tmp_path / name / "decisions.jsonl") for name in ("compiled", "plain"))
    for a, b in zip(ours, theirs, strict=True):
        if a["kind"] == "operation":
            for probe, other in zip(a["probes"], b["probes"], strict=True):
                assert probe["loss"] == pytest.approx(other["loss"], rel=1e-3)
    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 4)
        select(searched[1], tmp_path / "stopped", compiled.one_device())
    again, _ = select(searched[1], tmp_path / "stopped", compiled.one_device())
    tiny.assert_equal(tiny.state(again), tiny.state(made))
    names = ("decisions.jsonl", "metrics.jsonl", "genotype.json")
    for name in names:
        assert (tmp_path / "stopped" / name).read_text() == (tmp_path / "compiled" / name).read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_training_is_as_without(tmp_path):
    settings = tiny.config(training__epochs=1)
    genotype = Genotype("tiny", {"normal": (Choice(3, 0, "sep_conv_3x3"), Choice(3, 1, "dil_conv_3x3"))})
    of = space("sep_conv_3x3", "dil_conv_3x3")
    results = []
    for name, strategy in (("compiled", compiled.one_device()), ("plain", tiny.one_device())):
        made = training_setup.make(settings, of, genotype, tiny.data(settings), strategy)
        (tmp_path / name).mkdir()
        results.append(training_loop.run(made, tmp_path / name, "test"))
    assert results[0]["test_loss"] == pytest.approx(results[1]["test_loss"], rel=1e-4)
    rows = [tiny.rows(tmp_path / name / "metrics.jsonl") for name in ("compiled", "plain")]
    for a, b in zip(*rows, strict=True):
        assert a.get("train_loss", 0) == pytest.approx(b.get("train_loss", 0), rel=1e-4)


@pytest.mark.slow
def test_what_ran_is_recorded_and_native_kernels_make_way(tmp_path, monkeypatch, capsys):
    def run(strategy, **fields):
        given = tiny.run(tiny.config(search__epochs=1, search__channels=16, **fields), tiny.SPACE)
        given.strategy = strategy
        return stages.search(given, tmp_path)

    with monkeypatch.context() as patch, pytest.raises(tiny.StoppedError):
        tiny.stop_at_call(patch, Progress, "update", 1)
        run(compiled.one_device())
    for name in ("config.json", seconds.NAME):
        recorded = read_json(tmp_path / "search" / name)
        assert recorded["xla"] == "on" and recorded["kernels"] == choice.TENSORFLOW
    capsys.readouterr()
    run(tiny.one_device())
    # Before it stand kernels, where there are any.
    assert "xla: 'on' -> 'off'): it continues" in capsys.readouterr().err
    assert read_json(tmp_path / "search" / seconds.NAME)["xla"] == "off"


@pytest.mark.slow
def test_probes_and_decisions_trace_nothing_anew(monkeypatch):
    made, traces, removals = (
        two_cells.setup(compiled.one_device(), search__cells=3),
        [],
        [(0, 0), (0, 1), (1, 3)],
    )
    probe_logits = probe_lib.probe_logits

    def counted(*arguments, **keywords):
        traces.append(None)
        return probe_logits(*arguments, **keywords)

    monkeypatch.setattr(probe_lib, "probe_logits", counted)
    prober = probe_lib.Prober(made, made.valid)
    first = prober.score("normal", removals, 0)
    assert len(traces) == 2  # full batches and the short one
    made.bilevel.architecture.decide_operation("normal", 0, 3)
    second = prober.score("normal", [(1, None), (1, 1)], 1)
    assert len(traces) == 2 and first[0].loss != second[0].loss
    plain = two_cells.setup(search__cells=3)
    monkeypatch.undo()
    theirs = probe_lib.Prober(plain, plain.valid).score("normal", removals, 0)
    for a, b in zip(first, theirs, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-5)
