"""Zero-Cost-PT: what it decides from an untrained supernet, how it chooses, and how it goes on."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.data.batches import of_passes
from tf_darts.genotypes.genotype import from_text
from tf_darts.registry import CRITERIA
from tf_darts.report import spent
from tf_darts.selection import select as selection_lib
from tf_darts.selection import zero_cost_pt
from tf_darts.selection.criterion import View
from tf_darts.selection.probe_steps import PURPOSE
from tf_darts.workdir import decisions as decisions_lib
from tf_darts.workdir import top_file
from tf_darts.workdir.decisions import OperationDecision, ProposalRow, TopologyDecision

EDGES, PROPOSALS = 3, 3
FIELDS = {
    "selection__method": "zero_cost_pt",
    "selection__proxy": "snip",
    "selection__proposals": PROPOSALS,
    "selection__proposal_batches": 2,
}


def select(folder):
    folder.mkdir(exist_ok=True)
    made = tiny.setup(tiny.config(seed=4, **FIELDS))
    # There is no search to read.
    genotype = selection_lib.run(made, folder / "no_search", folder)
    return genotype, decisions_lib.read(folder)


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selected")
    return *select(folder), folder


def score(made, number, mask):
    """The score of the first batch of a pass, of the supernet with a mask on its mixing weights."""
    batch = of_passes(made.valid, PURPOSE, 8, 8, 1, True)(tf.constant(2 * number), tf.constant(0))
    weights = {"normal": made.bilevel.architecture.mixing_weights()["normal"] * mask.astype(np.float32)}
    proxy = CRITERIA.load("snip")()
    return float(tf.function(lambda: proxy.score(View(made.bilevel, *batch, weights)))())


def test_it_keeps_what_leaves_the_lowest_score_when_it_is_removed(selected):
    _, rows, _ = selected
    made = tiny.setup(tiny.config(seed=4, **FIELDS))
    architecture = made.bilevel.architecture
    (proposal,) = (row.number for row in rows if isinstance(row, ProposalRow) and row.selected)
    decided = [row for row in rows if isinstance(row, OperationDecision | TopologyDecision)]
    assert [row.number for row in decided] == list(range(EDGES + 1))
    for row in decided:
        number = proposal * len(decided) + row.number
        scores = []
        places = (
            [(row.edge, o) for o in range(2)] if row.kind == "operation" else [(e, None) for e in range(3)]
        )
        for edge, operation in places:
            mask = np.ones((EDGES, 2))
            mask[edge, slice(None) if operation is None else operation] = 0
            scores.append(score(made, number, mask))
        assert [-v for v in row.measured.importance.values()] == pytest.approx(scores, rel=1e-4)
        if row.kind == "operation":
            assert row.operation == int(np.argmin(scores)) and row.criterion == "snip"
            architecture.decide_operation("normal", row.edge, row.operation)
        else:
            # All edges start at the same node, so that scores may be equal but for rounding.
            assert scores[row.removed[0]] == pytest.approx(max(scores), rel=1e-4)


def test_the_best_discrete_network_is_selected(selected):
    genotype, rows, _ = selected
    proposals = [row for row in rows if isinstance(row, ProposalRow)]
    assert [row.number for row in proposals] == list(range(PROPOSALS))
    scores = [row.score for row in proposals]
    assert [row.selected for row in proposals] == [s == max(scores) for s in scores]
    made = tiny.setup(tiny.config(seed=4, **FIELDS))
    for row in proposals:
        proposed = from_text(row.genotype, tiny.SPACE)
        weights = np.zeros((EDGES, 2), np.float32)
        for choice in proposed.cells["normal"]:
            weights[choice.source, tiny.OPERATIONS.index(choice.operation)] = 1
        made.bilevel.architecture.restrict({"normal": weights})
        each = [score(made, batch, np.ones((EDGES, 2))) for batch in range(2)]
        assert row.score == pytest.approx(np.mean(each), rel=1e-4) and row.images == 16
        if row.selected:
            assert proposed == genotype
    assert len(set(scores)) > 1  # the orders differ, and so do genotypes


def test_the_next_best_are_the_other_proposals(selected):
    _, rows, folder = selected
    scores = {row.genotype: row.score for row in rows if isinstance(row, ProposalRow)}
    criterion, ranked = top_file.read(folder)
    assert criterion == "snip" and [row.genotype for row in ranked] == sorted(
        scores, key=lambda g: -scores[g]
    )
    for row in ranked:
        assert row.lost == pytest.approx(max(scores.values()) - scores[row.genotype])


def test_it_goes_on_after_a_kill_as_if_there_had_been_none(selected, tmp_path, monkeypatch):
    _, _, whole = selected
    propose = zero_cost_pt.propose

    def killed(setup, prober, number):
        if number == 1:
            raise KeyboardInterrupt
        return propose(setup, prober, number)

    with monkeypatch.context() as patch:
        patch.setattr(zero_cost_pt, "propose", killed)
        with pytest.raises(KeyboardInterrupt):
            select(tmp_path / "killed")
    assert len(tiny.rows(tmp_path / "killed" / "proposals.jsonl")) == 1
    select(tmp_path / "killed")
    for name in ("proposals.jsonl", "decisions.jsonl", "genotype.json", "top.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole / name).read_bytes(), name


def test_all_passes_are_counted(selected):
    _, rows, _ = selected
    # Forward and backward: two removals on each of three edges and three on the node, of 8 images each; and
    # two batches of the discrete network.
    assert spent._in_probes(rows) == pytest.approx(PROPOSALS * ((3 * 2 + 3) * 8 + 2 * 8))
