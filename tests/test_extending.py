"""Every piece of code in docs/extending.md, put in its one file and run."""

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import registry, spaces, trust
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.data import sources
from tf_darts.models.evaluator import Score
from tf_darts.registry import ANALYSES
from tf_darts.search import loop
from tf_darts.search import setup as search_setup
from tf_darts.selection import select
from tf_darts.selection.first_order import FirstOrder
from tf_darts.selection.magnitude import select as by_magnitude
from tf_darts.selection.measurer import Measurer

pytestmark = pytest.mark.usefixtures("registries", "one_stage")

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
SECTIONS = [
    "An operation",
    "A Keras layer as an operation",
    "A space",
    "A search method",
    "A part of a search",
    "A selection criterion",
    "A criterion that looks inside",
    "A selection",
    "An analysis",
]


@pytest.fixture
def one_stage(monkeypatch):
    tiny.one_stage(monkeypatch)


def code_of(section):
    """Return the pieces of code below a heading: those that are files, by name, and those about a config."""
    text = re.split(rf"^##+ {section}$", PAGE.read_text(), flags=re.M)[1]
    text = re.split(r"^##+ ", text, flags=re.M)[0]
    pieces = re.findall(r"```python\n(.*?)```", text, re.S)
    files = {re.match(r"# (\w+\.py)\n", p).group(1): p for p in pieces if p.startswith("# ")}
    return files, [piece for piece in pieces if not piece.startswith("# ")]


def small(config):
    """Set sizes for a search of a second: a cell of one edge on a few digits."""
    config.data.source, config.data.limit_train, config.data.limit_test = "digits", 32, 8
    config.data.crop_padding, config.data.flip = 0, False
    config.search.channels, config.search.cells = 4, 1
    config.search.epochs, config.search.batch_size, config.search.evaluate_every = 2, 8, 0
    config.search.alpha_learning_rate = 0.1
    config.selection.interval = 0
    config.runtime.tensorboard = False
    return config


def config_of(section, folder):
    """Make the config as the page says, with the section's files in a folder."""
    files, pieces = code_of(section)
    for name, code in files.items():
        (folder / name).write_text(code)
    config = small(config_lib.default())
    config.space = "custom"
    config.custom_space.stacking = "nas_bench_201"
    config.custom_space.nodes, config.custom_space.kept_edges = 1, 0
    config.custom_space.candidates = ("skip_connect", "nor_conv_1x1")
    for piece in pieces:
        exec(piece.replace("/path/to", str(folder)), {"config": config})
    trust.allow(folder)
    return config_lib.validate(config)


def searched(config, folder):
    space = spaces.of(config)
    data = sources.load(config.data, config.seed)
    make = functools.partial(
        search_setup.set_up, config, space, data, tf.distribute.OneDeviceStrategy("/cpu:0")
    )
    (folder / "search").mkdir()
    made = make()
    loop.run(made, folder / "search")
    return made, make


def run(config, folder):
    """Search and select; return the searched setup, the genotype and the rows of decisions.jsonl."""
    made, make = searched(config, folder)
    (folder / "selection").mkdir()
    genotype = select.run(make(), folder / "search", folder / "selection")
    path = folder / "selection" / "decisions.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return made, genotype, rows


def test_the_page_has_these_sections_and_each_its_one_file():
    *headings, names, old = re.findall(r"^###? (.*)$", PAGE.read_text(), re.M)
    assert headings == SECTIONS
    assert (names, old) == ("What `tf_darts.extend` has", "Files written for version 1.0")
    for section in SECTIONS:
        assert len(code_of(section)[0]) == 1


def test_an_operation(tmp_path):
    config = config_of("An operation", tmp_path)
    made, genotype, rows = run(config, tmp_path)
    assert "gated_conv" in config.custom_space.candidates
    assert [probe["operation"] for probe in rows[0]["probes"]] == list(config.custom_space.candidates)
    assert rows[0]["chosen"] == genotype.cells["normal"][0].operation
    assert any("GatedConv" in type(layer).__name__ for layer in made.bilevel.supernet._flatten_layers())


def test_a_keras_layer(tmp_path):
    files, _ = code_of("A Keras layer as an operation")
    (tmp_path / "my_layers.py").write_text(files["my_layers.py"])
    config = config_of("A Keras layer as an operation", tmp_path)
    config.extensions.operations = {"plain_conv": f"{tmp_path / 'my_layers.py'}:plain_conv"}
    config.custom_space.candidates = ("skip_connect", "plain_conv")
    _, genotype, rows = run(config_lib.validate(config), tmp_path)
    assert [probe["operation"] for probe in rows[0]["probes"]] == ["skip_connect", "plain_conv"]
    assert rows[0]["chosen"] == genotype.cells["normal"][0].operation


def test_a_space(tmp_path):
    files, _ = code_of("A space")
    (tmp_path / "my_space.py").write_text(files["my_space.py"])
    config = small(registry.load_reference(f"{tmp_path / 'my_space.py'}:get_config")())
    config.search.cells, config.search.epochs = 3, 1
    config.selection.method = "magnitude"
    made, genotype, rows = run(config_lib.validate(config), tmp_path)
    candidates = config.custom_space.candidates
    assert {t: made.space.candidates[t][0] for t in made.space.cell_types} == dict(candidates)
    assert len(rows) == 2 * 5  # two nodes with two and three edges
    for cell_type, cell in genotype.cells.items():
        assert len(cell) == 4 and {choice.operation for choice in cell} <= set(candidates[cell_type])


def test_a_search_method(tmp_path):
    config = config_of("A search method", tmp_path)
    config.selection.method = "magnitude"
    sharpened, genotype, _ = run(config_lib.validate(config), tmp_path)
    assert genotype.cells["normal"]
    config.search.method = "darts"
    (tmp_path / "darts").mkdir()
    darts, _ = searched(config_lib.validate(config), tmp_path / "darts")
    alphas = [made.bilevel.architecture.alpha["normal"].numpy() for made in (sharpened, darts)]
    assert (alphas[0] != alphas[1]).all()
    # At the end of the first epoch the temperature is 1, so that the first steps are those of DARTS.
    rows = [
        [json.loads(line) for line in (folder / "search" / "metrics.jsonl").read_text().splitlines()]
        for folder in (tmp_path, tmp_path / "darts")
    ]
    first, second = ([r for r in part if "finished_epoch" in r][:2] for part in rows)
    for name in [name for name in first[0] if name.startswith("alpha/")]:
        assert first[0][name] == pytest.approx(second[0][name], abs=1e-5)
        assert first[1][name] != second[1][name]


def test_a_part_of_a_search(tmp_path):
    config = config_of("A part of a search", tmp_path)
    config.selection.method = "magnitude"
    made, genotype, _ = run(config_lib.validate(config), tmp_path)
    assert list(made.method.parts) == ["early_entropy", "auxiliary_skip"] and genotype.cells["normal"]
    # Descent raises the entropy: what is largest is pulled down, and all of it more in the beginning.
    part, architecture = made.method.parts["early_entropy"], made.bilevel.architecture
    (alpha,) = architecture.alpha.values()
    alpha.assign(tf.tile([[1.0, *[0.0] * (alpha.shape[1] - 1)]], [alpha.shape[0], 1]))
    slopes = []
    for progress in (0.0, 0.5):
        with tf.GradientTape() as tape:
            value = part.penalty(architecture, {"normal": alpha}, tiny.now(progress=progress))
        slopes.append(tape.gradient(value, alpha).numpy())
    assert (slopes[0][:, 0] > 0).all() and slopes[1] == pytest.approx(slopes[0] / 2)


def test_a_selection_criterion(tmp_path):
    config = config_of("A selection criterion", tmp_path)
    _, genotype, rows = run(config, tmp_path)
    odds = registry.load_reference(config.extensions.criteria.odds)
    scores = [Score(p["correct"], p["images"], p["loss"]) for p in rows[0]["probes"]]
    assert rows[0]["criterion"] == "odds" and rows[0]["operation"] == int(
        np.argmax([odds(s) for s in scores])
    )
    assert odds(Score(3, 8, 1.0)) > odds(Score(5, 8, 1.0))
    assert genotype.cells["normal"][0].operation == rows[0]["chosen"]


def test_a_criterion_that_looks_inside(tmp_path):
    config = config_of("A criterion that looks inside", tmp_path)
    made, genotype, rows = run(config, tmp_path)
    assert rows[0]["criterion"] == "sensitivity" and "probes" not in rows[0]
    importance = rows[0]["measured"]["importance"]
    strength = Measurer(made, made.valid, True).everything(FirstOrder())["normal"][0]
    # The batches are one of 8 after the other; of each the size of the strength counts.
    assert list(importance.values()) >= np.abs(strength).tolist() and min(importance.values()) > 0
    assert rows[0]["chosen"] == max(importance, key=importance.get)
    assert genotype.cells["normal"][0].operation == rows[0]["chosen"]


def test_a_selection(tmp_path):
    config = config_of("A selection", tmp_path)
    function = registry.load_reference(config.extensions.selections.doubting_skips)
    made, _, _ = run(config, tmp_path)
    architecture = made.bilevel.architecture
    # A skip connection is kept only from twice the other's weight on: exp(0.6) is less, exp(0.8) more.
    for gap, ours in ((0.6, "nor_conv_1x1"), (0.8, "skip_connect")):
        architecture.alpha["normal"].assign([[gap, 0.0]])
        assert function(made, tmp_path).cells["normal"][0].operation == ours
        assert by_magnitude(architecture).genotype.cells["normal"][0].operation == "skip_connect"


def test_an_analysis(tmp_path):
    config = config_of("An analysis", tmp_path)
    made, make = searched(config, tmp_path)
    of_workdir = AnalysisRun("undecided", tmp_path, config, spaces.of(config), None, functools.cache(make))
    text = ANALYSES.load("undecided")(of_workdir)
    rows = made.bilevel.architecture.probabilities()["normal"].numpy()
    expected = -(rows * np.log(rows)).sum(-1).mean()
    found = json.loads((tmp_path / "analysis" / "undecided" / "result.json").read_text())
    assert found["entropy"]["normal"] == pytest.approx(expected, rel=1e-5)
    assert f"{expected:.3f} nats" in text
