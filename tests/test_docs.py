"""What the documentation shows as code does what it says."""

import re
import types
from pathlib import Path

import numpy as np
import pytest

from tests.tools.benchmark import small
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.data import npz, sources
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.layers import keras_operation, operations
from tf_darts.models import torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.evaluator import Score
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.registry import OPERATIONS
from tf_darts.search import supernet_file
from tf_darts.search.bilevel import Bilevel

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def blocks(name, start):
    """Python code of a page that contains a text."""
    path = ROOT / name if name == "CONTRIBUTING.md" else DOCS / name
    return [block for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.S) if start in block]


@pytest.mark.parametrize(
    ("text", "name"), [("class GatedConv", "GatedConv"), ("@keras_operation", "plain_conv")]
)
def test_operations_of_the_page_on_extending(registries, tmp_path, text, name):
    (block,) = blocks("extending.md", text)
    (tmp_path / "own.py").write_text(block)
    OPERATIONS.register("documented", f"{tmp_path / 'own.py'}:{name}")
    keras_operation.check(["documented"], 6, affine=False)
    keras_operation.check(["documented"], 6, affine=True)
    made = operations.make("documented", 4, 2, affine=True, seed=1)
    assert made.multiply_adds(9) == 9 * (9 * 16 + (16 if name == "GatedConv" else 0))


def test_every_field_of_a_custom_space_is_on_the_page_with_its_default():
    text = (DOCS / "extending.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.M))
    fields = config_lib.FIELDS["custom_space"]
    assert rows.keys() == fields.keys()
    for name in ("stacking", "nodes", "kept_edges", "none_in_genotype", "extra_selection_epoch"):
        assert str(fields[name].default) in rows[name].rsplit("|", 1)[1]
    for name in spaces.custom.STACKINGS:
        assert name in rows["stacking"]


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", ["s1", "nas_bench_201"])
def test_a_checkpoint_like_the_releases_becomes_a_file(tmp_path, monkeypatch, name, trained):
    """Its keys and types: state_dict, alpha as a list of tensors, and Adam's state if alpha was trained."""
    torch = small.torch()
    space = spaces.get(name)

    def bilevel(seed):
        supernet = Supernet(space, 2, 3 if name == "s1" else 1, 5, seed=seed)
        architecture = Architecture(space, alpha_scale=1.0, seed=seed)
        return Bilevel.create(supernet, architecture, config_lib.default().search)

    theirs = bilevel(0)
    alphas = [torch.tensor(alpha.numpy(), requires_grad=True) for alpha in theirs.architecture.alpha.values()]
    adam = torch.optim.Adam(alphas, lr=0.0, betas=(0.5, 0.999))
    if trained:
        for _ in range(3):
            adam.zero_grad()
            sum((alpha**2).sum() for alpha in alphas).backward()
            adam.step()
    arrays = supernet_file.arrays_of(theirs)
    state = {n: torch.tensor(v) for n, v in arrays.items() if not n.startswith(("alpha/", "adam/"))}
    saved = {
        "epoch": 50,
        "state_dict": state | {"stem.1.num_batches_tracked": torch.tensor(9)},
        "alpha": alphas,
        "arch_optimizer": adam.state_dict(),
    }
    monkeypatch.chdir(tmp_path)
    torch.save(saved, "checkpoint_50.pth.tar")
    (block,) = blocks("import.md", "torch.load")
    exec(block, {})

    ours = bilevel(1)
    supernet_file.load(ours, npz.read("supernet.npz"))
    read = supernet_file.arrays_of(ours)
    for key in [*state, *(f"alpha/{t}" for t in space.cell_types)]:
        np.testing.assert_array_equal(read[key], arrays[key], err_msg=key)
    assert read["adam/normal/step"] == (3 if trained else 0)
    for t, alpha in zip(space.cell_types, alphas, strict=True):
        expected = adam.state[alpha]["exp_avg_sq"].numpy() if trained else np.zeros(alpha.shape)
        np.testing.assert_array_equal(read[f"adam/{t}/exp_avg_sq"], expected)


def test_the_criterion_of_the_page_on_extending_is_the_log_odds_of_a_wrong_answer():
    (block,) = blocks("extending.md", "def odds")
    names = {}
    exec(block, names)
    assert names["odds"](Score(3, 10, 1.0)) == pytest.approx(np.log(7.5 / 3.5))
    assert names["odds"](Score(9, 10, 1.0)) < names["odds"](Score(8, 10, 1.0))


def test_the_data_source_of_the_page_on_contributing_is_one(monkeypatch):
    (block,) = blocks("CONTRIBUTING.md", "stripes.py")
    names = {}
    exec(block, names)
    monkeypatch.setitem(sources.SOURCES, "stripes", names["load"])
    config = config_lib.default()
    config.data.source = "stripes"
    data = sources.load(config.data, seed=3)
    assert data.image_shape == (8, 8, 1) and (data.train_size, len(data.x_test)) == (200, 100)
    assert data.class_names == ("across", "along")
    for image, label in zip(data.x_train, data.y_train, strict=True):
        lines = image[..., 0].T if label else image[..., 0]
        assert (lines == lines[:, :1]).all() and len(set(lines[:, 0])) == 2


def test_the_lines_on_importing_write_a_supernet_and_read_a_network(tmp_path, monkeypatch):
    (block,) = blocks("import.md", "supernet_file.write")
    space = spaces.get("nas_bench_201")
    supernet, architecture = Supernet(space, 2, 1, 5), Architecture(space)
    bilevel = Bilevel.create(supernet, architecture, config_lib.default().search)
    genotype = genotype_lib.from_text(
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|", space
    )
    network, other = (Network(space, genotype, 2, 1, 5, seed=seed) for seed in (0, 1))
    state = torch_weights.export(other)
    monkeypatch.chdir(tmp_path)
    names = {"setup": types.SimpleNamespace(bilevel=bilevel), "network": network, "state": dict(state)}
    exec(block, names)
    for key, array in supernet_file.arrays_of(bilevel).items():
        np.testing.assert_array_equal(npz.read("supernet.npz")[key], array, err_msg=key)
    assert names["state"].keys() == state.keys()
    for key, array in state.items():
        np.testing.assert_array_equal(names["state"][key], array, err_msg=key)
