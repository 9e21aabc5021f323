"""One-shot perturbation in several supernets: decisions on what a removal costs in all of them together."""

import numpy as np
import pytest

from tests.search import tiny
from tests.selection.one_by_one import OneByOne
from tf_darts import config as config_lib
from tf_darts import stages
from tf_darts.errors import UserError
from tf_darts.selection import select as selection_lib
from tf_darts.workdir.checkpoints import Checkpoints, load_from

EDGES = 3
SEEDS = (3, 4, 5)
FIELDS = {"selection__one_shot": True, "selection__supernets": 3, "selection__compact": False}


def sized(seed, **fields):
    # Halves of two whole batches.
    sizes = {"data__limit_train": 32, "data__train_fraction": 0.5, "selection__order": "index"}
    return tiny.config(**{"seed": seed, **sizes, **FIELDS, **fields})


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Folders of supernets of random weights and alpha, saved as if searched; by seed."""
    folders = {seed: tmp_path_factory.mktemp(f"searched_{seed}") for seed in SEEDS}
    for seed, folder in folders.items():
        made = tiny.setup(sized(seed, search__alpha_scale=1.0))
        Checkpoints(folder, 0.0, ("step",), **made.state()).save(step=1)
    return folders


def select(searched, folder, seeds=SEEDS, **fields):
    first, *others = (tiny.setup(sized(seed, **fields)) for seed in seeds)
    first.others = {searched[seed]: other for seed, other in zip(seeds[1:], others, strict=True)}
    genotype = selection_lib.run(first, searched[seeds[0]], folder)
    return genotype, tiny.rows(folder / "decisions.jsonl")


@pytest.fixture(scope="module")
def pooled(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pooled")
    return *select(searched, folder), folder


def one_by_one(searched, removals, pass_index):
    """Correct images, images and mean loss of each removal, over three supernets that are probed alone."""
    scores = []
    for seed, folder in searched.items():
        made = tiny.setup(sized(seed))
        load_from(folder, supernet=made.bilevel.supernet, architecture=made.bilevel.architecture)
        scores.append(OneByOne(made)("normal", removals, pass_index))
    rows = []
    for same in zip(*scores, strict=True):
        images = sum(s.images for s in same)
        loss = sum(s.loss * s.images for s in same) / images
        rows.append((sum(s.correct for s in same), images, pytest.approx(loss, rel=1e-5)))
    return rows


def measured(probes):
    return [(p["correct"], p["images"], p["loss"]) for p in probes]


def test_probes_count_the_images_of_all_supernets(searched, pooled):
    rows = pooled[1]
    assert [row["kind"] for row in rows] == ["operation"] * EDGES + ["topology"]
    for number, row in enumerate(rows[:EDGES]):
        removals = [(row["edge"], o) for o in range(len(tiny.OPERATIONS))]
        expected = one_by_one(searched, removals, number * EDGES)
        assert measured(row["probes"]) == expected and expected[0][1] == 3 * 16
        least = min(range(len(removals)), key=lambda o: row["probes"][o]["correct"])
        assert row["operation"] == least
    (topology,) = rows[-1]["rounds"]
    removals = [(probe["edge"], None) for probe in topology["probes"]]
    assert measured(topology["probes"]) == one_by_one(searched, removals, EDGES * EDGES)


def test_what_an_operation_is_worth_is_counted_in_all_of_them(searched, pooled):
    for row in pooled[1][:EDGES]:
        assert row["whole"]["images"] == 3 * 16
        for probe in row["probes"]:
            assert probe["lost"] - probe["gained"] == row["whole"]["correct"] - probe["correct"]


def test_the_same_supernet_again_changes_no_decision(searched, tmp_path):
    folders = [tmp_path / name for name in ("once", "thrice")]
    for folder in folders:
        folder.mkdir()
    (genotype, rows), (again, more) = (
        select(searched, folder, seeds=(3,) * count) for folder, count in zip(folders, (1, 2), strict=True)
    )
    assert again == genotype
    for row, doubled in zip(rows[:EDGES], more[:EDGES], strict=True):
        assert row["operation"] == doubled["operation"]
        for probe, twice in zip(row["probes"], doubled["probes"], strict=True):
            assert (twice["correct"], twice["images"]) == (2 * probe["correct"], 2 * probe["images"])
            assert twice["loss"] == pytest.approx(probe["loss"], rel=1e-6)


def test_together_they_decide_otherwise_than_one_of_them(searched, pooled, tmp_path):
    alone = select(searched, tmp_path, seeds=(3,))[1]
    pairs = list(zip(alone[:EDGES], pooled[1][:EDGES], strict=True))
    assert any(a["operation"] != b["operation"] for a, b in pairs)


def test_a_stopped_selection_continues_as_if_it_had_not_been(searched, pooled, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Checkpoints, "save", 2)
        with pytest.raises(tiny.StoppedError):
            select(searched, tmp_path)
    capsys.readouterr()
    assert select(searched, tmp_path)[0] == pooled[0]
    assert "continuing after 1 of 4 decisions" in capsys.readouterr().out
    for name in ("decisions.jsonl", "genotype.json"):
        assert (tmp_path / name).read_text() == (pooled[2] / name).read_text()


def run_of(**fields):
    return tiny.run(sized(0, search__epochs=1, **fields))


def test_each_supernet_is_searched_with_a_seed_of_its_own(tmp_path, monkeypatch):
    alone = run_of(selection__supernets=1)
    first = stages.search(alone, str(tmp_path))
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    run, two = run_of(selection__supernets=2), str(tmp_path)
    flags = "--config.selection.one_shot=True --config.selection.supernets=2"
    missing = f"search_2 holds no finished search; run bin/search {flags} there first"
    with pytest.raises(UserError, match=missing):
        stages.select(run, two)
    assert stages.search(run, two) == first
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.glob("search*")) == ["search", "search_2"]
    ours, theirs = (config_of(tmp_path / name) for name in ("search", "search_2"))
    assert {key for key in ours if ours[key] != theirs[key]} == {"seed"}
    alphas = [np.array(result_of(tmp_path / n)["alpha"]["normal"]) for n in ("search", "search_2")]
    assert np.abs(alphas[0] - alphas[1]).min() > 1e-6
    monkeypatch.setattr(stages.search_loop, "run", None)  # called, it would fail
    stages.search(run, two)
    folder, _ = stages.select(run, two)
    assert tiny.rows(folder / "decisions.jsonl")[0]["whole"]["images"] == 2 * 16
    # Other selections take the first alone.
    for fields in ({"selection__method": "magnitude"}, {"selection__supernets": 1, "selection__name": "one"}):
        stages.select(run_of(**{"selection__supernets": 3, **fields}), two)


def config_of(folder):
    return stages.read_json(folder / "config.json")["config"]


def result_of(folder):
    return stages.read_json(folder / "result.json")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"selection.one_shot": False}, "selection.one_shot is False with selection.supernets 2; allowed: T"),
        ({"selection.racing_confidence": 0.9}, "selection.racing_confidence is 0.9 with selection.supernets"),
        ({"selection.criterion": "magnitude"}, "selection.criterion is 'magnitude' with selection.supernets"),
        ({"selection.topology_criterion": "magnitude"}, "selection.topology_criterion is 'magnitude' with"),
        ({"search.method": "sgas"}, "search.method is 'sgas' with selection.supernets 2; allowed: one that"),
    ],
)
def test_what_several_supernets_cannot_do_is_refused(values, message):
    config = config_lib.default()
    config.update_from_flattened_dict({"selection.supernets": 2, "selection.one_shot": True})
    config_lib.validate(config)
    config.update_from_flattened_dict(values)
    with pytest.raises(UserError) as caught:
        config_lib.validate(config)
    assert f"config: {message}" in str(caught.value)
    config.selection.method = "random"  # probes nothing
    config_lib.validate(config)
