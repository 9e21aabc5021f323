"""Criteria that look at more than scores: what they are given, what they decide, and what is left of it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.data.batches import of_passes
from tf_darts.plots import decisions as decision_plots
from tf_darts.registry import CRITERIA
from tf_darts.report import spent
from tf_darts.search.alpha_summary import describe
from tf_darts.selection import select as selection_lib
from tf_darts.selection.criterion import Criterion, View
from tf_darts.selection.decide import Decider
from tf_darts.selection.first_order import FirstOrder
from tf_darts.selection.measurer import Measurer, Measures
from tf_darts.selection.probe import Prober
from tf_darts.selection.probe_steps import PURPOSE
from tf_darts.workdir import decisions as decisions_lib
from tf_darts.workdir.checkpoints import load_from

EDGES = 3
FIELDS = {"selection__interval": 0, "selection__compact": False, "selection__order": "index"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    tiny.save_unsearched(folder, seed=3)
    return folder


def supernet(searched, strategy=None, **fields):
    made = tiny.setup(tiny.config(seed=3, **FIELDS, **fields), strategy=strategy)
    load_from(searched, supernet=made.bilevel.supernet, architecture=made.bilevel.architecture)
    return made


def select(searched, folder, **fields):
    folder.mkdir(exist_ok=True)
    fields = {f"selection__{name}": value for name, value in fields.items()}
    made = tiny.setup(tiny.config(seed=3, **{**FIELDS, **fields}))
    genotype = selection_lib.run(made, searched, folder)
    return genotype, tiny.rows(folder / "decisions.jsonl")


class Missing(Criterion):
    """How much mixing weight is missing, and the batch's share of the first class: nothing of the weights."""

    def measure(self, view):
        there = tf.reduce_sum(view.mixing_weights["normal"])
        return EDGES - there + tf.reduce_mean(tf.cast(view.labels == 0, tf.float32))


class EachBatch(Missing):
    batches = 1


def losses(made, change):
    """The mean loss over the probe images, in float64, with the mixing weights changed."""
    total, images = 0.0, 0
    for batch in range(2):
        x, y = of_passes(made.valid, PURPOSE, 8, 8, 1, True)(tf.constant(batch), tf.constant(0))
        weights = {t: change(w) for t, w in made.bilevel.architecture.mixing_weights().items()}
        view = View(made.bilevel, x, y, weights)
        logits = tf.cast(view.logits(), tf.float64)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        total, images = total + float(tf.reduce_sum(each)), images + len(y)
    return total / images


def test_first_order_strength_is_the_derivative_towards_removal_of_each_operation(searched):
    made = supernet(searched)
    assert made.valid.size == 16
    before = [v.numpy() for v in made.bilevel.supernet.variables]
    found = Measurer(made, made.valid, True).everything(FirstOrder())["normal"]
    step = 1e-2
    for edge in range(EDGES):
        for operation in range(2):
            scale = np.ones((EDGES, 2), np.float32)
            ends = []
            for sign in (1, -1):
                scale[edge, operation] = 1 + sign * step
                ends.append(losses(made, lambda w, scale=scale: w * scale))
            difference = (ends[1] - ends[0]) / (2 * step)  # of the loss as w falls to 0, in units of w
            assert found[edge, operation] == pytest.approx(difference, rel=2e-2, abs=2e-5)
    assert np.median(np.abs(found)) > 1e-3
    for old, now in zip(before, made.bilevel.supernet.variables, strict=True):
        np.testing.assert_array_equal(old, now.numpy())


def test_first_order_decides_operations_and_edges(searched, tmp_path):
    genotype, rows = select(searched, tmp_path / "one", criterion="first_order", one_shot=True)
    found = Measurer(supernet(searched), supernet(searched).valid, True).everything(FirstOrder())["normal"]
    for edge, row in enumerate(rows[:EDGES]):
        importance = row["measured"]["importance"]
        assert list(importance) == list(tiny.OPERATIONS) and "probes" not in row and "whole" not in row
        assert list(importance.values()) == found[edge].tolist()
        assert row["operation"] == int(np.argmax(found[edge])) and row["criterion"] == "first_order"
        assert row["measured"]["images"] == 16
        # One backward pass for all decisions, which the first one pays.
        assert row["measured"]["passes"] == (0 if row["number"] else 3 * 16)
    of_edges = found.sum(1)
    assert rows[-1]["measured"]["importance"] == {
        name: value for name, value in zip(("3<-0", "3<-1", "3<-2"), of_edges, strict=True)
    }
    assert rows[-1]["removed"] == [int(np.argmin(of_edges))]
    assert {c.source for c in genotype.cells["normal"]} == set(rows[-1]["kept"])


def test_step_by_step_each_decision_has_its_own_pass(searched, tmp_path):
    _, once = select(searched, tmp_path / "once", criterion="first_order", one_shot=True)
    _, steps = select(searched, tmp_path / "steps", criterion="first_order")
    first, second = (rows[0]["measured"]["importance"] for rows in (once, steps))
    assert first == second
    assert [row["measured"]["passes"] for row in steps] == [48] * 4
    assert once[2]["measured"]["importance"] != pytest.approx(steps[2]["measured"]["importance"], rel=1e-3)


def test_it_goes_on_after_a_kill_as_if_there_had_been_none(searched, tmp_path, monkeypatch):
    fields = {"criterion": "first_order", "interval": 1}
    select(searched, tmp_path / "whole", **fields)
    seen = []

    def killed(self, planned, *arguments):
        seen.append(planned)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return decide(self, planned, *arguments)

    decide = Decider.decide
    with monkeypatch.context() as patch:
        patch.setattr(Decider, "decide", killed)
        with pytest.raises(KeyboardInterrupt):
            select(searched, tmp_path / "killed", **fields)
    select(searched, tmp_path / "killed", **fields)
    for name in ("decisions.jsonl", "genotype.json", "top.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name


def test_what_is_closed_need_not_be_computed(searched, tmp_path):
    fields = {"criterion": "first_order", "interval": 1}
    (_, whole), (_, compact) = (
        select(searched, tmp_path / str(value), compact=value, **fields) for value in (False, True)
    )
    for row, other in zip(whole, compact, strict=True):
        assert row["measured"]["importance"] == pytest.approx(
            other["measured"]["importance"], rel=1e-4, abs=1e-6
        )


def test_sgas_may_decide_by_it():
    made = tiny.setup(
        tiny.config(
            search__method="sgas",
            sgas__warmup_epochs=0,
            sgas__interval=1,
            sgas__batch_increase=0,
            sgas__decision="first_order",
        )
    )
    found = Measurer(made, made.valid, True).everything(FirstOrder())["normal"]
    (decision,) = made.method.decide(made, 0, [describe(made.bilevel.architecture)])
    importance = found[decision.edge].tolist()
    assert list(decision.measured.importance.values()) == importance
    assert decision.operation == int(np.argmax(importance)) and decision.criterion == "first_order"


def test_two_supernets_say_the_mean_over_their_images():
    together = Measures([1.0, 4.0], 10, 30).together(Measures([3.0, 0.0], 30, 90))
    assert together == Measures([2.5, 1.0], 40, 120)


@pytest.mark.parametrize("criterion", [Missing, EachBatch])
def test_one_removal_at_a_time(searched, tmp_path, monkeypatch, criterion):
    monkeypatch.setitem(CRITERIA, "missing", criterion)
    weights = supernet(searched).bilevel.architecture.mixing_weights()["normal"].numpy()
    _, rows = select(searched, tmp_path / "s", criterion="missing", one_shot=True)
    images = 16 if criterion is Missing else 8
    for row in rows[:EDGES]:
        # The larger the weight of what is removed, the more is missing.
        assert row["operation"] == int(np.argmax(weights[row["edge"]]))
        values = np.array(list(row["measured"]["importance"].values()))
        assert np.ptp(values) == pytest.approx(np.ptp(weights[row["edge"]]), rel=1e-5)
        assert (row["measured"]["images"], row["measured"]["passes"]) == (images, 2 * images)


def test_replicas_and_one_device_say_the_same(searched):
    found = []
    for strategy in (None, tiny.two_replicas()):
        made = supernet(searched, strategy)
        with made.strategy.scope():
            prober = Prober(made, made.valid)
        removals = [(0, 0), (0, 1), (1, None)]
        measures = [
            prober.measure(criterion, "normal", removals, 1) for criterion in (FirstOrder(), EachBatch())
        ]
        found.append(measures)
    for one, other in zip(*found, strict=True):
        assert one.images == other.images
        np.testing.assert_allclose(one.values, other.values, rtol=1e-5, atol=1e-7)


def test_activations_are_the_outputs_of_all_relus_in_order(searched):
    made = supernet(searched)
    x, y = of_passes(made.valid, PURPOSE, 8, 8, 1, False)(tf.constant(0), tf.constant(0))

    @tf.function
    def look():
        logits, found = View(made.bilevel, x, y, made.bilevel.architecture.mixing_weights()).activations()
        return logits, found

    logits, found = look()
    # Three edges of two operations each leave one node, whose ReLU they share.
    assert [tuple(a.shape) for a in found] == [(8, 8, 8, 2)]
    body, packed = made.bilevel.supernet.body, made.bilevel.supernet.packed
    with packed.unpacked():
        expected = tf.nn.relu(body.start(x, True)[0].x)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    np.testing.assert_allclose(logits, made.bilevel.forward(x, training=True), atol=1e-6)


def test_what_it_says_is_shown_under_its_own_name(searched, tmp_path):
    select(searched, tmp_path / "s", criterion="first_order", one_shot=True)
    rows = decisions_lib.read(tmp_path / "s")
    assert [decisions_lib.of_row(decisions_lib.as_row(row)) for row in rows] == rows
    shown = decision_plots.shown_all(tiny.SPACE, rows)
    for row, decision in zip(rows, shown, strict=True):
        importance = row.measured.importance
        assert [e.importance for e in decision.effects] == list(importance.values())
        figure = decision_plots.draw(tiny.SPACE, decision)
        assert figure.axes[0].get_xlabel() == "importance by first_order"
        assert [bar.get_width() for bar in figure.axes[0].patches] == list(importance.values())
        assert not decision.narrow and decision.lead > 0
        numbers = decision_plots.scalars(decision)
        assert set(numbers) == {"first_order_of_chosen", "first_order_lead"}
        assert numbers["first_order_lead"] == pytest.approx(decision.lead)
    assert spent._in_probes(rows) == 16  # one pass forward and backward
