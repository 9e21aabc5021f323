"""The best genotypes of a selection, against all that there are and what each gives up."""

import itertools
import json

import numpy as np
import pytest

from tests.search import tiny
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models.architecture import Architecture
from tf_darts.search import loop as search_loop
from tf_darts.selection import magnitude, top
from tf_darts.selection import select as selection_lib
from tf_darts.workdir import genotype_file, top_file
from tf_darts.workdir.decisions import OperationDecision, Probe, Round, TopologyDecision

IMAGES = 100
CONV, SKIP = "nor_conv_1x1", "skip_connect"
# Correct images without each operation of the three edges, and without each edge.
WITHOUT = {0: {SKIP: 60, CONV: 40}, 1: {SKIP: 30, CONV: 35}, 2: {SKIP: 90, CONV: 50}}
WITHOUT_EDGE = {0: 20, 1: 45, 2: 70}
SELECTED = Genotype("tiny", {"normal": (Choice(3, 0, CONV), Choice(3, 1, SKIP))})


def probe(correct, **about):
    return Probe(correct=correct, images=IMAGES, accuracy=correct / IMAGES, loss=correct / 10, **about)


def made(refused=()):
    rows = [
        OperationDecision(
            number=edge,
            epoch=0,
            cell_type="normal",
            criterion="accuracy",
            edge=edge,
            operation=int(found[CONV] < found[SKIP]),
            chosen=min(found, key=found.get),
            refused=tuple(refused),
            probes=tuple(probe(correct, operation=name) for name, correct in found.items()),
        )
        for edge, found in WITHOUT.items()
    ]
    rounds = (Round(probes=tuple(probe(c, edge=e) for e, c in WITHOUT_EDGE.items()), removed=(2,)),)
    return [
        *rows,
        TopologyDecision(
            number=3, epoch=0, cell_type="normal", criterion="accuracy", rounds=rounds, node=3,
            removed=(2,), kept=(0, 1),
        ),
    ]  # fmt: skip


def every_genotype():
    """All genotypes of the space, with what each gives up by the definition."""
    found = {}
    for kept in itertools.combinations(range(3), 2):
        edges_lost = sum(WITHOUT_EDGE[2] - WITHOUT_EDGE[e] for e in (0, 1) if e not in kept)
        for names in itertools.product((SKIP, CONV), repeat=2):
            lost = edges_lost
            for edge, name in zip(kept, names, strict=True):
                lost += WITHOUT[edge][name] - min(WITHOUT[edge].values())
            found[frozenset(zip(kept, names, strict=True))] = lost / IMAGES
    return found


def choices(genotype):
    return frozenset((choice.source, choice.operation) for choice in genotype.cells["normal"])


def test_all_genotypes_are_ranked_by_what_they_give_up():
    ranked = top.ranking(tiny.SPACE, SELECTED, made())
    assert ranked[0] == (0.0, SELECTED)
    lost = [lost for lost, _ in ranked]
    assert lost == sorted(lost) and len(ranked) == 12
    assert {choices(genotype): lost for lost, genotype in ranked} == pytest.approx(every_genotype())


def test_what_a_budget_refused_is_no_choice():
    ranked = top.ranking(tiny.SPACE, SELECTED, made(refused=[SKIP]))
    names = {source: name for source, name in choices(ranked[0][1])}
    assert names == {0: CONV, 1: SKIP}  # as selected, whatever its rows say
    assert all((2, SKIP) not in choices(genotype) for _, genotype in ranked)


def test_edges_stay_where_another_criterion_decided_them():
    rows = made()
    rows[-1] = TopologyDecision(**{**rows[-1].__dict__, "criterion": "loss"})
    ranked = top.ranking(tiny.SPACE, SELECTED, rows)
    assert len(ranked) == 4 and all({0, 1} == {s for s, _ in choices(g)} for _, g in ranked)


@pytest.mark.parametrize("name", ["darts", "nas_bench_201"])
def test_magnitude_begins_with_what_it_selected(name):
    space = spaces.get(name)
    architecture = Architecture(space, alpha_scale=1.0, seed=1)
    selected = magnitude.select(architecture)
    ranked = top.ranking(space, selected.genotype, selected.decisions)
    assert ranked[0] == (0.0, selected.genotype)
    lost = np.array([lost for lost, _ in ranked])
    assert (np.diff(lost) >= 0).all()
    texts = [genotype.to_text(space) for _, genotype in ranked]
    assert len(set(texts)) == len(texts) == top.TRIED
    # The second gives up the smallest lead there is: of an operation, or of an edge.
    weights = architecture.current_weights()
    assert read_genotype(space, weights) == selected.genotype
    leads = []
    for t in space.cell_types:
        kept = {(c.target, c.source) for c in selected.genotype.cells[t]}
        strength = {}
        for e, edge in enumerate(space.edges):
            row = [w for n, w in zip(space.candidates[t][e], weights[t][e], strict=False)
                   if n != "none" or space.none_in_genotype]  # fmt: skip
            strength[e] = max(row)
            if (edge.target, edge.source) in kept:
                leads.append(np.diff(sorted(row)[-2:])[0])
        for node in space.topology_nodes:
            held = [(space.edges[e].target, space.edges[e].source) in kept for e in space.incoming(node)]
            ours = [strength[e] for e, h in zip(space.incoming(node), held, strict=True) if h]
            theirs = [strength[e] for e, h in zip(space.incoming(node), held, strict=True) if not h]
            leads += [min(ours) - max(theirs)] if theirs else []
    assert lost[1] == pytest.approx(min(leads), rel=1e-4)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    search_loop.run(tiny.setup(tiny.config(search__epochs=1, search__evaluate_every=0)), folder)
    return folder


@pytest.mark.parametrize("fields", [
    {"method": "perturbation", "one_shot": True},
    {"method": "perturbation", "interval": 0, "compact": False, "criterion": "loss"},
    {"method": "magnitude"},
    {"method": "supernet_ranking", "samples": 6},
], ids=str)  # fmt: skip
def test_a_selection_leaves_its_best_within_the_budget(searched, tmp_path, fields):
    def select(limit, name):
        given = {**fields, "max_parameters": limit}
        settings = tiny.config(**{f"selection__{field}": value for field, value in given.items()})
        folder = tmp_path / name
        folder.mkdir()
        return selection_lib.run(tiny.setup(settings), searched, folder), *top_file.read(folder)

    genotype, criterion, rows = select(0, "free")
    assert criterion == fields.get(
        "criterion", "magnitude" if fields["method"] == "magnitude" else "accuracy"
    )
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1)) and len(rows) > 1
    assert rows[0].genotype == genotype.to_text(tiny.SPACE) and rows[0].differs == () and rows[0].lost == 0
    assert all(row.differs for row in rows[1:]) and len({row.genotype for row in rows}) == len(rows)
    limit = min(row.parameters for row in rows)
    _, _, within = select(limit, "within")
    assert rows[0].parameters >= limit == max(row.parameters for row in within)
    assert all(row.latency_ms is None and row.tflite_int8_bytes < row.tflite_bytes for row in within)
    file = tmp_path / "free" / "top.json"
    assert genotype_file.read(f"{file}:2", tiny.SPACE).to_text(tiny.SPACE) == rows[1].genotype
    with pytest.raises(UserError, match=f"has no rank '99'; allowed: 1 to {len(rows)}"):
        genotype_file.read(f"{file}:99", tiny.SPACE)
    assert json.loads(file.read_text())["schema_version"] == 1
