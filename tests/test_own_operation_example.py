"""examples/own_operation, shortened: its space and its operation go through all stages."""

import json
import runpy
from pathlib import Path

import ml_collections
import numpy as np
import pytest

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces, stages
from tf_darts.data import sources
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.models import torch_weights
from tf_darts.models.network import Network, count_parameters
from tf_darts.plots.cell_diagram import draw_genotypes
from tf_darts.registry import OPERATIONS
from tf_darts.workdir import genotype_file
from tf_darts.workdir.records import recorded_config

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "own_operation"
SHORT = {
    "data.limit_train": 96,
    "data.limit_test": 16,
    "search.channels": 4,
    "search.epochs": 2,
    "search.batch_size": 16,
    "search.evaluate_every": 2,
    "selection.interval": 1,
    "selection.compact": False,
    "training.channels": 4,
    "training.epochs": 2,
    "training.batch_size": 32,
    "runtime.tensorboard": False,
}


def example():
    config = runpy.run_path(str(FOLDER / "config.py"))["get_config"]()
    config_lib.allow_extensions(config.extensions)  # as the programs do with --config
    return config


def run_of(config):
    config = config_lib.validate(config)
    return tiny.run(config, spaces.of(config), sources.load(config.data, config.seed))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Search, select twice and train in a work directory, each from the config that it records."""
    workdir = str(tmp_path_factory.mktemp("own"))
    config = example()
    config.update_from_flattened_dict(SHORT)
    run = run_of(config)
    stages.check(run)
    stages.search(run, workdir)
    for method in ("magnitude", "perturbation"):
        run = run_of(config_lib.with_method(recorded_config(workdir), method))
        _, genotype = stages.select(run, workdir)
        stages.train(run, workdir, method, genotype)
    return Path(workdir)


def test_the_example_is_valid_and_small():
    config = config_lib.validate(example())
    space = spaces.of(config)
    assert space.operations == ("skip_connect", "sep_conv_3x3", "squeeze_excite", "max_pool_3x3")
    assert len(space.edges) == 5 and space.output_nodes == (2, 3)
    assert OPERATIONS["squeeze_excite"] == f"{FOLDER / 'squeeze_excite.py'}:SqueezeExcite"


@pytest.mark.slow
def test_the_recorded_config_gives_the_same_space(done):
    config = config_lib.validate(recorded_config(done))
    assert spaces.of(config) == spaces.of(config_lib.validate(example()))
    entry = config.extensions.operations.squeeze_excite
    assert entry == f"{FOLDER / 'squeeze_excite.py'}:SqueezeExcite"
    for folder in ("search", "selection/perturbation", "training/perturbation"):
        depends = json.loads((done / folder / "config.json").read_text())["config"]
        assert depends["custom_space"]["nodes"] == 2
        assert "extensions" not in depends  # the files may be moved


@pytest.mark.slow
def test_probes_and_alpha_name_the_operation(done):
    rows = tiny.rows(done / "selection" / "perturbation" / "decisions.jsonl")
    assert [row["kind"] for row in rows] == ["operation"] * 10 + ["topology"] * 2
    for row in rows[:10]:
        last = "squeeze_excite"
        assert [probe["operation"] for probe in row["probes"]][-1] == last and len(row["probes"]) == 3
    last_epoch = json.loads((done / "search" / "result.json").read_text())["last_epoch"]
    assert "alpha/normal/3<-2/squeeze_excite" in last_epoch


@pytest.mark.slow
def test_genotypes_come_back_and_are_drawn(done):
    space = spaces.of(config_lib.validate(recorded_config(done)))
    genotypes = {}
    for method in ("magnitude", "perturbation"):
        path = done / "selection" / method / "genotype.json"
        genotypes[method] = genotype_file.load(path, space)
        text = genotypes[method].to_text(space)
        assert genotype_lib.from_text(text, space) == genotypes[method]
        assert json.loads((done / "training" / method / "result.json").read_text())["genotype"] == text
    assert len(draw_genotypes(space, genotypes).axes) == 4


@pytest.mark.slow
def test_a_network_of_the_operation_alone_counts_and_exports(done):
    space = spaces.of(config_lib.validate(recorded_config(done)))
    pairs = [("squeeze_excite", 0), ("squeeze_excite", 1)] * 2
    cell = f"{pairs}, {{}}_concat=range(2, 4)"
    text = f"Genotype(normal={cell.format('normal')}, reduce={cell.format('reduce')})"
    genotype = genotype_lib.from_text(text, space)
    skips = genotype_lib.from_text(text.replace("squeeze_excite", "skip_connect"), space)
    ours, without = (Network(space, g, 4, 3, 10) for g in (genotype, skips))
    # Normal cells of width 4, reduction cells of 8 and 16; four operations in each.
    own = sum(4 * (9 * c + c * c + 2 * c + 2 * c * (c // 4)) for c in (4, 8, 16))
    factorized = sum(4 * (c * c + 2 * c) for c in (8, 16))  # skip connections of stride 2
    assert count_parameters(ours) - count_parameters(without) == own - factorized
    state = torch_weights.export(ours)
    assert {n.split(".own.")[1] for n in state if ".own." in n} == {str(i) for i in range(8)}
    other = Network(space, genotype, 4, 3, 10, seed=1)
    torch_weights.load(other, state)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(other(images)[0], ours(images)[0])


@pytest.mark.slow
def test_a_finished_stage_refuses_another_space(done):
    config = ml_collections.ConfigDict(recorded_config(done).to_dict())
    config.custom_space.kept_edges = 1
    with pytest.raises(ValueError, match=r"another config: custom_space\.kept_edges: 2 -> 1"):
        stages.search(run_of(config), str(done))
