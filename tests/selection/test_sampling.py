"""Random genotypes, and the best of many by the supernet cut down to each."""

import collections

import numpy as np
import pytest
from scipy import stats

from tests.search import drawing, tiny
from tests.search.drawing import DECIDED, REMOVED
from tf_darts.genotypes.genotype import from_text
from tf_darts.models.evaluator import Evaluator
from tf_darts.selection import sampling
from tf_darts.selection import select as selection_lib
from tf_darts.workdir.records import JsonLines

RANKING = {"selection__method": "supernet_ranking", "selection__samples": 12}


def genotypes(path):
    return [row["genotype"] for row in tiny.rows(path / "decisions.jsonl")]


def test_random_genotypes_are_uniform_over_the_space():
    draw = np.random.default_rng(0)
    drawn = collections.Counter()
    for _ in range(2400):
        rows = sampling.random_mixing_weights(tiny.SPACE, draw)["normal"]
        assert set(rows.ravel()) == {0, 1} and (rows.sum(1) <= 1).all()
        drawn[rows.tobytes()] += 1
    assert len(drawn) == 3 * 2 * 2  # pairs of three edges, two operations on each
    assert stats.chisquare(list(drawn.values())).pvalue > 1e-3


def test_a_random_selection_is_the_seeds_and_needs_no_search(tmp_path):
    chosen = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", 2)):
        (tmp_path / name).mkdir()
        made = tiny.setup(tiny.config(selection__method="random", seed=seed))
        chosen.append(selection_lib.run(made, tmp_path / "nothing", tmp_path / name))
        assert [from_text(text, tiny.SPACE) for text in genotypes(tmp_path / name)] == chosen[-1:]
    assert chosen[0] == chosen[1] and len({str(genotype) for genotype in chosen}) > 1


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    tiny.save_unsearched(folder)
    return folder


def rank(searched, folder, **fields):
    folder.mkdir(exist_ok=True)
    made = tiny.setup(tiny.config(**RANKING, **fields))
    return made, selection_lib.run(made, searched, folder)


@pytest.fixture(scope="module")
def ranked(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranked")
    return *rank(searched, folder), folder


def test_every_genotype_is_scored_by_the_supernet_that_holds_nothing_else(ranked):
    made, genotype, folder = ranked
    rows = tiny.rows(folder / "decisions.jsonl")
    assert len(rows) == 12 and {row["images"] for row in rows} == {16}
    space, architecture, differing = tiny.SPACE, made.bilevel.architecture, set()
    evaluate = made.evaluator(made.valid, "selection/ranking", training=True, augment=True)
    for row in {row["genotype"]: row for row in rows}.values():
        mask = np.zeros([3, 2], np.float32)
        for choice in from_text(row["genotype"], space).cells["normal"]:
            mask[choice.source, tiny.OPERATIONS.index(choice.operation)] = 1
        architecture.restrict({"normal": mask})
        score = evaluate(pass_index=0)
        assert (score.correct, score.loss) == (row["correct"], pytest.approx(row["loss"], rel=1e-5))
        differing.add(row["loss"])
    assert len(differing) > 3
    best = max(row["correct"] for row in rows)
    first = next(row for row in rows if row["correct"] == best)
    assert genotype == from_text(first["genotype"], space)


def test_probe_images_and_augmentation_count(searched, ranked, tmp_path):
    rank(searched, tmp_path / "few", selection__probe_images=8)
    assert {row["images"] for row in tiny.rows(tmp_path / "few" / "decisions.jsonl")} == {8}
    rank(searched, tmp_path / "plain", selection__augment_probes=False)
    assert genotypes(tmp_path / "plain") == genotypes(ranked[2])
    losses = [
        [row["loss"] for row in tiny.rows(path / "decisions.jsonl")]
        for path in (tmp_path / "plain", ranked[2])
    ]
    assert losses[0] != losses[1]


def test_a_stopped_ranking_continues_as_if_it_had_not_been(searched, ranked, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, JsonLines, "append", 5)
        with pytest.raises(tiny.StoppedError):
            rank(searched, tmp_path)
    assert genotypes(tmp_path) == genotypes(ranked[2])[:4]
    assert rank(searched, tmp_path)[1] == ranked[1]
    for name in ("decisions.jsonl", "genotype.json"):
        assert (tmp_path / name).read_text() == (ranked[2] / name).read_text()


def test_what_a_search_decided_and_removed_stays(tmp_path):
    made = drawing.setup(selection__method="supernet_ranking", selection__samples=40)
    sampling.supernet_ranking(made, tmp_path)
    decided, others = drawing.SPACE.edges[DECIDED], set()
    for text in genotypes(tmp_path):
        cell = from_text(text, drawing.SPACE).cells["normal"]
        assert {drawing.SPACE.edges[e].source for e in {2, 3, 4} - {REMOVED}} == {
            c.source for c in cell if c.target == 3
        }
        for choice in cell:
            if (choice.target, choice.source) == (decided.target, decided.source):
                assert choice.operation == drawing.THREE[2]
            else:
                others.add((choice.target, choice.source, choice.operation))
    assert len(others) == 2 + 3 + 3  # everything that is open


def test_what_is_drawn_again_is_not_scored_again(tmp_path, monkeypatch):
    made = drawing.setup(selection__method="supernet_ranking", selection__samples=40)
    architecture = made.bilevel.architecture
    for edge in (0, 2, 4):
        architecture.decide_operation("normal", edge, 1)
    passes, call = [], Evaluator.__call__
    monkeypatch.setattr(
        Evaluator, "__call__", lambda self, **given: passes.append(given) or call(self, **given)
    )
    genotype = sampling.supernet_ranking(made, tmp_path)
    assert len(passes) == 1 and set(genotypes(tmp_path)) == {genotype.to_text(drawing.SPACE)}
    assert len(genotypes(tmp_path)) == 40
