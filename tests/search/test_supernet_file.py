"""A supernet in a file: there and back in every space, selection that goes on from it, and bad files."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces, stages
from tf_darts.data import npz
from tf_darts.errors import UserError
from tf_darts.layers.row import set_values
from tf_darts.models import torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import Supernet
from tf_darts.search import supernet_file
from tf_darts.search.bilevel import Bilevel
from tf_darts.workdir import checkpoints

NAMES = ("darts", "s1", "s2", "s3", "s4", "nas_bench_201")


def bilevel_of(name, seed, channels=2, **architecture):
    space = spaces.get(name)
    supernet = Supernet(space, channels, 3 if name != "nas_bench_201" else 1, 5, seed=seed)
    architecture = Architecture(space, alpha_scale=1.0, seed=seed, **architecture)
    return Bilevel.create(supernet, architecture, config_lib.default().search)


def trained(name, **options):
    """With values everywhere that no new one has: running statistics and Adam's state too."""
    bilevel = bilevel_of(name, 0, **options)
    random = np.random.default_rng(0)
    set_values(
        [
            (v, abs(random.normal(size=v.shape)) + 0.1)
            for _, group in bilevel.supernet.packed.members
            for v in group
            if not v.trainable
        ]
    )
    adam = bilevel.alpha_optimizer
    for slot in (*adam.first, *adam.second):
        slot.assign(random.normal(size=slot.shape))
    adam.step.assign(7)
    return bilevel


def logits(bilevel):
    """Of two images, with running statistics; in S4 without noise, which no two supernets draw alike."""
    space = bilevel.supernet.space
    images = tf.random.stateless_normal([2, 4, 4, 3], [0, 1])
    weights = bilevel.architecture.mixing_weights()
    if "noise" in space.operations:
        weights = {t: w * tf.constant([0.0, 1.0]) for t, w in weights.items()}
    return bilevel.forward(images, False, weights).numpy()


def adam_of(bilevel):
    adam = bilevel.alpha_optimizer
    return [v.numpy() for v in (adam.step, *adam.first, *adam.second)]


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[:-2]), *NAMES[-2:]]
)
def test_logits_alpha_and_adam_come_back(name, tmp_path):
    theirs, ours = trained(name), bilevel_of(name, 1)
    expected = logits(theirs)
    assert not np.allclose(logits(ours), expected, atol=1e-3)
    supernet_file.write(tmp_path / "supernet.npz", theirs)
    supernet_file.load(ours, npz.read(str(tmp_path / "supernet.npz")))
    np.testing.assert_array_equal(logits(ours), expected)
    tiny.assert_equal(adam_of(ours), adam_of(theirs))
    for t, alpha in theirs.architecture.alpha.items():
        np.testing.assert_array_equal(ours.architecture.alpha[t], alpha)


def test_alpha_of_edges_comes_back(tmp_path):
    theirs, ours = (bilevel_of("s2", seed, weighs_edges=True) for seed in (0, 1))
    supernet_file.write(tmp_path / "supernet.npz", theirs)
    arrays = npz.read(str(tmp_path / "supernet.npz"))
    assert arrays["alpha/normal/edges"].shape == arrays["adam/reduce/edges/exp_avg"].shape == (14,)
    supernet_file.load(ours, arrays)
    np.testing.assert_array_equal(
        ours.architecture.edge_alpha["normal"], theirs.architecture.edge_alpha["normal"]
    )


def test_without_adams_state_it_starts_anew():
    arrays = supernet_file.arrays_of(trained("s2"))
    ours = bilevel_of("s2", 1)
    supernet_file.load(ours, {n: v for n, v in arrays.items() if not n.startswith("adam/")})
    assert not any(value.any() for value in adam_of(ours))
    np.testing.assert_array_equal(ours.architecture.alpha["normal"], arrays["alpha/normal"])


def test_a_supernet_without_normal_cells_takes_a_file_with_all_of_alpha():
    """Of one cell, which is a reduction cell: the release has alpha and Adam's state of normal cells too."""
    space = spaces.get("s2")

    def one_cell(seed):
        supernet, architecture = Supernet(space, 2, 1, 5, seed=seed), Architecture(space, 1.0, seed)
        return Bilevel.create(supernet, architecture, config_lib.default().search)

    arrays = supernet_file.arrays_of(one_cell(0))
    assert "adam/normal/exp_avg" not in arrays and "alpha/normal" in arrays
    arrays |= {f"adam/normal/{part}": np.zeros([14, 2]) for part in ("exp_avg", "exp_avg_sq")}
    arrays["adam/normal/step"] = np.array(0)
    ours = one_cell(1)
    supernet_file.load(ours, arrays)
    np.testing.assert_array_equal(ours.architecture.alpha["normal"], arrays["alpha/normal"])


def test_the_releases_supernet(shared):
    """Its own values of the logits, from its own weights and alpha, through a file."""
    for name, alphas in (
        ("darts", {"normal": "alphas_normal", "reduce": "alphas_reduce"}),
        ("nas_bench_201", {"normal": "alpha"}),
    ):
        reference = npz.read(str(shared / f"reference/supernet_{name}.npz"))
        arrays = {n.removeprefix("state/"): v for n, v in reference.items() if n.startswith("state/")}
        arrays |= {f"alpha/{t}": reference[f"alpha/{given}"] for t, given in alphas.items()}
        space = spaces.get(name)
        supernet = Supernet(space, 4, 3 if name == "darts" else 1, 10)
        bilevel = Bilevel.create(supernet, Architecture(space), config_lib.default().search)
        supernet_file.load(bilevel, arrays)
        logits = bilevel.forward(reference["x_valid"].transpose(0, 2, 3, 1), training=True)
        np.testing.assert_allclose(logits, reference["logits_valid"], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def arrays():
    return supernet_file.arrays_of(trained("s3"))


NAME = "cells.1._ops.3._ops.2.op.7.running_var"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({NAME: None}, f"weights: {NAME} is missing"),
        ({NAME: np.zeros(3)}, rf"weights: {NAME} has shape \(3,\) .*; allowed: numbers of shape \(4,\)"),
        ({"cells.9.x": np.zeros(3)}, "weights: 1 arrays have no place in the model, the first is cells.9.x"),
        ({"alpha/reduce": None}, "file: the array alpha/reduce is missing"),
        (
            {"alpha/reduction": np.zeros(3)},
            "file: alpha/reduction has no place; .*: alpha/normal, alpha/r",
        ),
        (
            {"alpha/normal": np.zeros((14, 2))},
            r"file: alpha/normal has shape \(14, 2\) .*; allowed: finite numbers of shape \(14, 3\)",
        ),
        ({"alpha/normal": np.full((14, 3), np.nan)}, "file: alpha/normal has .*; allowed: finite numbers"),
        ({"adam/normal/exp_avg": None}, "file: the array adam/normal/exp_avg is missing"),
        ({"adam/reduce/exp_avg_sq": np.zeros(3)}, r"file: adam/reduce/exp_avg_sq has shape \(3,\)"),
        ({"adam/reduce/max": np.zeros(3)}, "file: adam/reduce/max has no place; allowed under adam/: adam/n"),
        ({"adam/reduce/step": np.array(6)}, r"file: adam/.../step are .*7.*6.*; allowed: one number"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(arrays, change, message):
    bilevel = bilevel_of("s3", 1)
    before = supernet_file.arrays_of(bilevel)
    given = {name: value for name, value in (arrays | change).items() if value is not None}
    with pytest.raises(UserError, match=message) as caught:
        supernet_file.load(bilevel, given)
    assert "\n" not in str(caught.value)
    after = supernet_file.arrays_of(bilevel)
    assert all(np.array_equal(after[name], value) for name, value in before.items())


def run_of(space=tiny.SPACE, **fields):
    """A run of one epoch; halves of two whole batches and no compaction, so that little is traced."""
    sizes = {"data__limit_train": 32, "data__train_fraction": 0.5, "selection__compact": False}
    return tiny.run(tiny.config(**{"search__epochs": 1, "selection__interval": 1, **sizes, **fields}), space)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A work directory with a search, and the supernet's file beside it."""
    folder = tmp_path_factory.mktemp("searched")
    run = run_of()
    search = stages.search(run, str(folder))
    setup = stages.search_setup.set_up(run.config, run.space, run.data, run.strategy)
    checkpoints.load_from(
        search,
        supernet=setup.bilevel.supernet,
        architecture=setup.bilevel.architecture,
        alpha_optimizer=setup.bilevel.alpha_optimizer,
    )
    supernet_file.write(folder / "supernet.npz", setup.bilevel)
    return folder


@pytest.mark.slow
def test_selection_goes_on_as_from_the_search(searched, tmp_path):
    run = run_of()
    folder, values = stages.import_supernet(run, str(tmp_path), str(searched / "supernet.npz"))
    ours, theirs = (json.loads((f / "search" / "result.json").read_text()) for f in (tmp_path, searched))
    assert ours["alpha"] == theirs["alpha"] and ours["mixing_weights"] == theirs["mixing_weights"]
    assert ours["imported"]["file"] == str(searched / "supernet.npz") and ours["steps"] == 0
    for name in ("valid", "test"):
        measured = values[f"evaluation/{name}_accuracy"]
        assert measured == theirs["last_epoch"][f"evaluation/{name}_accuracy"]
    assert stages.search(run, str(tmp_path)) == folder  # which is finished
    for method in ("magnitude", "perturbation"):
        run = run_of(selection__method=method)
        chosen = [stages.select(run, str(f)) for f in (tmp_path, searched)]
        assert chosen[0][1] == chosen[1][1]
        rows = [tiny.rows(f / "decisions.jsonl") for f, _ in chosen]
        assert rows[0] == rows[1] and len(rows[0]) == {"magnitude": 3, "perturbation": 4}[method]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"search__channels": 4}, "config: search.channels is 4; allowed: 2, as in the file"),
        ({"search__cells": 2}, "config: search.cells is 2; allowed: 1, as in the file"),
        (
            {"space": spaces.get("nas_bench_201"), "search__cells": 1},
            "file: cells... are not those of a network of space 'nas_bench_201'",
        ),
    ],
)
def test_a_file_of_another_size_is_refused_before_anything_is_written(searched, tmp_path, fields, message):
    run = run_of(**fields)
    with pytest.raises(UserError, match=message):
        stages.import_supernet(run, str(tmp_path), str(searched / "supernet.npz"))
    assert not list(tmp_path.iterdir())


def test_a_file_of_other_data_is_refused(searched, tmp_path):
    arrays = npz.read(str(searched / "supernet.npz"))
    run = run_of()
    kernel = arrays["stem.0.weight"]
    other = {**arrays, "stem.0.weight": np.repeat(kernel, 3, axis=1)}
    with pytest.raises(UserError, match="its supernet has channels_in=3; allowed: 1, as the data have"):
        stages.imported_supernet.check(run.config, run.space, run.data, other)
    other = {**arrays, "classifier.weight": arrays["classifier.weight"][:7]}
    with pytest.raises(UserError, match="its supernet has classes=7; allowed: 10, as the data have"):
        stages.imported_supernet.check(run.config, run.space, run.data, other)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (checkpoints.Checkpoints, "save"),  # before anything of use is there
        (stages.imported_supernet, "finish"),  # before what says that it is finished
        (pathlib.Path, "rename"),  # all is there, under its first name
    ],
)
def test_an_import_that_was_stopped_is_made_again(searched, tmp_path, monkeypatch, owner, name):
    run, file = run_of(search__evaluate_every=0), str(searched / "supernet.npz")
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, owner, name, 1)
        with pytest.raises(tiny.StoppedError):
            stages.import_supernet(run, str(tmp_path), file)
    assert not (tmp_path / "search").exists()
    folder, _ = stages.import_supernet(run, str(tmp_path), file)
    assert folder == tmp_path / "search" and not list(tmp_path.glob(".importing*"))
    ours, theirs = (json.loads((f / "search" / "result.json").read_text()) for f in (tmp_path, searched))
    assert ours["alpha"] == theirs["alpha"]


def test_a_search_is_not_overwritten(searched):
    before = (searched / "search" / "result.json").read_bytes()
    with pytest.raises(UserError, match="/search exists; allowed: a --workdir without a search"):
        stages.import_supernet(run_of(), str(searched), str(searched / "supernet.npz"))
    assert (searched / "search" / "result.json").read_bytes() == before


def test_nothing_is_unpickled(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    np.savez(tmp_path / "pickled.npz", x=np.array([Harm()], object))
    np.save(tmp_path / "one.npz", np.zeros(3))
    (tmp_path / "checkpoint.pth.tar").write_bytes(b"PK\x03\x04 of PyTorch")
    for name in ("pickled.npz", "checkpoint.pth.tar", "one.npz.npy", "nowhere.npz"):
        with pytest.raises(UserError, match="cannot be read as .npz: "):
            npz.read(str(tmp_path / name))
    assert not (tmp_path / "harm").exists()


def test_export_and_file_have_the_same_names(arrays):
    names = {name for name in arrays if not name.startswith(("alpha/", "adam/"))}
    assert names == set(torch_weights.export(bilevel_of("s3", 0).supernet))
