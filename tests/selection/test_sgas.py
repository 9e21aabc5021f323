"""SGAS: batches that grow, passes, scores of edges, greedy decisions and pruning, and being stopped."""

import dataclasses
import types
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tests.search import drawing, tiny
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.data.image_set import ImageSet
from tf_darts.errors import UserError
from tf_darts.models.architecture import Architecture
from tf_darts.models.evaluator import Score
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop
from tf_darts.search import setup as search_setup
from tf_darts.search.alpha_summary import describe
from tf_darts.search.plan import plan
from tf_darts.selection import sgas
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.decisions import as_row

PUBLISHED = spaces.get("darts_with_none")
FIELDS = {
    "search__method": "sgas",
    "search__epochs": 3,
    "search__evaluate_every": 0,
    "sgas__warmup_epochs": 0,
    "sgas__interval": 1,
    "sgas__batch_increase": 1,
}


def published():
    """The method with the numbers of the SGAS release: eight operations, 50 epochs."""
    config = config_lib.default()
    config.search.method = "sgas"
    return sgas.Sgas(config_lib.validate(config), PUBLISHED)


# batches


def test_the_batch_grows_by_8_after_each_decision():
    method = published()
    method.check()
    sizes = [method.batch_size(epoch) for epoch in range(50)]
    # Decided at the ends of epochs 9, 14, ..., 44: the next epoch has the larger batch.
    expected = [64 + 8 * sum(decided < epoch for decided in range(9, 45, 5)) for epoch in range(50)]
    assert sizes == expected and (sizes[9], sizes[10], sizes[44], sizes[45], sizes[49]) == (
        64,
        72,
        120,
        128,
        128,
    )


def test_epochs_are_whole_passes():
    epochs = plan(published(), 25_000, 1)
    assert [e.steps for e in epochs] == [-(-25_000 // e.batch) for e in epochs]
    assert [e.first for e in epochs] == np.cumsum([0] + [e.steps for e in epochs[:-1]]).tolist()
    assert (epochs[0].last_batch, epochs[10].last_batch) == (40, 25_000 % 72)
    assert all(0 < e.last_batch <= e.batch for e in epochs)
    on_three = plan(published(), 25_000, 3)  # images that do not divide are left out
    assert on_three[0].last_batch == 39 and on_three[0].steps == 391


def test_every_image_comes_once_an_epoch_whatever_the_batch(monkeypatch):
    fields = {"search__method": "sgas", "sgas__warmup_epochs": 0, "sgas__interval": 1}
    made = tiny.setup(tiny.config(**fields, sgas__batch_increase=3, search__batch_size=5))
    images = made.train.size
    assert images == 18
    numbered = np.arange(images)
    made.train = ImageSet(np.zeros([images, 8, 8, 1], np.uint8), numbered, made.train._transform, 3)

    def step(bilevel, train, valid, now):
        # Every image has a bit of its own; sums are exact below 2^24.
        seen = tf.reduce_sum(tf.pow(2.0, tf.cast(train[1], tf.float32)))
        names = made.method.metrics + made.method.alpha_metrics
        total, first = float(now.train_total), tf.cast(train[1][0], tf.float32)
        return dict.fromkeys(names, 0.0) | {"train_loss": seen, "train_accuracy": total, "valid_loss": first}

    monkeypatch.setattr(made.method, "step", step)
    epochs = plan(made.method, images, 1)
    assert [(e.batch, e.steps, e.last_batch) for e in epochs] == [(5, 4, 3), (8, 3, 2), (11, 2, 7)]
    firsts = []
    for epoch in epochs:
        parts = []
        if epoch.steps > 1:
            whole = loop.search_steps(made, epochs, epoch, epoch.batch)
            parts.append(whole(epoch.first, epoch.steps - 1))
        parts.append(loop.search_steps(made, epochs, epoch, epoch.last_batch)(epoch.end - 1, 1))
        assert sum(part["train_loss"].sum() for part in parts) == 2**images - 1
        assert sum(part["train_accuracy"].sum() for part in parts) == images
        firsts.append([value for part in parts for value in part["valid_loss"]])
    assert firsts[1] != firsts[2][: len(firsts[1])]  # each pass has an order of its own


# scores of edges


def softmax(row):
    return np.exp(row) / np.exp(row).sum()


def scaled(values):
    values = np.array(values)
    return (values - values.min()) / (values.max() - values.min())


def by_hand(alpha, history, criterion, none):
    """SGAS, equations 3 to 7, edge by edge."""
    importance, certainty, stability = [], [], []
    for e, row in enumerate(alpha.astype(np.float64)):
        p = softmax(row)
        others = np.delete(p, none) if none is not None else p
        importance.append(others.sum())
        others = others / others.sum()
        certainty.append(1 + (others * np.log(others)).sum() / np.log(len(others)))
        kept = []
        for old in history:
            q = softmax(old[e].astype(np.float64))
            q = np.delete(q, none) if none is not None else q
            kept.append(np.minimum(q / q.sum(), others).sum())
        stability.append(np.mean(kept) if kept else 0.0)
    score = scaled(certainty) * (scaled(importance) if none is not None else 1)
    return score * scaled(stability) if criterion == 2 else score


@pytest.mark.parametrize("criterion", [1, 2])
@pytest.mark.parametrize(("name", "none"), [("darts_with_none", 0), ("s3", 0), ("darts", None)])
def test_scores_are_those_worked_out_by_hand(name, none, criterion):
    space = spaces.get(name)
    draw = np.random.default_rng(1)
    shape = (14, space.num_operations)
    alpha, *history = draw.normal(size=(4, *shape))
    found = sgas.edge_scores(space, "reduce", alpha, history, criterion)
    np.testing.assert_allclose(found, by_hand(alpha, history, criterion, none), rtol=1e-9, atol=1e-12)
    assert found.min() == 0 and found.max() <= 1 and len(set(found)) > 10


def test_without_a_history_nothing_is_stable():
    alpha = np.random.default_rng(1).normal(size=(14, 8))
    assert not sgas.edge_scores(PUBLISHED, "normal", alpha, [], 2).any()


def test_certain_edges_that_are_not_none_score_highest():
    alpha = np.zeros((14, 8))
    alpha[3, 4] = 5.0  # sure of one operation
    alpha[6, 0] = 5.0  # sure of none: no importance
    scores = sgas.edge_scores(PUBLISHED, "normal", alpha, [], 1)
    assert scores.argmax() == 3 and scores[6] == 0


def test_an_edge_of_none_alone_has_no_importance_and_spoils_no_score():
    names = ("none", "skip_connect", "nor_conv_1x1")
    space = dataclasses.replace(tiny.SPACE, candidates={"normal": (names[:1], names, names)})
    alpha = np.array([[0.0, 0.0, 0.0], [0.0, 2.0, -1.0], [1.0, 0.0, 0.5]])
    scores = sgas.edge_scores(space, "normal", alpha, [], 1)
    assert scores[0] == 0 and scores.argmax() == 1 and np.isfinite(scores).all()
    assert np.isfinite(sgas.edge_scores(space, "normal", alpha, [0.5 * alpha], 2)).all()


# decisions


def fake_setup(space, method, seed=0):
    """What `decide` looks at, without a supernet."""
    architecture = Architecture(space, alpha_scale=1.0, seed=seed)
    return types.SimpleNamespace(
        space=space,
        config=method.config,
        strategy=tiny.one_device(),
        bilevel=types.SimpleNamespace(architecture=architecture, alphas=architecture.alpha),
        valid=None,
        budget=None,
    )


def test_the_published_schedule_leaves_a_genotype(monkeypatch):
    method = published()
    setup = fake_setup(PUBLISHED, method)
    architecture, rows, decided = setup.bilevel.architecture, [], {}
    for epoch in range(50):
        rows.append(describe(architecture))
        alphas = {t: a.numpy() for t, a in architecture.alpha.items()}
        undecided = {t: architecture.undecided_edges(t) for t in PUBLISHED.cell_types}
        made = [as_row(decision) for decision in method.decide(setup, epoch, rows)]
        if made:
            decided[epoch] = [row["cell_type"] for row in made]
        for row in made:
            t = row["cell_type"]
            scores = by_hand(alphas[t], [], 1, 0)
            assert row["edge"] == max(undecided[t], key=lambda e, s=scores: s[e])
            best = 1 + alphas[t][row["edge"], 1:].argmax()
            assert row["operation"] == best and row["chosen"] == PUBLISHED.candidates[t][0][best]
            assert row["criterion"] == "magnitude" and row["score"] == pytest.approx(scores[row["edge"]])
            kept = [e for e in PUBLISHED.incoming(PUBLISHED.edges[row["edge"]].target)]
            assert set(row["removed"]) <= set(kept)
    assert decided == {epoch: ["normal", "reduce"] for epoch in range(9, 45, 5)}
    for t in PUBLISHED.cell_types:
        assert architecture.undecided_edges(t) == [] and architecture.undecided_nodes(t) == []
        weights = architecture.mixing_weights()[t].numpy()
        assert not weights[:, 0].any()
        for node in PUBLISHED.targets:
            assert weights[list(PUBLISHED.incoming(node))].sum() == 2


@pytest.mark.parametrize("criterion", [1, 2])
def test_stability_looks_back_on_the_latest_epochs_before(criterion):
    config = config_lib.default()
    config.search.method = "sgas"
    config.sgas.criterion = criterion
    if criterion == 2:  # the other looks back on nothing, and refuses to be told how far
        config.sgas.history = 2
    method = sgas.Sgas(config_lib.validate(config), PUBLISHED)
    setup, draw, rows, alphas = fake_setup(PUBLISHED, method), np.random.default_rng(2), [], []
    architecture = setup.bilevel.architecture
    for epoch in range(10):
        for alpha in architecture.alpha.values():
            alpha.assign(draw.normal(size=alpha.shape).astype(np.float32))
        alphas.append({t: a.numpy() for t, a in architecture.alpha.items()})
        rows.append(describe(architecture))
        made = [as_row(decision) for decision in method.decide(setup, epoch, rows)]
    for row in made:
        t = row["cell_type"]
        scores = by_hand(alphas[9][t], [alphas[7][t], alphas[8][t]], criterion, 0)
        assert row["edge"] == scores.argmax() and row["score"] == pytest.approx(scores.max(), rel=1e-5)


def test_a_node_with_two_decided_edges_loses_the_others():
    architecture = Architecture(PUBLISHED, alpha_scale=1.0)
    architecture.decide_operation("normal", 5, 1)
    assert sgas.prune(architecture, "normal", 4) == []
    architecture.decide_operation("normal", 8, 1)
    assert sgas.prune(architecture, "normal", 4) == [6, 7]
    assert np.flatnonzero(~architecture.open_edges["normal"].numpy()).tolist() == [6, 7]
    assert architecture.open_edges["reduce"].numpy().all()
    assert sgas.prune(architecture, "normal", 4) == []
    nas_bench = Architecture(spaces.get("nas_bench_201"))
    nas_bench.decide_operation("normal", 1, 1)
    nas_bench.decide_operation("normal", 2, 1)
    assert sgas.prune(nas_bench, "normal", 2) == []  # keeps all


class FakeProber:
    """Removing `none` hurts most, then removing the third operation."""

    made: ClassVar[list] = []  # how each was told to augment

    def __init__(self, setup, images, augment=None):
        self.made.append(augment)
        self.passes = []

    def score(self, cell_type, removals, pass_index, race=None, each_call=lambda batches: None):
        self.passes.append(pass_index)
        return [Score({0: 10, 2: 20}.get(operation, 90), 100, 1.0) for _, operation in removals]


@pytest.mark.parametrize(
    ("name", "chosen"), [("darts_with_none", "avg_pool_3x3"), ("nas_bench_201", "nor_conv_1x1")]
)
def test_decisions_by_perturbation_probe_none_and_leave_it_out(monkeypatch, name, chosen):
    monkeypatch.setattr(sgas, "Prober", FakeProber)
    config, space = config_lib.default(), spaces.get(name)
    config.search.method, config.sgas.decision, config.space = "sgas", "accuracy", name
    config.selection.augment_probes = False  # what a selection does is nothing to the search
    method = sgas.Sgas(config_lib.validate(config), space)
    setup = fake_setup(space, method)
    decided = method.decide(setup, 9, [describe(setup.bilevel.architecture)])
    made = [as_row(decision) for decision in decided]
    assert [row["chosen"] for row in made] == [chosen] * len(space.cell_types)
    assert all(row["probes"][0]["operation"] == "none" for row in made)
    assert FakeProber.made[-1] is True


def test_alpha_of_decided_edges_stays():
    made = drawing.setup(**FIELDS | {"search__epochs": 5, "sgas__batch_increase": 0})
    alpha = made.bilevel.architecture.alpha["normal"]
    for slot in made.bilevel.alpha_optimizer.first:
        slot.assign(tf.ones_like(slot))  # momentum that would go on
    before = alpha.numpy()
    drawing.mixing_weights_of(made)
    moved = (alpha.numpy() != before).any(1)
    assert moved.tolist() == [e not in (drawing.DECIDED, drawing.REMOVED) for e in range(5)]


def test_too_few_epochs_are_refused_before_any_work():
    with pytest.raises(UserError, match="search.epochs is 3 with search.method 'sgas'; allowed: at least 7"):
        tiny.setup(tiny.config(search__method="sgas", sgas__warmup_epochs=1, sgas__interval=5))
    early = tiny.config(search__method="sgas", sgas__warmup_epochs=1, sgas__interval=1, search__stop_after=1)
    with pytest.raises(
        UserError, match="search.stop_after is 1 with search.method 'sgas'; allowed: at least 3"
    ):
        tiny.setup(early)
    tiny.setup(tiny.config(search__method="sgas", sgas__warmup_epochs=1, sgas__interval=1))
    settings = tiny.config(
        search__method="sgas", sgas__warmup_epochs=0, sgas__interval=1, sgas__batch_increase=5
    )
    with pytest.raises(
        UserError, match="batch_size, grown by search.method 'sgas', is 18; allowed: at most 16"
    ):
        search_setup.check(settings, tiny.SPACE, tiny.data(settings), 1)  # 8, 13 and at last 18


# whole searches


def search(folder, **fields):
    made = tiny.setup(tiny.config(**FIELDS, **fields))
    folder.mkdir(exist_ok=True)
    loop.run(made, folder)
    return made


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    return search(folder, sgas__decision="accuracy"), folder


def test_edges_are_decided_during_the_search(searched):
    made, folder = searched
    decisions = tiny.rows(folder / "decisions.jsonl")
    assert [(row["epoch"], row["event"], len(row["removed"])) for row in decisions] == [(0, 0, 0), (1, 1, 1)]
    assert all(len(row["probes"]) == 2 for row in decisions)
    weights = made.bilevel.architecture.mixing_weights()["normal"].numpy()
    expected = np.zeros([3, 2])
    for row in decisions:
        expected[row["edge"], row["operation"]] = 1
        fewest = min(row["probes"], key=lambda p: p["correct"])
        assert row["chosen"] == fewest["operation"]
    np.testing.assert_array_equal(weights, expected)
    assert made.bilevel.architecture.computed["normal"] == tuple(map(tuple, expected.astype(bool).tolist()))
    steps = [row for row in tiny.rows(folder / "metrics.jsonl") if "epoch" in row]
    assert [sum(r["epoch"] == e for r in steps) for e in range(3)] == [3, 2, 2]  # 18 in 8s, 9s, 10s


@pytest.mark.parametrize(
    ("owner", "method", "call", "minutes"),
    [
        # Inside epoch 1, after a checkpoint inside it.
        pytest.param(Progress, "update", 4, 0.0, marks=pytest.mark.slow),
        # Epoch 1's decision is written, its checkpoint is not.
        pytest.param(Checkpoints, "save", 2, 10.0, marks=pytest.mark.slow),
        pytest.param(Checkpoints, "save", 3, 10.0, marks=pytest.mark.slow),  # after the last decision
    ],
)
def test_a_stopped_search_makes_the_same_decisions(
    searched, tmp_path, monkeypatch, owner, method, call, minutes
):
    fields = {
        "sgas__decision": "accuracy",
        "runtime__checkpoint_minutes": minutes,
        "runtime__steps_per_call": 1,
    }
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            search(tmp_path, **fields)
    made = search(tmp_path, **fields)
    tiny.assert_equal(tiny.state(made), tiny.state(searched[0]))
    for name in ("metrics.jsonl", "decisions.jsonl", "result.json"):
        assert (tmp_path / name).read_text() == (searched[1] / name).read_text()
