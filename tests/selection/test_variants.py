"""Perturbation-based selection in all its variants, whole, from one searched supernet without fine-tuning."""

import numpy as np
import pytest

from tests.probe_masks import ProbeMasks
from tests.search import tiny
from tf_darts import spaces
from tf_darts.selection import darts_pt, schedule
from tf_darts.selection import select as selection_lib
from tf_darts.workdir.checkpoints import load_from
from tf_darts.workdir.decisions import OperationDecision

EDGES = 3


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Alphas that differ much, saved as if searched."""
    folder = tmp_path_factory.mktemp("searched")
    tiny.save_unsearched(folder, seed=3)
    return folder


def searched_supernet(searched):
    made = tiny.setup(tiny.config(seed=3))
    bilevel = made.bilevel
    load_from(searched, supernet=bilevel.supernet, architecture=bilevel.architecture)
    return made


def select(searched, folder, **fields):
    fields = {
        "selection__interval": 0,
        "selection__compact": False,
        **{f"selection__{k}": v for k, v in fields.items()},
    }
    made = tiny.setup(tiny.config(seed=3, **fields))
    genotype = selection_lib.run(made, searched, folder)
    return made, genotype, tiny.rows(folder / "decisions.jsonl")


def operations(rows):
    return {row["edge"]: row["operation"] for row in rows if row["kind"] == "operation"}


def test_by_magnitude_nothing_is_probed(searched, tmp_path):
    made, genotype, rows = select(searched, tmp_path, criterion="magnitude")
    weights = made_weights(searched)
    assert operations(rows) == {e: int(weights[e].argmax()) for e in range(EDGES)}
    assert not any("probes" in row for row in rows) and "rounds" not in rows[-1]
    assert rows[-1]["kept"] == sorted(np.argsort(-weights.max(1), kind="stable")[:2].tolist())
    assert len(genotype.cells["normal"]) == 2
    # Those are the decisions of magnitude-based selection, as nothing was trained between.
    (tmp_path / "magnitude").mkdir()
    plain = select(searched, tmp_path / "magnitude", method="magnitude")[1]
    assert set(plain.cells["normal"]) == set(genotype.cells["normal"])
    assert made.bilevel.architecture.undecided_edges("normal") == []


def made_weights(searched):
    return searched_supernet(searched).bilevel.architecture.mixing_weights()["normal"].numpy()


@pytest.mark.parametrize(
    ("name", "chosen", "lost"),
    [
        ("darts_with_none", "none", True),
        ("darts_with_none", "skip_connect", False),
        ("nas_bench_201", "none", False),
    ],
)
def test_none_where_no_genotype_holds_it_is_pointed_out(name, chosen, lost):
    decision = OperationDecision(
        epoch=0, cell_type="normal", edge=0, edge_name="2<-0", operation=0, chosen=chosen
    )
    sentence = darts_pt._sentence(spaces.get(name), decision)
    assert sentence.startswith(f"normal edge 2<-0 keeps {chosen}")
    assert ("a genotype of this space may not hold none" in sentence) == lost


def test_operations_by_probes_and_edges_by_magnitude(searched, tmp_path):
    _, _, rows = select(searched, tmp_path, topology_criterion="magnitude")
    assert [row["criterion"] for row in rows] == ["accuracy"] * EDGES + ["magnitude"]
    assert all("probes" in row for row in rows[:EDGES]) and "rounds" not in rows[-1]
    # By the weight that an edge's operations had at most when it was decided.
    largest = {row["edge"]: max(row["mixing_weights"].values()) for row in rows[:EDGES]}
    expected = sorted(sorted(largest, key=lambda e: -largest[e])[:2])
    assert rows[-1]["kept"] == expected


def test_the_loss_decides_operations_and_edges(searched, tmp_path):
    _, _, rows = select(searched, tmp_path, criterion="loss")
    for row in rows[:EDGES]:
        losses = [probe["loss"] for probe in row["probes"]]
        assert row["operation"] == int(np.argmax(losses))
    (topology,) = rows[-1]["rounds"]
    losses = [probe["loss"] for probe in topology["probes"]]
    # All edges start at the same node, so that losses may be equal: the later edge goes.
    assert topology["removed"] == [max(e for e in range(EDGES) if losses[e] == min(losses))]
    assert {row["criterion"] for row in rows} == {"loss"}


def test_certainty_of_sigmoids_is_that_of_their_shares():
    """An edge of three small equal sigmoids is wholly undecided; one of two is not."""
    rows = {"normal": np.array([[0.01, 0.01, 0.01], [0.9, 0.9, 0.0], [0.99, 0.01, 0.01]])}
    for least, edges in ((True, [0, 1, 2]), (False, [2, 1, 0])):
        pick, left = schedule.by_certainty(tiny.SPACE, rows, least), [0, 1, 2]
        for edge in edges:
            assert pick("normal", "operation", left) == edge
            left.remove(edge)


def test_orders(searched, tmp_path):
    architecture = searched_supernet(searched).bilevel.architecture
    p = architecture.probabilities()["normal"].numpy()
    entropy = -(p * np.log(p)).sum(1)
    expected = {
        "index": [0, 1, 2],
        "least_certain": np.argsort(-entropy).tolist(),
        "most_certain": np.argsort(entropy).tolist(),
    }
    assert expected["index"] != expected["least_certain"]
    for order, edges in expected.items():
        (tmp_path / order).mkdir()
        _, _, rows = select(searched, tmp_path / order, order=order, criterion="magnitude")
        assert [row["edge"] for row in rows[:EDGES]] == edges
    draw, left, drawn = np.random.RandomState(3), [0, 1, 2], []
    while left:  # as the release: numpy's legacy generator
        drawn.append(int(draw.choice(left, size=1)[0]))
        left.remove(drawn[-1])
    (tmp_path / "random").mkdir()
    _, _, rows = select(searched, tmp_path / "random", order="random", criterion="magnitude")
    assert [row["edge"] for row in rows[:EDGES]] == drawn


def test_the_node_whose_edges_are_least_certain_comes_first():
    space = spaces.get("darts")
    p = np.full([14, 7], 1 / 7)
    p[:9] = np.eye(7)[0]  # the last node's edges alone are undecided
    pick = schedule.by_certainty(space, {"normal": p})
    assert pick("normal", "topology", [3, 4, 5]) == 5
    assert pick("normal", "operation", [0, 3, 9, 12]) == 9  # the first of equal ones
    pick = schedule.by_certainty(space, {"normal": p}, least=False)
    assert pick("normal", "topology", [3, 4, 5]) == 3 and pick("normal", "operation", [9, 3, 12]) == 3


def test_one_shot_decides_all_from_the_searched_supernet(searched, tmp_path):
    _, genotype, rows = select(searched, tmp_path, one_shot=True, criterion="loss", order="index")
    whole = searched_supernet(searched)
    architecture = whole.bilevel.architecture
    masks = ProbeMasks(architecture)
    evaluate = whole.evaluator(whole.valid, "selection/probe", training=True, augment=True)
    weights = architecture.mixing_weights()["normal"].numpy()
    for number, row in enumerate(rows[:EDGES]):
        assert list(row["mixing_weights"].values()) == weights[row["edge"]].tolist()  # nothing was decided
        for operation, probe in enumerate(row["probes"]):
            masks.probe("normal", row["edge"], operation)
            score = evaluate(pass_index=number * EDGES)
            assert score.correct == probe["correct"] and score.loss == pytest.approx(probe["loss"], rel=1e-5)
    (topology,) = rows[-1]["rounds"]
    for probe in topology["probes"]:
        masks.probe("normal", probe["edge"], None)
        assert evaluate(pass_index=EDGES * EDGES).loss == pytest.approx(probe["loss"], rel=1e-5)
    chosen = operations(rows)
    expected = {(e, tiny.OPERATIONS[chosen[e]]) for e in rows[-1]["kept"]}
    assert {(c.source, c.operation) for c in genotype.cells["normal"]} == expected
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_step_by_step_a_decision_changes_the_next_probes(searched, tmp_path):
    folders = [tmp_path / name for name in ("once", "steps")]
    for folder in folders:
        folder.mkdir()
    once, steps = (
        select(searched, folder, one_shot=folder.name == "once", criterion="loss", order="index")[2]
        for folder in folders
    )
    first, second = ([probe["loss"] for probe in rows[0]["probes"]] for rows in (once, steps))
    assert first == pytest.approx(second, rel=1e-5)
    later = [[probe["loss"] for probe in rows[2]["probes"]] for rows in (once, steps)]
    assert later[0] != pytest.approx(later[1], rel=1e-3)
