"""The peer is the same supernet and network as ours: sizes, logits, steps and probes."""

import numpy as np
import pytest
import tensorflow as tf

from tests.probe_masks import ProbeMasks
from tests.tools.benchmark import small
from tf_darts import spaces
from tf_darts.genotypes.genotype import from_text
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.models import torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import Network, count_parameters
from tf_darts.search.bilevel import Bilevel
from tf_darts.tools.benchmark import whole

torch = small.torch()
peer_pytorch = pytest.importorskip("tf_darts.tools.benchmark.peer_pytorch")
peer_tasks = pytest.importorskip("tf_darts.tools.benchmark.peer_tasks")

MIXED_201 = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"


@pytest.mark.parametrize("name", small.SPACES)
def test_full_size_parameters(name):
    """The figures are those of the published supernets: 16 channels, 8 cells or 5 a stage."""
    known = {"darts": 1_930_618, "s1": 405_146, "s2": 665_466, "s3": 665_466, "s4": 624_506}
    known["nas_bench_201"] = 1_686_106
    depth = 5 if name == "nas_bench_201" else 8
    model = peer_pytorch.Model(spaces.get(name), 16, depth, 10)
    assert peer_pytorch.count_parameters(model) == known[name]


LARGE = ("darts", "s3")  # of many operations an edge; the others have the same ones, fewer at a time
CASES = [pytest.param(n, marks=[pytest.mark.slow] if n in LARGE else []) for n in small.SPACES]


@pytest.fixture(scope="module", params=CASES)
def both(request):
    """Return our search and the peer's with the same weights and alpha: (name, ours, peer)."""
    name, case = request.param, small.case(request.param)
    space, chosen = case.search_space(), small.chosen()
    search = peer_tasks.program_config(case, chosen).search
    peer = peer_tasks.Search(case, chosen)
    peer.build()
    supernet, architecture = small.supernet(name), Architecture(space, 0.5, 3)
    if name == "s4":  # noise is another draw on each side: give it no weight to speak of
        for alpha in architecture.alpha.values():
            alpha.assign(np.tile(np.float32([[-60.0, 0.0]]), (len(space.edges), 1)))
    peer_pytorch.load(peer.bilevel.model, torch_weights.export(supernet))
    with torch.no_grad():
        for cell_type, alpha in architecture.alpha.items():
            peer.bilevel.architecture.alpha[cell_type].copy_(torch.from_numpy(alpha.numpy()))
    return name, Bilevel.create(supernet, architecture, search), peer.bilevel


def labels(seed=0):
    return np.random.default_rng(seed).integers(0, 10, 4)


def test_parameters_logits_and_a_step_of_each_kind(both):
    name, ours, peer = both
    assert count_parameters(ours.supernet) == peer_pytorch.count_parameters(peer.model)
    x = small.images()
    theirs, _ = peer.model(small.to_torch(x), peer.architecture.mixing_weights())
    np.testing.assert_allclose(ours.forward(x, training=True), theirs.detach(), atol=1e-4)

    run = tf.distribute.OneDeviceStrategy("/cpu:0").run
    valid, train = (small.images(seed=1), labels(1)), (small.images(seed=2), labels(2))
    # Not compiled: tracing would take longer than all that it is for.
    run(lambda: ours.alpha_step(valid, 4).loss)
    run(lambda: ours.weight_step(train, 4, 0.025)[0].loss)
    way = "lean" if name in ("s1", "nas_bench_201") else "usual"
    peer.alpha_step((small.to_torch(valid[0]), torch.from_numpy(valid[1])), way)
    peer.weight_step((small.to_torch(train[0]), torch.from_numpy(train[1])))
    for cell_type, alpha in ours.alphas.items():
        np.testing.assert_allclose(alpha, peer.architecture.alpha[cell_type].detach(), atol=1e-4)
    moved = peer_pytorch.Model(peer.model.space, 4, small.case(name).cells, 10)
    peer_pytorch.load(moved, torch_weights.export(ours.supernet))
    for (key, value), (_, their_value) in zip(
        moved.named_parameters(), peer.model.named_parameters(), strict=True
    ):
        np.testing.assert_allclose(value.detach(), their_value.detach(), atol=1e-4, err_msg=key)


def test_decisions_and_probes(both):
    """After half of the decisions, with an operation left out and with an edge left out."""
    name, ours, peer = both
    space, x = peer.model.space, small.images(seed=3)
    peer_pytorch.load(peer.model, torch_weights.export(ours.supernet))
    with torch.no_grad():
        for cell_type, alpha in ours.architecture.alpha.items():
            peer.architecture.alpha[cell_type].copy_(torch.from_numpy(alpha.numpy()))
    planned, _ = whole.plan_of(space, 5, 0)
    rows = whole.made_up_decisions(space, planned, 0)
    if name == "s4":  # without noise
        rows = [row | {"operation": 1} if row["kind"] == "operation" else row for row in rows]
    for row in rows[: len(rows) // 2] + [row for row in rows if row["kind"] == "topology"][:1]:
        if row["kind"] == "operation":
            ours.architecture.decide_operation(row["cell_type"], row["edge"], row["operation"])
        else:
            ours.architecture.remove_edges(row["cell_type"], row["removed"])
        peer.architecture.decide(row)
    masks = ProbeMasks(ours.architecture)
    for operation in (len(space.candidates["normal"][0]) - 1, None):
        if name != "s4" or operation is None:
            masks.probe("normal", 0, operation)
        expected = ours.forward(x, training=True).numpy()
        mask = peer.architecture.mask["normal"]
        if name != "s4" or operation is None:
            mask[0, slice(None) if operation is None else operation] = 0.0
        theirs, _ = peer.model(small.to_torch(x), peer.architecture.mixing_weights())
        mask.fill_(1.0)
        masks.end()
        np.testing.assert_allclose(expected, theirs.detach(), atol=1e-4)


@pytest.mark.parametrize("name", ["darts_pt_s5_0", "darts_pt_s1_1", "darts_pt_s3_1", "nas_bench_201"])
def test_a_network(name):
    space = spaces.get(PUBLISHED[name].space if name in PUBLISHED else name)
    genotype = PUBLISHED.get(name) or from_text(MIXED_201, space)
    depth, auxiliary = (1, False) if name == "nas_bench_201" else (3, True)
    ours = Network(space, genotype, 4, depth, 10, auxiliary=auxiliary, seed=2)
    peer = peer_pytorch.Model(space, 4, depth, 10, genotype, auxiliary).train()
    peer_pytorch.load(peer, torch_weights.export(ours))
    assert count_parameters(ours) == peer_pytorch.count_parameters(peer)
    x = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype(np.float32)
    logits, auxiliary_logits = ours(x, training=True)
    edges = {t: [0.0] * len(cell) for t, cell in genotype.cells.items()}
    theirs, their_auxiliary = peer(small.to_torch(x), edges)
    np.testing.assert_allclose(logits, theirs.detach(), atol=1e-4)
    if auxiliary:
        np.testing.assert_allclose(auxiliary_logits, their_auxiliary.detach(), atol=1e-4)


def test_drop_path_leaves_out_images_and_keeps_the_mean():
    torch.manual_seed(0)
    op = peer_pytorch.ChosenOp("avg_pool_3x3", 2, 1)
    y = op(torch.ones(4000, 2, 4, 4), 0.25)
    assert sorted(set(y[:, 0, 0, 0].tolist())) == pytest.approx([0.0, 1 / 0.75])
    assert float(y.mean()) == pytest.approx(1.0, abs=0.05)
    identity = peer_pytorch.ChosenOp("skip_connect", 2, 1)
    assert float(identity(torch.ones(4, 2, 4, 4), 0.9).min()) == 1.0


def test_weights_that_do_not_fit_are_refused():
    model = peer_pytorch.Model(spaces.get("s2"), 4, 3, 10)
    state = torch_weights.export(small.supernet("s2"))
    del state["classifier.bias"]
    with pytest.raises(ValueError, match=r"missing \['classifier.bias'\]"):
        peer_pytorch.load(model, state)
