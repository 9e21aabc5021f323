"""Probes by running statistics, as they are or estimated anew, against whole passes one by one."""

import pytest
import tensorflow as tf

from tests.probe_masks import ProbeMasks
from tests.search import tiny, two_cells
from tests.selection.one_by_one import EDGES, assert_equal, operations
from tf_darts.data.batches import of_passes
from tf_darts.errors import UserError
from tf_darts.search import loop
from tf_darts.selection import darts_pt, recalibrated_prober
from tf_darts.selection import select as selection_lib
from tf_darts.selection.probe import Prober
from tf_darts.selection.recalibrated_prober import RecalibratedProber

BATCHES = 3


@pytest.fixture(scope="module")
def setup():
    """A supernet whose running statistics are those of some batches, not those that it starts with."""
    made = two_cells.setup(
        selection__probe_statistics="recalibrated", selection__recalibration_batches=BATCHES
    )
    for number in range(8):
        made.bilevel.forward(train_batch(made, number), True)
    return made


def train_batch(made, number):
    """The full batches of pass after pass, numbered through; of 20 images the last 4 are left out."""
    assert made.train.size == 20
    place = number // 2 * 3 + number % 2
    purpose = recalibrated_prober.PURPOSE
    return of_passes(made.train, purpose, 8, 8, 1, True)(tf.constant(place), tf.constant(0))[0]


def statistics(made):
    return [v.numpy() for v in made.bilevel.supernet.variables if not v.trainable]


@pytest.mark.parametrize(("cell_type", "removals"), [("normal", operations(3, 4)), ("reduce", EDGES)])
def test_running_statistics_score_as_an_evaluation_does(setup, cell_type, removals):
    before = statistics(setup)
    scores = Prober(setup, setup.valid, running=True).score(cell_type, removals, 1)
    masks, evaluate = ProbeMasks(setup.bilevel.architecture), setup.evaluator
    evaluate = evaluate(setup.valid, "selection/probe", False, True, setup.probe_batch)
    expected = []
    for removal in removals:
        masks.probe(cell_type, *removal)
        expected.append(evaluate(1))
    masks.end()
    assert_equal(scores, expected)
    tiny.assert_equal(statistics(setup), before)
    by_batch = Prober(setup, setup.valid).score(cell_type, removals, 1)
    assert all(abs(a.loss - b.loss) > 1e-3 for a, b in zip(scores, by_batch, strict=True))


def test_recalibrated_statistics_are_those_of_training_without_what_is_removed(setup):
    cell_type, removals, pass_index = "normal", operations(3, 4), 2
    before = statistics(setup)
    prober = RecalibratedProber(setup, setup.valid)
    found, whole = prober.score_beside_whole(cell_type, removals, pass_index)
    tiny.assert_equal(statistics(setup), before)  # they are put back

    masks, expected = ProbeMasks(setup.bilevel.architecture), []
    evaluate = setup.evaluator(setup.valid, "selection/probe", False, True, setup.probe_batch)
    for removal in [*removals, None]:
        masks.end()
        if removal is not None:
            masks.probe(cell_type, *removal)
        for number in range(pass_index * BATCHES, (pass_index + 1) * BATCHES):
            setup.bilevel.forward(train_batch(setup, number), True)
        expected.append(evaluate(pass_index))
        for variable, value in zip(
            [v for v in setup.bilevel.supernet.variables if not v.trainable], before, strict=True
        ):
            variable.assign(value)
    masks.end()
    assert_equal([seen.score() for seen in (*found, whole)], expected)
    again = prober.score(cell_type, removals, pass_index)
    assert again == [seen.score() for seen in found] != prober.score(cell_type, removals, 0)


def test_many_batches_forget_the_statistics_that_were_there(setup):
    """After many batches it does not matter from which running statistics they began."""
    prober, before = RecalibratedProber(setup, setup.valid), statistics(setup)
    running = Prober(setup, setup.valid, running=True)
    prober._batches = 150
    first, other = prober.score("reduce", EDGES[:1], 0)[0], []
    variables = [v for v in setup.bilevel.supernet.variables if not v.trainable]
    for variable in variables:
        variable.assign(3.0 * variable.numpy() + 1.0)
    for by in (prober, running):
        other.append(by.score("reduce", EDGES[:1], 0)[0])
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    assert other[0].loss == pytest.approx(first.loss, rel=1e-4)
    assert abs(other[1].loss - first.loss) > 1e-2


@pytest.mark.parametrize("statistics_of", ["running", "recalibrated"])
def test_a_selection_decides_by_them(tmp_path, statistics_of):
    searched = tmp_path / "searched"
    searched.mkdir()
    loop.run(tiny.setup(tiny.config(search__epochs=1, search__evaluate_every=0)), searched)
    fields = {"selection__interval": 0, "selection__compact": False}
    made = tiny.setup(tiny.config(selection__probe_statistics=statistics_of, **fields))
    selection_lib.run(made, searched, tmp_path)
    prober = darts_pt._prober(made)
    assert isinstance(prober, Prober if statistics_of == "running" else RecalibratedProber)
    rows = tiny.rows(tmp_path / "decisions.jsonl")
    again = tiny.setup(tiny.config(selection__probe_statistics=statistics_of, **fields))
    selection_lib._load(again, searched)
    first = rows[0]
    scores = darts_pt._prober(again).score("normal", [(first["edge"], o) for o in range(2)], 0)
    assert [probe["loss"] for probe in first["probes"]] == [score.loss for score in scores]


def test_there_is_no_race_of_recalibrated_probes():
    fields = {"selection__probe_statistics": "recalibrated", "selection__racing_confidence": 0.95}
    message = "^config: selection.racing_confidence is 0.95 with selection.probe_statistics 'recalibrated'"
    with pytest.raises(UserError, match=message):
        tiny.config(**fields)
    assert tiny.config(**(fields | {"selection__probe_statistics": "running"}))
