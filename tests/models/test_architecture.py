"""The mixing weights in every state of the search: open, probed, decided, removed."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_darts import spaces
from tf_darts.models.architecture import Architecture
from tf_darts.spaces.space import Space


def softmax(rows):
    exponents = np.exp(rows - rows.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def weights_of(architecture):
    return {cell_type: w.numpy() for cell_type, w in architecture.mixing_weights().items()}


def gradients_of(architecture):
    """Gradients of a sum in which every mixing weight has a factor of its own."""
    alphas = list(architecture.alpha.values())
    with tf.GradientTape() as tape:
        total = 0.0
        for weights in architecture.mixing_weights().values():
            factors = np.arange(weights.shape.num_elements(), dtype=np.float32).reshape(weights.shape)
            total += tf.reduce_sum(weights * factors**2)
    return dict(zip(architecture.alpha, [g.numpy() for g in tape.gradient(total, alphas)], strict=True))


@pytest.fixture
def architecture():
    return Architecture(spaces.get("darts"), alpha_scale=1.0, seed=3)


# Two edges into node 1 and 2 of a cell with one input; the edges have 1, 3 and 2 candidates.
RAGGED = Space(
    name="ragged",
    input_nodes=1,
    nodes=2,
    candidates={
        "normal": (("skip_connect",), ("none", "skip_connect", "nor_conv_1x1"), ("none", "nor_conv_3x3"))
    },
    output_nodes=(2,),
    kept_edges=None,
    stacking=spaces.get("nas_bench_201").stacking,
)


def test_alpha_starts_small_normal_and_reproducible():
    space = spaces.get("darts")
    first, same, other = (Architecture(space, 1e-3, seed) for seed in (0, 0, 1))
    for cell_type in space.cell_types:
        alpha = first.alpha[cell_type].numpy()
        assert alpha.shape == (14, 7) and alpha.dtype == np.float32
        assert 0.8e-3 < alpha.std() < 1.2e-3
        np.testing.assert_array_equal(alpha, same.alpha[cell_type])
        assert not np.array_equal(alpha, other.alpha[cell_type])
    assert not np.array_equal(first.alpha["normal"], first.alpha["reduce"])
    assert [v.shape.num_elements() for v in first.trainable_variables] == [98, 98]


@pytest.mark.parametrize(
    ("name", "scalars"),
    [("darts", 196), ("s1", 56), ("s2", 56), ("s3", 84), ("s4", 56), ("nas_bench_201", 30)],
)
def test_size_of_alpha(name, scalars):
    alphas = Architecture(spaces.get(name)).trainable_variables
    assert sum(v.shape.num_elements() for v in alphas) == scalars


def test_a_scale_of_zero_gives_uniform_weights():
    architecture = Architecture(spaces.get("s3"), alpha_scale=0)
    np.testing.assert_allclose(weights_of(architecture)["normal"], 1 / 3, rtol=1e-6)


def test_undecided_edges_are_softmaxes(architecture):
    for cell_type, weights in weights_of(architecture).items():
        np.testing.assert_allclose(weights, softmax(architecture.alpha[cell_type].numpy()), rtol=1e-5)
    assert architecture.undecided_edges("normal") == list(range(14))


def test_a_decided_row_is_one_hot_and_the_others_are_as_before(architecture):
    before = weights_of(architecture)
    architecture.decide_operation("normal", 5, 2)
    after = weights_of(architecture)
    assert after["normal"][5].tolist() == [0, 0, 1, 0, 0, 0, 0]
    others = [e for e in range(14) if e != 5]
    np.testing.assert_array_equal(after["normal"][others], before["normal"][others])
    np.testing.assert_array_equal(after["reduce"], before["reduce"])
    assert architecture.undecided_edges("normal") == others
    assert architecture.undecided_edges("reduce") == list(range(14))


def test_decided_and_removed_rows_get_exactly_no_gradient(architecture):
    plain = gradients_of(architecture)
    assert all((np.abs(g).sum(1) > 0).all() for g in plain.values())
    architecture.decide_operation("normal", 5, 2)
    architecture.decide_operation("reduce", 0, 6)
    architecture.remove_edges("normal", [7, 8])
    gradients = gradients_of(architecture)
    assert not gradients["normal"][[5, 7, 8]].any()
    assert not gradients["reduce"][0].any()
    open_rows = [e for e in range(14) if e not in (5, 7, 8)]
    np.testing.assert_array_equal(gradients["normal"][open_rows], plain["normal"][open_rows])
    np.testing.assert_array_equal(gradients["reduce"][1:], plain["reduce"][1:])


def test_a_decided_row_stays_one_hot_whatever_alpha_does(architecture):
    architecture.decide_operation("normal", 0, 1)
    architecture.alpha["normal"].assign(1e4 * architecture.alpha["normal"])
    assert weights_of(architecture)["normal"][0].tolist() == [0, 1, 0, 0, 0, 0, 0]


def test_removed_edges_are_zero_and_may_be_decided_before(architecture):
    architecture.decide_operation("normal", 3, 0)
    architecture.remove_edges("normal", [2, 3])
    weights = weights_of(architecture)["normal"]
    assert not weights[[2, 3]].any()
    np.testing.assert_allclose(weights[[0, 1, 4, 5]].sum(1), 1, rtol=1e-6)


def test_an_operation_that_is_not_open_cannot_be_decided(architecture):
    architecture.decide_operation("normal", 0, 1)
    with pytest.raises(ValueError, match="normal edge 0: operation 2 is not open"):
        architecture.decide_operation("normal", 0, 2)
    architecture.decide_operation("normal", 0, 1)  # once more changes nothing
    assert weights_of(architecture)["normal"][0, 1] == 1


def test_edges_with_fewer_candidates():
    architecture = Architecture(RAGGED, alpha_scale=1.0)
    alpha, weights = architecture.alpha["normal"].numpy(), weights_of(architecture)["normal"]
    assert alpha.shape == weights.shape == (3, 3)
    assert weights[0].tolist() == [1, 0, 0]
    np.testing.assert_allclose(weights[1], softmax(alpha[1]), rtol=1e-5)
    np.testing.assert_allclose(weights[2, :2], softmax(alpha[2, :2]), rtol=1e-5)
    assert weights[2, 2] == 0
    gradient = gradients_of(architecture)["normal"]
    assert not gradient[0].any() and gradient[2, 2] == 0 and gradient[1].all() and gradient[2, :2].all()
    assert architecture.undecided_edges("normal") == [1, 2]
    with pytest.raises(ValueError, match="operation 2 is not open"):
        architecture.decide_operation("normal", 2, 2)


def test_free_are_the_open_operations_of_edges_that_are_there_and_have_several():
    architecture = Architecture(RAGGED)
    assert architecture.free("normal").numpy().astype(int).sum(1).tolist() == [0, 3, 2]
    assert architecture.undecided_edges("normal") == [1, 2]
    architecture.decide_operation("normal", 1, 0)
    assert architecture.free("normal").numpy().astype(int).sum(1).tolist() == [0, 0, 2]
    architecture.remove_edges("normal", [2])
    assert not architecture.free("normal").numpy().any() and architecture.undecided_edges("normal") == []


def test_nodes_are_undecided_while_they_have_more_edges_than_they_keep(architecture):
    assert architecture.undecided_nodes("normal") == [3, 4, 5]  # node 2 has two
    architecture.remove_edges("normal", [2])  # of the three into node 3
    architecture.remove_edges("normal", [5, 6, 9])  # of four into node 4 and five into node 5
    assert architecture.undecided_nodes("normal") == [5]
    assert architecture.undecided_nodes("reduce") == [3, 4, 5]


def test_restricted_to_a_genotype_its_operations_have_weight_one_and_all_else_zero(architecture):
    kept = {t: np.zeros((14, 7)) for t in ("normal", "reduce")}
    kept["normal"][[0, 4, 13], [6, 2, 0]] = 1
    architecture.restrict(kept)
    for cell_type, weights in weights_of(architecture).items():
        np.testing.assert_array_equal(weights, kept[cell_type])
    assert architecture.undecided_edges("normal") == []


def test_state_is_in_the_checkpoint(tmp_path, architecture):
    architecture.decide_operation("reduce", 2, 1)
    architecture.remove_edges("normal", [9])
    path = tf.train.Checkpoint(architecture=architecture).write(str(tmp_path / "state"))
    fresh = Architecture(architecture.space, seed=9)
    tf.train.Checkpoint(architecture=fresh).read(path).assert_consumed()
    for cell_type, weights in weights_of(architecture).items():
        np.testing.assert_array_equal(weights_of(fresh)[cell_type], weights)


def test_everything_there_is_is_evaluated_until_compacted():
    architecture = Architecture(RAGGED, alpha_scale=1.0)
    everything = np.array([[1, 0, 0], [1, 1, 1], [1, 1, 0]], bool)  # 1, 3 and 2 candidates
    np.testing.assert_array_equal(architecture.computed["normal"], everything)
    architecture.decide_operation("normal", 1, 2)
    architecture.remove_edges("normal", [2])
    np.testing.assert_array_equal(architecture.computed["normal"], everything)
    architecture.compact()
    left = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(architecture.computed["normal"], left)


def test_what_is_not_evaluated_weighs_nothing(architecture):
    architecture.decide_operation("normal", 3, 1)
    architecture.remove_edges("reduce", [4, 13])
    architecture.compact()
    for cell_type, weights in weights_of(architecture).items():
        assert not weights[~np.array(architecture.computed[cell_type])].any()


def test_a_checkpoint_does_not_depend_on_compacting(tmp_path, architecture):
    architecture.decide_operation("reduce", 2, 1)
    architecture.compact()
    path = tf.train.Checkpoint(architecture=architecture).write(str(tmp_path / "state"))
    fresh = Architecture(architecture.space, seed=9)
    tf.train.Checkpoint(architecture=fresh).read(path).assert_consumed()
    np.testing.assert_array_equal(weights_of(fresh)["reduce"], weights_of(architecture)["reduce"])
    assert np.sum(fresh.computed["reduce"]) == 14 * 7
    fresh.compact()
    assert fresh.computed == architecture.computed


two_types = dataclasses.replace(
    RAGGED, candidates={**RAGGED.candidates, "reduce": RAGGED.candidates["normal"]}
)
actions = st.lists(
    st.tuples(
        st.sampled_from(["decide", "remove"]),
        st.sampled_from(["normal", "reduce"]),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(actions=actions, scale=st.sampled_from([0.0, 1e-3, 1.0, 100.0]), seed=st.integers(0, 5))
def test_after_any_decisions_rows_are_distributions_one_hot_or_zero(actions, scale, seed):
    architecture = Architecture(two_types, scale, seed)
    decided, removed = {}, set()
    for action, cell_type, edge, operation in actions:
        possible = range(len(two_types.candidates[cell_type][edge]))
        if action == "remove":
            architecture.remove_edges(cell_type, [edge])
            removed.add((cell_type, edge))
        elif operation in possible and decided.get((cell_type, edge), operation) == operation:
            architecture.decide_operation(cell_type, edge, operation)
            decided[cell_type, edge] = operation
        else:
            with pytest.raises(ValueError, match="is not open"):
                architecture.decide_operation(cell_type, edge, operation)
    for cell_type, weights in weights_of(architecture).items():
        for edge, row in enumerate(weights):
            count = len(two_types.candidates[cell_type][edge])
            if (cell_type, edge) in removed:
                assert not row.any()
            elif (cell_type, edge) in decided:
                assert row.tolist() == np.eye(3)[decided[cell_type, edge]].tolist()
            else:
                assert row.min() >= 0 and not row[count:].any()
                assert row.sum() == pytest.approx(1, rel=1e-5)
