"""Progressive shrinking: what is kept computes what it did, and stages follow each other."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.errors import UserError
from tf_darts.layers import operations
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import apply_operation
from tf_darts.models.widen import copied, widened
from tf_darts.registry import METHODS
from tf_darts.search import loop, progressive
from tf_darts.search import setup as search_setup
from tf_darts.search.replay import of_epochs
from tf_darts.selection import select as selection_lib
from tf_darts.workdir import search_stages

NAMES = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3")
SPACE = dataclasses.replace(tiny.SPACE, candidates={"normal": (NAMES,) * 3})
FIELDS = {
    "search__method": "drnas_progressive",
    "search__channels": 4,
    "search__epochs": 1,
    "search__evaluate_every": 0,
    "progressive__operations": (3, 2),
}
OPERATIONS = (
    *("skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "dil_conv_5x5"),
    *("nor_conv_3x3", "conv_7x1_1x7"),
)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_widened_operation_gives_copies_of_what_it_gave(name, stride):
    narrow, wide = (operations.make(name, c, stride, affine=False, seed=3) for c in (4, 8))
    for old, new in zip(narrow.variables, wide.variables, strict=True):
        noise = np.random.default_rng(len(old.shape)).normal(size=old.shape)
        old.assign(np.abs(noise) if "variance" in old.path else noise)  # running statistics too
        new.assign(widened(old.numpy(), tuple(new.shape)))
    x = np.random.default_rng(1).normal(size=(3, 8, 8, 4)).astype(np.float32)
    for training in (False, True):
        before, after = (
            apply_operation(operation, NodeOutput(tf.constant(images)), training=training).numpy()
            for operation, images in ((narrow, x), (wide, np.repeat(x, 2, -1)))
        )
        np.testing.assert_allclose(after, np.repeat(before, 2, -1), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(("shape", "wanted"), [((4,), (3,)), ((4, 2), (2, 4)), ((1, 2, 2), (2, 4, 4))])
def test_what_cannot_be_widened_is_refused(shape, wanted):
    with pytest.raises(UserError, match=r"variable w of shape .* cannot be widened to"):
        widened(np.zeros(shape), wanted, "w")


def test_channels_need_not_grow_a_whole_number_of_times():
    """As from a sixth of 36 channels to a fourth: 6 to 9."""
    assert copied(6, 9).tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 5]
    kernel, x = np.random.default_rng(0).normal(size=(6, 6)), np.random.default_rng(1).normal(size=(5, 6))
    before, copies = x @ kernel, copied(6, 9)
    np.testing.assert_allclose(x[:, copies] @ widened(kernel, (9, 9)), before[:, copies], rtol=1e-12)


def checked(**fields):
    settings = tiny.config(**(FIELDS | fields))
    return search_setup.check(settings, SPACE, tiny.data(settings), 1)


def made(given, method=None):
    method = given.method if method is None else method
    return search_setup.make(dataclasses.replace(given, method=method), tiny.one_device())


def search(folder, **fields):
    given = checked(**fields)
    last = made(given)
    folder.mkdir(exist_ok=True)
    progressive.prepare(last, folder, lambda method: made(given, method))
    loop.run(last, folder)
    return last


def test_a_stage_begins_with_what_the_one_before_has_found():
    given = checked()
    (first,) = given.method.earlier()
    assert (first.partial_channels, given.method.partial_channels) == (4, 2)
    before, after = made(given, first), made(given)
    alpha = np.float32([[3, 1, 2], [0, 0, -1], [-5, 4, 5]])
    before.bilevel.architecture.alpha["normal"].assign(alpha)
    (moment,) = before.bilevel.alpha_optimizer.first
    moment.assign(2 * alpha)
    progressive.hand_over(before, after)
    architecture = after.bilevel.architecture
    assert np.array_equal(architecture.alpha["normal"], alpha)
    assert not architecture.edge_alpha  # as in the authors' code
    assert np.array_equal(after.bilevel.alpha_optimizer.first[0], 2 * alpha)  # which goes on
    assert architecture.open_operations["normal"].numpy().tolist() == [
        [True, False, True],
        [True, True, False],  # of equal ones the first
        [False, True, True],
    ]
    narrow, wide = (made.bilevel.supernet for made in (before, after))
    for old, new in zip(keras.Model.variables.fget(narrow), keras.Model.variables.fget(wide), strict=True):
        np.testing.assert_array_equal(new.numpy(), widened(old.numpy(), tuple(new.shape)))
    for part in ("stem", "head"):  # which are as they were
        old, new = (getattr(s.body, part, None) or getattr(s, part) for s in (narrow, wide))
        assert [v.shape for v in old.variables] == [v.shape for v in new.variables]


def test_the_search_goes_on_from_stage_to_stage(tmp_path):
    given, last = checked(), search(tmp_path / "search")
    assert (tmp_path / "search" / "stage_1" / "result.json").exists()
    rows = [tiny.rows(tmp_path / "search" / name / "metrics.jsonl") for name in ("stage_1", ".")]
    assert all(row["train_loss"] > 0 for row in (rows[0][0], rows[1][0]))
    is_open = last.bilevel.architecture.open_operations["normal"].numpy()
    assert is_open.sum(1).tolist() == [2, 2, 2]
    weights = last.bilevel.architecture.current_weights()["normal"]
    assert not weights[:, :3][~is_open].any()
    # What is recorded is of both, counted through, and tells which operations were left.
    found = search_stages.rows(tmp_path / "search")
    steps = [row["step"] for row in found if "finished_epoch" not in row]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) == sum(
        "finished_epoch" not in row for own in rows for row in own
    )
    epochs = [row for row in found if "finished_epoch" in row]
    assert [(row["finished_epoch"], row["stage"]) for row in epochs] == [(0, 1), (1, 2)]
    assert {row["epoch"] for row in found[-2:] if "epoch" in row} == {1}
    replayed = of_epochs(given.config, SPACE, epochs, [])
    np.testing.assert_array_equal(replayed[2]["normal"], weights)
    assert replayed[1]["normal"][:, :3].all()
    # A selection looks at what is left, and at nothing else.
    (tmp_path / "selected").mkdir()
    fields = FIELDS | {"selection__interval": 0, "selection__compact": False}
    selecting = made(checked(**fields))
    selection_lib.run(selecting, tmp_path / "search", tmp_path / "selected")
    decided = [
        row for row in tiny.rows(tmp_path / "selected" / "decisions.jsonl") if row["kind"] == "operation"
    ]
    assert len(decided) == 3
    for row in decided:
        left = [NAMES[o] for o in np.flatnonzero(is_open[row["edge"]])]
        assert [probe["operation"] for probe in row["probes"]] == left and row["chosen"] in left


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 3, 5])
def test_the_same_when_it_is_killed_in_any_stage(tmp_path, monkeypatch, calls):
    fields = {"search__epochs": 2, "runtime__checkpoint_minutes": 0.0}
    whole = search(tmp_path / "whole", **fields)
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, loop._Compiled, "__call__", calls)
        with pytest.raises(tiny.StoppedError):
            search(tmp_path / "stopped", **fields)
    tiny.assert_equal(tiny.state(whole), tiny.state(search(tmp_path / "stopped", **fields)))


def test_largest_keeps_only_what_is_open():
    weights = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    is_open = np.array([[False, True, True], [False, True, False]])
    kept = progressive.largest(weights, is_open, 2)
    assert kept.tolist() == [[False, True, True], [False, True, False]]
    alone = progressive.largest(weights, np.ones((2, 3), bool), 1)
    assert alone.tolist() == [[True, False, False], [False, True, False]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"progressive__partial_channels": (4, 4)},
            r"channels is \(4, 4\); allowed: each larger",
        ),
        ({"progressive__partial_channels": (2, 4)}, "allowed: each larger than the next"),
        ({"progressive__partial_channels": ()}, "allowed: at least one stage"),
        ({"progressive__partial_channels": (2, 1)}, "allowed: at least 2"),
        ({"progressive__operations": (3,)}, "allowed: as many as partial_channels, 2"),
        ({"progressive__operations": (2, 2)}, "allowed: each fewer"),
    ],
)
def test_stages_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        tiny.config(**(FIELDS | fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"early_stopping__window": 2}, "early_stopping.window is 2 with .* a set length; allowed: 0"),
        ({"search__channels": 6}, r"a multiple of each of progressive.partial_channels, \(4, 2\)"),
        ({"progressive__operations": (2, 1)}, "in space 'tiny': at least 3 first, all that an edge has"),
        ({"progressive__operations": (9, 3)}, "then fewer than 3"),
    ],
)
def test_what_does_not_suit_the_stages_is_refused_before_any_work(fields, message):
    with pytest.raises(UserError, match=message):
        checked(**fields)


def test_one_schedule_goes_over_all_stages(tmp_path):
    search(tmp_path / "search", search__epochs=2, search__learning_rate_min=0.0)
    rates = [
        row["learning_rate"] for row in search_stages.rows(tmp_path / "search") if "finished_epoch" not in row
    ]
    expected = 0.025 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2
    np.testing.assert_allclose(list(dict.fromkeys(rates)), expected, rtol=1e-5)


def test_what_is_frozen_stays_so_in_the_next_stage():
    given = checked(search__parts=("frozen_operations",))
    (first,) = given.method.earlier()
    before, after = made(given, first), made(given)
    for stage in (before, after):
        stage.method.begin(stage.bilevel)
    frozen = before.method.parts["frozen_operations"].state.frozen
    frozen.assign(np.arange(frozen.shape[0]) % 2)
    progressive.hand_over(before, after)
    kept = after.method.parts["frozen_operations"].state.frozen.numpy()
    assert kept.any() and np.array_equal(kept, frozen)


def test_any_sampler_may_shrink():
    settings = tiny.config(**FIELDS | {"search__method": "darts"}, search__parts=("gumbel", "progressive"))
    method = METHODS.load("darts")(settings, SPACE)
    assert (method.searches, method.stage, method.partial_channels, method.operations) == (2, 1, 2, 2)
