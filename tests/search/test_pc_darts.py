"""PC-DARTS: the supernet's size, edge weights, probes and compaction with them, and what magnitude reads."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.probe_masks import ProbeMasks
from tests.search import drawing, tiny, two_cells
from tests.selection.one_by_one import EDGES, OneByOne, assert_equal, operations
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models import memory
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import count_parameters
from tf_darts.models.supernet import Supernet
from tf_darts.search import loop
from tf_darts.search.alpha_summary import describe
from tf_darts.selection import magnitude
from tf_darts.selection.probe import Prober

FIELDS = {"search__method": "pc_darts", "search__channels": 4, "pc_darts__partial_channels": 2}
FULL = {"data__limit_train": 34}  # 16 validation images: full batches only, one shape to trace


def size_of(channels, cells, partial, classes=10):
    """Trainable weights of a DARTS-space supernet, by the operations' definitions."""

    def operations(c, stride):
        separable, dilated = (2 * (k * k * c + c * c) for k in (3, 5)), (k * k * c + c * c for k in (3, 5))
        return sum(separable) + sum(dilated) + (c * c if stride == 2 else 0)  # a strided skip: two halves

    before, last = 3 * channels, 3 * channels  # stem
    total, width = 27 * 3 * channels + 2 * 3 * channels, channels
    for i in range(cells):
        reduction = i in (cells // 3, 2 * cells // 3)
        width *= 2 if reduction else 1
        total += before * width + last * width  # the inputs, brought to the width
        for target in range(2, 6):
            for source in range(target):
                total += operations(width // partial, 2 if reduction and source < 2 else 1)
        before, last = last, 4 * width
    return total + (last + 1) * classes


def test_the_supernet_has_the_operations_of_a_kth_of_the_channels():
    assert size_of(16, 8, 1) == 1_930_618  # DARTS, as known
    supernet = Supernet(spaces.get("darts"), 16, 8, 10, partial_channels=4)
    assert count_parameters(supernet) == size_of(16, 8, 4) < size_of(16, 8, 1) / 4


def test_the_method_makes_such_a_supernet():
    made = two_cells.setup(**FIELDS)
    assert made.bilevel.supernet.partial_channels == 2 and made.bilevel.architecture.edge_alpha
    assert list(made.bilevel.alphas) == ["normal", "reduce", "normal/edges", "reduce/edges"]
    with pytest.raises(
        UserError, match=r"search.channels is 6; allowed: a multiple of .*partial_channels, 4"
    ):
        two_cells.setup(**FIELDS | {"search__channels": 6, "pc_darts__partial_channels": 4})


def test_it_is_estimated_to_need_less_memory():
    of = [memory.estimate(spaces.get("darts"), 16, 8, 64, (32, 32, 3), k) for k in (1, 2, 4)]
    assert of[0] > of[1] > of[2] > of[0] / 4
    config = tiny.config(search__method="pc_darts", search__channels=4)
    needed = tiny.setup(config).needed_memory
    assert needed == memory.estimate(tiny.SPACE, 4, 1, 8, (8, 8, 1), 4)


# mixing weights


def architecture():
    made = Architecture(drawing.SPACE, alpha_scale=1.0, seed=3, weighs_edges=True, passes_by=True)
    made.edge_alpha["normal"].assign([0.5, -1.0, 0.0, 1.0, 2.0])
    return made


def test_open_edges_into_a_node_have_weights_that_sum_to_one():
    made = architecture()
    weights = made.mixing_weights()["normal"].numpy()
    edges, p = weights[:, -1], made.probabilities()["normal"].numpy()
    assert weights.shape == (5, 4) and p.shape == (5, 3)
    for incoming, alpha in (([0, 1], [0.5, -1.0]), ([2, 3, 4], [0.0, 1.0, 2.0])):
        np.testing.assert_allclose(edges[incoming], np.exp(alpha) / np.exp(alpha).sum(), rtol=1e-5)
    np.testing.assert_allclose(weights[:, :-1], p * edges[:, None], rtol=1e-6)

    made.remove_edges("normal", [3])
    after = made.mixing_weights()["normal"].numpy()
    assert not after[3].any()
    np.testing.assert_allclose(after[[2, 4], -1], np.exp([0, 2]) / np.exp([0, 2]).sum(), rtol=1e-5)
    np.testing.assert_array_equal(after[:2], weights[:2])


def test_a_probe_leaves_the_weights_of_other_edges():
    made = architecture()
    before, masks = made.mixing_weights()["normal"].numpy(), ProbeMasks(made)
    masks.probe("normal", 3, None)
    after = made.mixing_weights()["normal"].numpy()
    assert not after[3].any()
    masks.probe("normal", 3, 1)
    of_operation = made.mixing_weights()["normal"].numpy()
    assert of_operation[3].tolist() == [before[3, 0], 0, before[3, 2], before[3, 3]]  # channels pass by
    for weights in (after, of_operation):
        np.testing.assert_array_equal(np.delete(weights, 3, 0), np.delete(before, 3, 0))


def test_alpha_of_edges_has_the_gradient_of_its_softmax():
    made, factors = architecture(), tf.constant([1.0, 3.0, -1.0, 2.0, 0.5])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(made.mixing_weights()["normal"][:, -1] * factors)
    gradient = tape.gradient(total, made.edge_alpha["normal"]).numpy()
    w = made.mixing_weights()["normal"].numpy()[:, -1]
    for incoming in ([0, 1], [2, 3, 4]):
        f = factors.numpy()[incoming]
        expected = w[incoming] * (f - (w[incoming] * f).sum())
        np.testing.assert_allclose(gradient[incoming], expected, rtol=1e-4, atol=1e-6)


def test_magnitude_reads_operations_times_edges():
    space = dataclasses.replace(drawing.SPACE, candidates={"normal": (drawing.THREE,) * 5})
    made = Architecture(space, alpha_scale=0.0, weighs_edges=True, passes_by=True)
    alpha = np.zeros([5, 3], np.float32)
    alpha[2, 0], alpha[3, 1], alpha[4, 2] = 3.0, 2.0, 1.0  # by operations alone: edges 2 and 3
    made.alpha["normal"].assign(alpha)
    made.edge_alpha["normal"].assign([0, 0, -3.0, 1.0, 0.9])  # times edges: 3 and 4
    cell = magnitude.select(made).genotype.cells["normal"]
    assert [(c.source, c.operation) for c in cell[2:]] == [(1, "nor_conv_1x1"), (2, "avg_pool_3x3")]
    values = describe(made)
    assert values["skip_share"] == 0.5  # node 2's two edges, ties to the first operation, of four
    assert values["alpha/normal/3<-0/edge"] == -3.0


# probes and compaction


@pytest.fixture(scope="module")
def made():
    return two_cells.setup(**FIELDS | FULL, selection__augment_probes=False)


CASES = [("normal", EDGES), ("normal", operations(3, 4)), ("reduce", EDGES), ("reduce", operations(3, 3))]


def test_probes_score_as_whole_passes(made):
    prober, one_by_one = Prober(made, made.valid), OneByOne(made)
    for case in CASES:
        assert_equal(prober.score(*case, 1), one_by_one(*case, 1))


def test_compaction_changes_no_bit_and_no_probe():
    made = two_cells.setup(**FIELDS | FULL, selection__augment_probes=False)
    bilevel, images = made.bilevel, drawing.batch(0)[0]
    # Decided for none (the other channels pass all the same), for a skip; removed.
    for edge, operation in ((0, 0), (2, 1)):
        bilevel.architecture.decide_operation("normal", edge, operation)
    bilevel.architecture.decide_operation("reduce", 2, 2)
    bilevel.architecture.remove_edges("reduce", [4])
    bilevel.architecture.remove_edges("normal", [3])
    with bilevel.untracked():
        whole = bilevel.forward(images, training=True).numpy()
        cases = [
            ("normal", [(2, None), (4, None)]),
            ("normal", operations(1, 4)),
            ("reduce", operations(3, 3)),
        ]
        one_by_one = OneByOne(made)
        expected = [one_by_one(*case, 0) for case in cases]
        bilevel.architecture.compact()
        np.testing.assert_array_equal(bilevel.forward(images, training=True), whole)
    assert not bilevel.architecture.computed["normal"][3][-1]
    assert bilevel.architecture.computed["normal"][0] == (True, False, False, False, True)
    prober = Prober(made, made.valid)
    for case, scores in zip(cases, expected, strict=True):
        assert_equal(prober.score(*case, 0), scores)


def test_a_search_trains_both_alphas_and_records_them(tmp_path):
    made = tiny.setup(tiny.config(**FIELDS, search__epochs=1, search__evaluate_every=0))
    before = {t: a.numpy() for t, a in made.bilevel.alphas.items()}
    assert set(before) == {"normal", "normal/edges"}
    loop.run(made, tmp_path)
    for t, alpha in made.bilevel.alphas.items():
        assert (alpha.numpy() != before[t]).all()
    edges = made.bilevel.architecture.edge_alpha["normal"].numpy()
    result = tiny.json.loads((tmp_path / "result.json").read_text())
    np.testing.assert_array_equal(np.float32(result["edge_alpha"]["normal"]), edges)
    row = tiny.rows(tmp_path / "metrics.jsonl")[-1]
    assert row["alpha/normal/3<-2/edge"] == edges[2]
