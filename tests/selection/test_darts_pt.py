"""Selection as a whole, from one searched supernet by each method, and when it is stopped."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tests.search import tiny, two_cells
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.models import budget as budget_lib
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop as search_loop
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import probe as probe_lib
from tf_darts.selection import select as selection_lib
from tf_darts.selection.decide import Decider
from tf_darts.selection.magnitude import select as by_magnitude
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.workdir import genotype_file
from tf_darts.workdir.checkpoints import Checkpoints, load_from

# Three edges and one node, two epochs between events and one at the end; 18 images: batches of 8, 8, 2.
DECISION_EPOCHS, EPOCHS, STEPS_PER_EPOCH = [0, 2, 4, 6], 7, 3


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    search_loop.run(tiny.setup(tiny.config(search__epochs=1, search__evaluate_every=0)), folder)
    return folder


def select(searched, folder, **fields):
    made = tiny.setup(tiny.config(**fields))
    folder.mkdir(exist_ok=True)
    return made, selection_lib.run(made, searched, folder)


def counted_selection(searched, folder, **fields):
    """A selection; also images of each pass traced for fine-tuning, cell type of each probe, checkpoints."""
    traces = {"fine-tuning": [], "probes": [], "checkpoints": []}
    with pytest.MonkeyPatch.context() as patch:
        forward, save = Bilevel.forward, Checkpoints.save
        probe_logits = probe_lib.probe_logits

        def counted_forward(self, images, training, mixing_weights=None):
            traces["fine-tuning"].append(images.shape[0])
            return forward(self, images, training, mixing_weights)

        def counted_probe(supernet, cell_type, *arguments, **keywords):
            traces["probes"].append(cell_type)
            return probe_logits(supernet, cell_type, *arguments, **keywords)

        def counted_save(self, **counters):
            traces["checkpoints"].append((counters["decisions"], counters["step"]))
            save(self, **counters)

        patch.setattr(Checkpoints, "save", counted_save)
        patch.setattr(Bilevel, "forward", counted_forward)
        patch.setattr(probe_lib, "probe_logits", counted_probe)
        made, genotype = select(searched, folder, **fields)
    return made, genotype, folder, traces


@pytest.fixture(scope="module")
def selected(searched, tmp_path_factory):
    """An undisturbed selection by perturbation, compacted as it goes on."""
    return counted_selection(searched, tmp_path_factory.mktemp("selected"))


@pytest.fixture(scope="module")
def uncompacted(searched, tmp_path_factory):
    """The same, always with the whole supernet."""
    folder = tmp_path_factory.mktemp("uncompacted")
    return counted_selection(searched, folder, selection__compact=False)


def test_decisions_are_recorded_with_all_probes(selected):
    decisions = tiny.rows(selected[2] / "decisions.jsonl")
    assert [row["number"] for row in decisions] == [0, 1, 2, 3]
    assert [row["epoch"] for row in decisions] == DECISION_EPOCHS
    assert [row["kind"] for row in decisions] == ["operation"] * 3 + ["topology"]
    assert sorted(row["edge"] for row in decisions[:3]) == [0, 1, 2]
    for row in decisions[:3]:
        assert [probe["operation"] for probe in row["probes"]] == list(tiny.OPERATIONS)
        worst = min(range(2), key=lambda o: row["probes"][o]["correct"])
        assert row["operation"] == worst and row["chosen"] == tiny.OPERATIONS[worst]
    (topology,) = decisions[3]["rounds"]
    assert [probe["edge"] for probe in topology["probes"]] == [0, 1, 2]
    for probe in [probe for row in decisions[:3] for probe in row["probes"]] + topology["probes"]:
        assert probe["images"] == 16 and probe["accuracy"] == probe["correct"] / 16 and probe["loss"] > 0


def test_genotype_is_what_was_decided(selected):
    made, genotype, folder, _ = selected
    decisions = tiny.rows(folder / "decisions.jsonl")
    chosen = {row["edge"]: row["chosen"] for row in decisions[:3]}
    expected = tuple(genotype_lib.Choice(3, edge, chosen[edge]) for edge in decisions[3]["kept"])
    assert genotype.cells == {"normal": expected} and len(expected) == 2
    assert genotype_file.load(folder / "genotype.json", tiny.SPACE) == genotype
    weights = made.bilevel.architecture.mixing_weights()["normal"].numpy()
    assert sorted(weights.ravel()) == [0, 0, 0, 0, 1, 1]


def test_fine_tuning_is_as_long_as_scheduled_and_keeps_the_last_short_batch(selected):
    steps = tiny.rows(selected[2] / "metrics.jsonl")
    assert [row["step"] for row in steps] == list(range(1, EPOCHS * STEPS_PER_EPOCH + 1))
    assert [row["epoch"] for row in steps] == [e for e in range(EPOCHS) for _ in range(STEPS_PER_EPOCH)]
    last = [row for row in steps if row["step"] % STEPS_PER_EPOCH == 0]
    assert {row["train_accuracy"] for row in last} <= {0, 0.5, 1}  # 2 images
    assert not {8 * row["valid_accuracy"] for row in last} - set(range(9))  # 8 images as ever


def test_each_decision_and_each_epoch_ends_with_a_checkpoint_and_nothing_else_does(selected):
    expected, decisions = [], 0
    for epoch in range(EPOCHS):
        if epoch in DECISION_EPOCHS:
            decisions += 1
            expected.append((decisions, epoch * STEPS_PER_EPOCH))
        expected.append((decisions, (epoch + 1) * STEPS_PER_EPOCH))
    assert selected[3]["checkpoints"] == expected


def test_nothing_is_traced_again_for_a_probe_or_a_decision(uncompacted):
    # Two passes (alpha, weights) of the full and of the short step, where alpha has a full batch; one probe.
    assert sorted(uncompacted[3]["fine-tuning"]) == [2, 8, 8, 8]
    assert uncompacted[3]["probes"] == ["normal"]


def test_compacted_functions_are_traced_once_for_each_event(selected):
    assert sorted(selected[3]["fine-tuning"]) == [2] * 4 + [8] * 12  # the last epoch has its own too
    assert selected[3]["probes"] == ["normal"] * 4
    evaluated = selected[0].bilevel.architecture.computed["normal"]
    assert np.sum(evaluated) == 2  # of the genotype's two edges, one operation each


def test_compacting_changes_no_decision(selected, uncompacted):
    assert selected[1] == uncompacted[1]
    ours, theirs = (tiny.rows(made[2] / "decisions.jsonl") for made in (selected, uncompacted))
    for a, b in zip(ours, theirs, strict=True):
        for name in ("number", "kind", "edge", "operation", "removed", "kept"):
            assert a.get(name) == b.get(name)
        probes = [
            row.get("probes", []) + [p for r in row.get("rounds", []) for p in r["probes"]] for row in (a, b)
        ]
        for mine, other in zip(*probes, strict=True):
            assert mine["correct"] == other["correct"]
            assert mine["loss"] == pytest.approx(other["loss"], rel=1e-5)
    for a, b in zip(selected[0].bilevel.weights, uncompacted[0].bilevel.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


def searched_alpha(searched):
    return np.float32(json.loads((searched / "result.json").read_text())["alpha"]["normal"])


def test_alpha_goes_on_training_and_the_search_is_left_alone(searched, selected):
    bilevel = selected[0].bilevel
    assert (bilevel.architecture.alpha["normal"].numpy() != searched_alpha(searched)).all()
    # Adam's count goes on from the search's.
    assert bilevel.alpha_optimizer.step.numpy() == 3 + EPOCHS * STEPS_PER_EPOCH
    assert tiny.rows(searched / "metrics.jsonl")[-1]["step"] == 3


@pytest.mark.parametrize(
    ("owner", "method", "call", "minutes", "kept", "compact"),
    [
        # While probing for the first decision.
        pytest.param(Progress, "update", 1, 10.0, 0, True, marks=pytest.mark.slow),
        # In the first epoch, after a checkpoint inside it.
        pytest.param(Progress, "update", 3, 0.0, 1, True, marks=pytest.mark.slow),
        # After the second decision's checkpoint, before any fine-tuning.
        pytest.param(Progress, "say", 2, 10.0, 2, True, marks=pytest.mark.slow),
        # The second decision's row is written, its checkpoint is not.
        (Checkpoints, "save", 4, 10.0, 1, False),
        pytest.param(Checkpoints, "save", 4, 10.0, 1, True, marks=pytest.mark.slow),
        pytest.param(Progress, "say", 2, 10.0, 2, False, marks=pytest.mark.slow),
        pytest.param(Progress, "update", 3, 0.0, 1, False, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_selection_continues_as_if_it_had_not_been(
    searched, request, tmp_path, monkeypatch, capsys, owner, method, call, minutes, kept, compact
):
    undisturbed = request.getfixturevalue("selected" if compact else "uncompacted")
    fields = {"runtime__checkpoint_minutes": minutes, "selection__compact": compact}
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            select(searched, tmp_path, **fields)
    assert not (tmp_path / "genotype.json").exists()
    capsys.readouterr()
    made, genotype = select(searched, tmp_path, **fields)
    said = capsys.readouterr().out
    assert said.count(": decision ") == 4 - kept  # those that were saved are not made again
    assert (f"continuing after {kept} of 4 decisions" in said) == (kept > 0)
    assert genotype == undisturbed[1]
    tiny.assert_equal(tiny.state(made), tiny.state(undisturbed[0]))
    for name in ("metrics.jsonl", "decisions.jsonl", "genotype.json"):
        assert (tmp_path / name).read_text() == (undisturbed[2] / name).read_text()


@pytest.mark.slow
def test_a_selection_stopped_inside_an_event_continues_as_if_it_had_not_been(tmp_path, monkeypatch):
    fields = {"search__cells": 3, "search__epochs": 1, "data__limit_train": 34}
    fields |= {"selection__interval": 0, "selection__compact": False}

    def run(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return selection_lib.run(two_cells.setup(**fields), tmp_path / "searched", tmp_path / name)

    (tmp_path / "searched").mkdir()
    search_loop.run(two_cells.setup(**fields), tmp_path / "searched")
    undisturbed = run("undisturbed")
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Progress, "say", 3)  # the second event's first decision of two is made
        with pytest.raises(tiny.StoppedError):
            run("stopped")
    assert run("stopped") == undisturbed
    ours, theirs = ((tmp_path / n / "decisions.jsonl").read_text() for n in ("stopped", "undisturbed"))
    assert ours == theirs


@pytest.mark.parametrize("damage", ["another operation", "a row less"])
def test_decisions_that_disagree_with_the_checkpoint_are_refused(searched, selected, tmp_path, damage):
    shutil.copytree(selected[2], tmp_path / "copy")
    path = tmp_path / "copy" / "decisions.jsonl"
    decisions = tiny.rows(path)
    if damage == "a row less":
        del decisions[-1]
    else:
        decisions[1]["operation"] = 1 - decisions[1]["operation"]
    path.write_text("".join(json.dumps(row) + "\n" for row in decisions))
    with pytest.raises(UserError, match=r"decisions\.jsonl, or its checksum in .* is damaged"):
        select(searched, tmp_path / "copy")
    for checksums in (tmp_path / "copy" / "checkpoints").glob("ckpt-*.json"):
        checksums.unlink()  # as where an earlier version wrote the checkpoints
    with pytest.raises(UserError, match=r"decisions\.jsonl and the checkpoint beside it disagree; remove"):
        select(searched, tmp_path / "copy")


def test_without_fine_tuning_weights_and_alpha_stay(searched, tmp_path):
    made, _ = select(searched, tmp_path, selection__interval=0, selection__criterion="loss")
    decisions = tiny.rows(tmp_path / "decisions.jsonl")
    assert [row["epoch"] for row in decisions] == [0] * 4
    assert {row["criterion"] for row in decisions} == {"loss"}
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    fresh = tiny.setup(tiny.config())
    load_from(searched, supernet=fresh.bilevel.supernet)
    tiny.assert_equal(*([v.numpy() for v in b.weights] for b in (made.bilevel, fresh.bilevel)))
    np.testing.assert_array_equal(made.bilevel.architecture.alpha["normal"].numpy(), searched_alpha(searched))


def test_fixed_alpha_is_never_touched(searched, tmp_path):
    fields = {"selection__interval": 1, "selection__compact": False}
    made, _ = select(searched, tmp_path, search__method="fixed_alpha", **fields)
    alpha = made.bilevel.architecture.alpha["normal"].numpy()
    np.testing.assert_array_equal(alpha, searched_alpha(searched))
    assert "valid_loss" not in tiny.rows(tmp_path / "metrics.jsonl")[0]


def test_magnitude_takes_the_largest_alpha_of_the_same_supernet(searched, tmp_path):
    made, genotype = select(searched, tmp_path, selection__method="magnitude")
    weights = made.bilevel.architecture.probabilities()["normal"].numpy()
    edges = np.argsort(-weights.max(1), kind="stable")[:2]
    chosen = {int(e): tiny.OPERATIONS[weights[e].argmax()] for e in edges}
    assert genotype.cells == {"normal": tuple(genotype_lib.Choice(3, e, o) for e, o in chosen.items())}
    decisions = tiny.rows(tmp_path / "decisions.jsonl")
    assert [row["edge"] for row in decisions] == [0, 1, 2]
    for row in decisions:
        assert row["chosen"] == chosen.get(row["edge"])
        assert list(row["mixing_weights"].values()) == weights[row["edge"]].tolist()
    assert not (tmp_path / "checkpoints").exists()


FIRST = {"selection__topology_first": True, "selection__interval": 1}


@pytest.fixture(scope="module")
def topology_first(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("topology_first")
    return (*select(searched, folder, **FIRST), folder)


def test_topology_first_decides_only_what_is_kept(topology_first):
    _, genotype, folder = topology_first
    topology, *operations = tiny.rows(folder / "decisions.jsonl")
    assert topology["kind"] == "topology" and [row["number"] for row in operations] == [1, 2]
    assert sorted(row["edge"] for row in operations) == topology["kept"] and len(topology["kept"]) == 2
    assert [row["epoch"] for row in operations] == [1, 2]
    assert tiny.rows(folder / "metrics.jsonl")[-1]["epoch"] == 2
    chosen = {row["edge"]: row["chosen"] for row in operations}
    cell = tuple(genotype_lib.Choice(3, edge, chosen[edge]) for edge in topology["kept"])
    assert genotype.cells == {"normal": cell}


def test_topology_first_judges_a_whole_edge(searched, topology_first):
    """Its first decision is the release's topology event, on mixtures: as probes of whole edges say."""
    made = tiny.setup(tiny.config(**FIRST))
    load_from(searched, supernet=made.bilevel.supernet, architecture=made.bilevel.architecture)
    prober = probe_lib.Prober(made, made.probe_images())
    scores = prober.score("normal", [(e, None) for e in range(3)], 0)
    topology = tiny.rows(topology_first[2] / "decisions.jsonl")[0]
    found = [probe["correct"] for probe in topology["rounds"][0]["probes"]]
    assert found == [score.correct for score in scores]
    assert topology["removed"] == [max(range(3), key=lambda e: (found[e], e))]


def test_topology_first_continues_where_it_was_stopped(searched, topology_first, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Checkpoints, "save", 3)
        with pytest.raises(tiny.StoppedError):
            select(searched, tmp_path, **FIRST)
    assert len(tiny.rows(tmp_path / "decisions.jsonl")) in (1, 2)
    made, genotype = select(searched, tmp_path, **FIRST)
    assert genotype == topology_first[1]
    tiny.assert_equal(tiny.state(made), tiny.state(topology_first[0]))


def test_topology_first_by_magnitude_leaves_none_out(tmp_path):
    """Of mixtures the largest weight that a genotype may hold counts."""
    fields = {"selection__topology_first": True, "selection__criterion": "magnitude", "search__cells": 3}
    fields |= {"selection__interval": 0, "selection__compact": False, "data__limit_train": 39}
    made = two_cells.setup(**fields)
    alpha = np.zeros((5, 4), np.float32)
    alpha[2:] = [[5, 0, 0, 1], [0, 0, 0, 1], [0, 0, 2, 0]]  # edge 2 is mostly `none`
    made.bilevel.architecture.alpha["normal"].assign(alpha)
    decider = Decider(made.bilevel.architecture, None, "magnitude")
    decision = decider.decide(PlannedDecision(0, 0, "topology", "normal", 3), 0)
    assert decision.removed == (2,)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"space": "nas_bench_201"}, "whose nodes keep all their edges; allowed: False"),
        ({"selection__one_shot": True}, "where no decision sees another; allowed: False"),
    ],
)
def test_topology_first_is_refused_where_it_changes_nothing(fields, reason):
    with pytest.raises(UserError, match=f"^config: selection.topology_first is True with .*{reason}$"):
        tiny.config(selection__topology_first=True, **fields)


def test_selection_starts_from_the_whole_searched_supernet(tmp_path):
    searched = tiny.setup(tiny.config(search__epochs=1, search__evaluate_every=0))
    search_loop.run(searched, tmp_path)
    made, _ = select(tmp_path, tmp_path / "selected", seed=1, selection__method="magnitude")
    for name in ("supernet", "architecture", "alpha_optimizer"):
        ours, theirs = (tiny.values(getattr(s.bilevel, name)) for s in (made, searched))
        tiny.assert_equal(ours, theirs)


def test_without_a_search_there_is_nothing_to_select_from(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint; run the stage before first"):
        select(tmp_path / "nowhere", tmp_path)


def test_what_the_supernet_does_not_have_is_not_decided_but_said(tmp_path, capsys):
    """Two cells are both reduction cells; also within a budget that the chance normal cell does not fit."""
    fields = {"search__cells": 2, "training__cells": 3, "selection__interval": 0, "selection__compact": False}
    saved = tiny.save_unsearched(tmp_path / "searched", two_cells.SPACE, data__limit_train=39, **fields)
    budget = budget_lib.of_config(
        tiny.config(selection__max_parameters=10**9, **fields), two_cells.SPACE, 10, (8, 8, 1)
    )
    for name in ("selected", "small"):
        (tmp_path / name).mkdir()
    genotype = selection_lib.run(two_cells.setup(**fields), tmp_path / "searched", tmp_path / "selected")
    rows = tiny.rows(tmp_path / "selected" / "decisions.jsonl")
    assert [row["cell_type"] for row in rows] == ["reduce"] * 6  # five edges, and a node with three
    assert genotype.cells["normal"] == by_magnitude(saved.bilevel.architecture).genotype.cells["normal"]
    said = json.loads((tmp_path / "selected" / "warnings.json").read_text())["warnings"]
    assert set(said) == {"absent/normal"} and "no normal cell, with search.cells 2" in said["absent/normal"]
    assert said["absent/normal"] in capsys.readouterr().err
    (tmp_path / "magnitude").mkdir()
    made = two_cells.setup(**fields, selection__method="magnitude")
    assert selection_lib.run(made, tmp_path / "searched", tmp_path / "magnitude").cells == {
        **by_magnitude(saved.bilevel.architecture).genotype.cells
    }
    rows = tiny.rows(tmp_path / "magnitude" / "decisions.jsonl")
    assert {row["cell_type"] for row in rows} == {"reduce"}

    skips = tuple(dataclasses.replace(c, operation="skip_connect") for c in genotype.cells["normal"])
    smallest = dataclasses.replace(genotype, cells={**genotype.cells, "normal": skips})
    least, found = (budget.costs.of(g).parameters for g in (smallest, genotype))
    assert least < found
    within = two_cells.setup(selection__max_parameters=least, **fields)
    small = selection_lib.run(within, tmp_path / "searched", tmp_path / "small")
    assert small.cells["reduce"] == genotype.cells["reduce"]
    assert budget.costs.of(small).parameters == least


def test_a_name_that_is_another_selections_is_refused_before_the_search():
    with pytest.raises(
        UserError, match="^config: selection.name is 'magnitude' with selection.method 'pertur"
    ):
        tiny.setup(tiny.config(selection__name="magnitude"))
    assert tiny.setup(tiny.config(selection__name="perturbation"))
