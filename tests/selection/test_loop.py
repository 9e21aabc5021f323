"""Selection as a whole, from one searched supernet by each method, and when it is stopped."""

import json
import shutil

import numpy as np
import pytest

from tests.search import tiny
from tf_darts import genotype as genotype_lib
from tf_darts.errors import UserError
from tf_darts.runtime.checkpoints import Checkpoints, load_from
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop as search_loop
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import loop

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
    return made, loop.run(made, searched, folder)


@pytest.fixture(scope="module")
def selected(searched, tmp_path_factory):
    """An undisturbed selection by perturbation; also how often a forward pass was traced."""
    folder, traces = tmp_path_factory.mktemp("selected"), []
    with pytest.MonkeyPatch.context() as patch:
        forward = Bilevel.forward

        def counted(self, images, training):
            traces.append(images.shape[0])
            return forward(self, images, training)

        patch.setattr(Bilevel, "forward", counted)
        made, genotype = select(searched, folder)
    return made, genotype, folder, traces


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
    assert genotype_lib.load(folder / "genotype.json", tiny.SPACE) == genotype
    weights = made.bilevel.architecture.mixing_weights()["normal"].numpy()
    assert sorted(weights.ravel()) == [0, 0, 0, 0, 1, 1]


def test_fine_tuning_is_as_long_as_scheduled_and_keeps_the_last_short_batch(selected):
    steps = tiny.rows(selected[2] / "metrics.jsonl")
    assert [row["step"] for row in steps] == list(range(1, EPOCHS * STEPS_PER_EPOCH + 1))
    assert [row["epoch"] for row in steps] == [e for e in range(EPOCHS) for _ in range(STEPS_PER_EPOCH)]
    last = [row for row in steps if row["step"] % STEPS_PER_EPOCH == 0]
    assert {row["train_accuracy"] for row in last} <= {0, 0.5, 1}  # 2 images
    assert not {8 * row["valid_accuracy"] for row in last} - set(range(9))  # 8 images as ever


def test_nothing_is_traced_again_for_a_probe_or_a_decision(selected):
    # Two passes (alpha, weights) of the full and of the short step; one of the probe.
    assert sorted(selected[3]) == [2, 8, 8, 8, 8]


def searched_alpha(searched):
    return np.float32(json.loads((searched / "result.json").read_text())["alpha"]["normal"])


def test_alpha_goes_on_training_and_the_search_is_left_alone(searched, selected):
    bilevel = selected[0].bilevel
    assert (bilevel.architecture.alpha["normal"].numpy() != searched_alpha(searched)).all()
    # Adam's count goes on from the search's.
    assert bilevel.alpha_optimizer.step.numpy() == 3 + EPOCHS * STEPS_PER_EPOCH
    assert tiny.rows(searched / "metrics.jsonl")[-1]["step"] == 3


@pytest.mark.parametrize(
    ("owner", "method", "call", "minutes", "kept"),
    [
        (Progress, "update", 2, 10.0, 0),  # while probing for the first decision
        (Progress, "update", 4, 0.0, 1),  # in the first epoch, after a checkpoint inside it
        (Progress, "say", 2, 10.0, 2),  # after the second decision's checkpoint, before any fine-tuning
        (Checkpoints, "save", 4, 10.0, 1),  # the second decision's row is written, its checkpoint is not
    ],
)
def test_a_stopped_selection_continues_as_if_it_had_not_been(
    searched, selected, tmp_path, monkeypatch, capsys, owner, method, call, minutes, kept
):
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, method, call)
        with pytest.raises(tiny.StoppedError):
            select(searched, tmp_path, runtime__checkpoint_minutes=minutes)
    assert not (tmp_path / "genotype.json").exists()
    capsys.readouterr()
    made, genotype = select(searched, tmp_path, runtime__checkpoint_minutes=minutes)
    said = capsys.readouterr().out
    assert said.count(": decision ") == 4 - kept  # those that were saved are not made again
    assert (f"continuing after {kept} of 4 decisions" in said) == (kept > 0)
    assert genotype == selected[1]
    tiny.assert_equal(tiny.state(made), tiny.state(selected[0]))
    for name in ("metrics.jsonl", "decisions.jsonl", "genotype.json"):
        assert (tmp_path / name).read_text() == (selected[2] / name).read_text()


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
    made, _ = select(searched, tmp_path, search__method="fixed_alpha", selection__interval=1)
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
