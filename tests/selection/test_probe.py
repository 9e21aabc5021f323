"""Probes, many at a time and from a shared start, against whole passes of the supernet one by one."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.probe_masks import ProbeMasks
from tests.search import tiny, two_cells
from tests.selection.one_by_one import EDGES, OneByOne, assert_equal, operations
from tf_darts.selection import probe
from tf_darts.selection.probe import Prober
from tf_darts.selection.race import Race

NOISY = (("noise", "nor_conv_1x1"),) * 5


@pytest.fixture(scope="module")
def setup():
    return two_cells.setup()


@pytest.fixture(scope="module")
def prober(setup):
    return Prober(setup, setup.valid)


@pytest.fixture(scope="module")
def one_by_one(setup):
    return OneByOne(setup)


@pytest.mark.parametrize(
    ("cell_type", "removals", "pass_index"),
    [
        ("normal", operations(3, 4), 0),
        ("reduce", operations(0, 3), 5),
        ("normal", EDGES, 2),
        ("reduce", EDGES, 1),
        ("reduce", [(4, 1)], 3),
    ],
)
def test_probes_score_as_whole_passes_one_by_one(prober, one_by_one, cell_type, removals, pass_index):
    scores = prober.score(cell_type, removals, pass_index)
    expected = one_by_one(cell_type, removals, pass_index)
    assert {s.images for s in scores} == {19}  # the short last batch is there
    if len(removals) > 1:
        assert_equal(scores, expected)
    else:
        assert scores[0].correct == expected[0].correct
        assert scores[0].loss == pytest.approx(expected[0].loss, rel=1e-6)


def test_another_pass_sees_other_images(prober):
    first, same, other = (prober.score("reduce", EDGES, pass_index) for pass_index in (0, 0, 1))
    assert first == same and first != other


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
def test_probes_among_decisions_score_as_whole_passes(compact):
    made = two_cells.setup(selection__augment_probes=False)
    architecture = made.bilevel.architecture
    for edge, operation in ((0, 0), (1, 1), (2, 3), (4, 2)):
        architecture.decide_operation("normal", edge, operation)
    architecture.decide_operation("reduce", 2, 2)
    architecture.remove_edges("reduce", [3])
    cases = [("normal", EDGES), ("normal", operations(3, 4)), ("reduce", EDGES), ("reduce", operations(1, 3))]
    one_by_one = OneByOne(made)
    expected = [one_by_one(*case, 1) for case in cases]
    if compact:
        architecture.compact()
    prober = Prober(made, made.valid)
    for case, scores in zip(cases, expected, strict=True):
        assert_equal(prober.score(*case, 1), scores)


def test_fewer_images_are_the_first_ones(setup):
    first = setup.valid.first(5)
    prober = Prober(setup, first)
    evaluate, masks = (
        setup.evaluator(first, "selection/probe", True, True),
        ProbeMasks(setup.bilevel.architecture),
    )
    masks.probe("normal", 1, 3)
    expected = evaluate(0)
    masks.end()
    (score,) = prober.score("normal", [(1, 3)], 0)
    assert (score.correct, score.images) == (expected.correct, 5)
    assert score.loss == pytest.approx(expected.loss, rel=1e-6)


def test_probes_leave_everything_as_it_is(setup, prober):
    before = tiny.state(setup)
    prober.score("normal", EDGES, 0)
    prober.score("reduce", operations(1, 3), 1)
    tiny.assert_equal(tiny.state(setup), before)


def test_nothing_is_traced_again_for_another_probe_or_decision(monkeypatch):
    made, traces = two_cells.setup(search__cells=3), []
    probe_logits = probe.probe_logits

    def counted(supernet, cell_type, *arguments, **keywords):
        traces.append(cell_type)
        return probe_logits(supernet, cell_type, *arguments, **keywords)

    monkeypatch.setattr(probe, "probe_logits", counted)
    architecture, prober = made.bilevel.architecture, Prober(made, made.valid)
    prober.score("normal", operations(2, 4), 0)
    assert traces == ["normal"] * 2  # full batches and the short one
    architecture.decide_operation("normal", 2, 1)
    prober.score("normal", operations(3, 2), 7)
    architecture.decide_operation("normal", 0, 1)
    architecture.remove_edges("normal", [4])
    prober.score("normal", EDGES, 8)
    assert traces == ["normal"] * 2
    prober.score("reduce", operations(2, 3), 9)
    assert traces == ["normal", "normal", "reduce", "reduce"]
    prober.score("reduce", EDGES, 1)
    prober.score("normal", operations(0, 4), 1)  # into another node
    assert len(traces) == 6
    prober.score("normal", operations(1, 4), 1)
    prober.score("normal", EDGES, 1)
    assert len(traces) == 6


def test_batches_are_told_after_each_call(prober):
    told = []
    prober.score("reduce", operations(0, 3), 0, each_call=told.append)
    assert told == [2 * 3, 1 * 3]  # two batches in a call, then the short one
    prober.score("reduce", [(1, 1)], 0, each_call=told.append)
    assert told[2:] == [2, 1]


class Script:
    """A race in which who stays is written down; keeps what it was asked."""

    def __init__(self, criterion, *stay):
        self.criterion, self.stay, self.asked, self.looks = criterion, list(stay), [], []

    def left_in(self, values, looks):
        self.asked.append(values)
        self.looks.append(looks)
        return self.stay.pop(0)


def by_image(cell_type, removal):
    """Hits and losses of each of the first 16 images of pass 0, on one device."""
    made = two_cells.setup(search__cells=3)
    valid, columns = made.valid, []
    ProbeMasks(made.bilevel.architecture).probe(cell_type, *removal)
    for batch in range(2):
        images, labels = valid.pass_batch("selection/probe", 0, batch, 8, 8)
        logits = made.bilevel.forward(images, training=True)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        columns.append((logits.numpy().argmax(1) == labels.numpy(), loss.numpy()))
    return [np.concatenate(parts) for parts in zip(*columns, strict=True)]


@pytest.mark.parametrize("replicas", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_every_image_has_its_place_whatever_the_replicas(replicas):
    strategy = tiny.two_replicas() if replicas == 2 else None
    made = two_cells.setup(strategy, search__cells=3)
    prober, removals = Prober(made, made.valid), [(4, None), (2, 2)]
    of_images = [by_image("reduce", removal) for removal in removals]
    for i, criterion in enumerate(("accuracy", "loss")):
        race = Script(criterion, [0, 1])
        scores = prober.score("reduce", removals, 0, race)
        assert [s.images for s in scores] == [19] * 2
        (values,) = race.asked
        for k, expected in enumerate(of_images):
            np.testing.assert_allclose(values[k], expected[i], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
@pytest.mark.parametrize("probe_batch_size", [0, 6])
def test_replicas_score_as_whole_passes_of_one_device(probe_batch_size, replicas):
    made, alone = (
        two_cells.setup(strategy, runtime__sync_batch_norm=True, selection__probe_batch_size=probe_batch_size)
        for strategy in (tiny.some_replicas(replicas), tiny.one_device())
    )
    one_by_one = OneByOne(alone)
    prober = Prober(made, made.valid)  # of 19 images, in batches of 8, 8 and 3, or of three times 6 and 1
    for cell_type, removals in (("normal", operations(0, 4)), ("reduce", EDGES)):
        scores = prober.score(cell_type, removals, 1)
        assert [score.images for score in scores] == [19] * len(removals)
        assert_equal(scores, one_by_one(cell_type, removals, 1))


def test_who_leaves_a_race_is_scored_no_further(prober):
    removals = operations(0, 3)
    whole = prober.score("reduce", removals, 0)
    race = Script("loss", [0, 2])
    scores = prober.score("reduce", removals, 0, race)
    assert [s.images for s in scores] == [19, 16, 19] and race.looks == [1]
    assert scores[0] == whole[0] and scores[2] == whole[2]
    assert scores[1].loss == pytest.approx(race.asked[0][1].mean(), rel=1e-6)
    told = []
    scores = prober.score("reduce", removals, 0, Script("accuracy", []), told.append)
    assert [s.images for s in scores] == [16] * 3 and told == [6]


@pytest.mark.slow
def test_a_race_stops_losers_early_and_the_winner_agrees():
    made = two_cells.setup(
        data__limit_train=400,
        search__cells=3,
        selection__racing_confidence=0.5,
        selection__augment_probes=False,
    )
    prober = Prober(made, made.valid)
    for cell_type, sign in (("normal", 1), ("normal", -1), ("reduce", 1), ("reduce", -1)):
        whole = prober.score(cell_type, EDGES, 0)
        raced = prober.score(cell_type, EDGES, 0, Race("loss", sign > 0, 0.5, len(EDGES)))
        assert {s.images for s in whole} == {188} and min(s.images for s in raced) < 188
        longest = max(s.images for s in raced)
        left = [i for i, s in enumerate(raced) if s.images == longest]
        best = max(range(len(whole)), key=lambda i: sign * whole[i].loss)
        assert max(left, key=lambda i: sign * raced[i].loss) == best


def test_a_race_is_looked_at_16_times_in_a_long_pass():
    made = two_cells.setup(
        data__limit_train=400,
        search__cells=3,
        selection__racing_confidence=0.9,
        runtime__steps_per_call=20,
        search__batch_size=2,
    )
    race = Script("loss", *[[0]] * 20)
    Prober(made, made.valid).score("reduce", [(0, 0)], 0, race)
    assert set(race.looks) == {15} and len(race.asked) == 15  # and the end, where nothing is left to decide


def test_a_supernet_without_cells_of_a_type_is_probed_all_the_same():
    # Two reductions; 16 validation images: full batches only, one shape to trace.
    made = two_cells.setup(search__cells=2, data__limit_train=34)
    assert {block.cell_type for block in made.bilevel.supernet.body.layout} == {"reduce"}
    prober = Prober(made, made.valid)
    scores = prober.score("normal", operations(0, 4), 0)
    expected = OneByOne(made)("normal", operations(0, 4), 0)
    assert [s.correct for s in scores] == [s.correct for s in expected]
    assert len({s.loss for s in scores}) == 1  # nothing depends on it


@pytest.mark.parametrize("replicas", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_operations_that_draw_can_be_probed(replicas):
    space = dataclasses.replace(two_cells.SPACE, candidates=dict.fromkeys(("normal", "reduce"), NOISY))
    strategy = tiny.two_replicas() if replicas == 2 else tiny.one_device()
    made = tiny.setup(tiny.config(search__cells=3, search__alpha_scale=1.0), space, strategy)
    prober = Prober(made, made.valid)
    for cell_type in ("normal", "reduce"):
        scores = prober.score(cell_type, operations(2, 2), 0)
        assert all(np.isfinite(score.loss) for score in scores) and len({s.loss for s in scores}) == 2
