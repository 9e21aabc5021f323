"""Random sharing: each step trains an architecture drawn uniformly from all genotypes."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.search import drawing, tiny, two_cells
from tf_darts import spaces
from tf_darts.genotypes.derive import candidates_of
from tf_darts.models.architecture import Architecture
from tf_darts.search.methods.random_sharing import draw

DRAWS = 3000


def drawn(architecture, cell_type="normal", draws=DRAWS):
    """Rows of many draws: float32 [draws, edges, operations]."""
    function = tf.function(
        lambda: tf.map_fn(
            lambda n: draw(architecture, cell_type, tf.stack([9, n])),
            tf.range(draws),
            fn_output_signature=tf.float32,
        )
    )
    return function().numpy()


def uniform(counts):
    return stats.chisquare(counts).pvalue > 1e-3


@pytest.fixture(scope="module")
def rows():
    return drawn(Architecture(two_cells.SPACE))


def test_nodes_keep_as_many_edges_as_a_genotype_and_all_pairs_are_as_likely(rows):
    taken = rows.any(-1)
    assert (taken[:, :2]).all() and (taken[:, 2:].sum(1) == 2).all()
    pairs = collections.Counter(map(tuple, taken[:, 2:].tolist()))
    assert len(pairs) == 3 and uniform(list(pairs.values()))


def test_operations_are_as_likely_and_none_is_not_among_them(rows):
    assert set(np.unique(rows)) == {0.0, 1.0} and (rows.sum(-1) <= 1).all()
    assert two_cells.SPACE.candidates["normal"][0][0] == "none" and not rows[..., 0].any()
    for edge in range(5):
        assert uniform(rows[:, edge, 1:].sum(0))
    # Edges are independent: pairs of operations are as likely.
    pairs = collections.Counter(
        zip(rows[:, 0].argmax(1).tolist(), rows[:, 1].argmax(1).tolist(), strict=True)
    )
    assert len(pairs) == 9 and uniform(list(pairs.values()))


def test_where_nodes_keep_all_edges_so_does_a_draw_and_none_counts():
    space = spaces.get("nas_bench_201")
    assert candidates_of(space, "normal", 0) == [0, 1, 2, 3, 4]
    rows = drawn(Architecture(space), draws=2000)
    assert (rows.sum(-1) == 1).all() and all(uniform(rows[:, e].sum(0)) for e in range(6))


def test_decisions_are_kept():
    architecture = Architecture(two_cells.SPACE)
    architecture.decide_operation("normal", 0, 2)
    architecture.decide_operation("normal", 1, 0)  # none
    architecture.remove_edges("normal", [3])
    rows = drawn(architecture, draws=200)
    assert (rows[:, 0].argmax(1) == 2).all() and (rows[:, 1] == [1, 0, 0, 0]).all()
    assert rows[:, [2, 4]].any(-1).all()  # the only two that are left


def test_a_step_trains_the_architecture_that_was_drawn():
    made = drawing.setup(search__method="random_sharing")
    alpha = made.bilevel.architecture.alpha["normal"].numpy()
    seen = set()
    for number in range(6):
        used = drawing.mixing_weights_of(made, number)
        assert set(used) == {"weights"}
        rows = used["weights"]["normal"]
        assert rows[:2].any(1).all() and rows[2:].any(1).tolist() == [True, False, True]  # 3 is removed
        assert set(np.unique(rows)) == {0.0, 1.0} and rows[drawing.DECIDED].tolist() == [0, 0, 1]
        seen.add(rows.tobytes())
    assert len(seen) > 2
    np.testing.assert_array_equal(made.bilevel.architecture.alpha["normal"].numpy(), alpha)
    assert not alpha.any()  # probabilities are uniform for perturbation
    assert tiny.method("random_sharing").alpha_metrics == ()
