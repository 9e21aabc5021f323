"""Spaces that a config describes: every form of candidates, every mistake, and their genotypes as text."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces, stages
from tf_darts.analysis import analyses
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.registry import ANALYSES, OPERATIONS
from tf_darts.workdir import genotype_file
from tf_darts.workdir.records import recorded_config, write_json

ROOT = Path(__file__).resolve().parents[2]
SKIP_SEP = ("skip_connect", "sep_conv_3x3")
POOLS = ("max_pool_3x3", "avg_pool_3x3")
CELL_201 = {"stacking": "nas_bench_201", "nodes": 3, "kept_edges": 0}


def config_of(**fields):
    config = config_lib.default()
    config.space = "custom"
    config.custom_space.nodes = 2
    config.custom_space.candidates = SKIP_SEP
    for name, value in fields.items():
        config.custom_space[name] = value
    return config


def space_of(**fields):
    return spaces.of(config_lib.validate(config_of(**fields)))


def refused(**fields):
    with pytest.raises(UserError) as caught:
        space_of(**fields)
    message = str(caught.value)
    assert message.startswith("config: custom_space.") and "\n" not in message
    return message.removeprefix("config: custom_space.")


def test_the_published_spaces_can_be_described():
    darts = spaces.get("darts")
    described = space_of(nodes=4, candidates=darts.operations, batch_norm_after=POOLS)
    assert described == spaces.Space(**{**vars(darts), "name": "custom"})
    s1 = spaces.get("s1")
    described = space_of(nodes=4, candidates=dict(s1.candidates), batch_norm_after=POOLS)
    assert described == spaces.Space(**{**vars(s1), "name": "custom"})
    nas_bench_201 = spaces.get("nas_bench_201")
    described = space_of(
        **CELL_201,
        candidates=nas_bench_201.operations,
        none_in_genotype=True,
        extra_selection_epoch=False,
    )
    assert described == spaces.Space(**{**vars(nas_bench_201), "name": "custom"})


def test_forms_of_candidates():
    uniform = {"normal": (SKIP_SEP,) * 5, "reduce": (SKIP_SEP,) * 5}
    assert space_of(candidates=SKIP_SEP).candidates == uniform
    assert space_of(candidates=list(SKIP_SEP)).candidates == uniform
    assert space_of(candidates=[SKIP_SEP] * 5).candidates == uniform
    edges = {"3<-2": POOLS, **{name: SKIP_SEP for name in ("2<-0", "2<-1", "3<-0", "3<-1")}}
    rows = (*[SKIP_SEP] * 4, POOLS)  # in the order of edges, whatever that of the keys
    assert space_of(candidates=edges).candidates == {"normal": rows, "reduce": rows}
    mixed = space_of(candidates={"reduce": edges, "normal": POOLS})
    assert mixed.candidates == {"normal": (POOLS,) * 5, "reduce": rows}
    assert mixed.cell_types == ("normal", "reduce")
    listed = space_of(candidates={"normal": [list(row) for row in rows], "reduce": POOLS})
    assert listed.candidates == {"normal": rows, "reduce": (POOLS,) * 5}


def test_what_is_left_out_follows_from_the_stacking():
    darts, nas_bench_201 = space_of(nodes=3), space_of(stacking="nas_bench_201", nodes=2)
    assert (darts.input_nodes, darts.output_nodes, darts.kept_edges) == (2, (2, 3, 4), 2)
    assert (nas_bench_201.input_nodes, nas_bench_201.output_nodes) == (1, (2,))
    assert nas_bench_201.cell_types == ("normal",)
    assert space_of(kept_edges=0).kept_edges is None
    assert space_of(nodes=3, output_nodes=(2, 4)).output_nodes == (2, 4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"candidates": None}, "candidates is empty; allowed: names of operations"),
        ({"candidates": ()}, "candidates is empty"),
        ({"candidates": {}}, "candidates is empty"),
        ({"candidates": "skip_connect"}, "candidates is 'skip_connect'; allowed: a tuple of names"),
        ({"candidates": 3}, "candidates is 3; allowed: names of operations"),
        ({"candidates": (3,)}, "candidates is (3,); allowed: names of operations"),
        ({"candidates": (SKIP_SEP, "none")}, "candidates lists 2 edges; allowed: 5, the edges 2<-0, 2<-1,"),
        ({"candidates": [SKIP_SEP] * 4}, "candidates lists 4 edges; allowed: 5, the edges 2<-0, 2<-1, 3<-0"),
        ({"candidates": [(), *[SKIP_SEP] * 4]}, "candidates, edge 2<-0 is (); allowed: a tuple of names"),
        (
            {"candidates": {"normal": SKIP_SEP, "reduce": [SKIP_SEP] * 6}},
            "candidates['reduce'] lists 6 edges; allowed: 5",
        ),
        (
            {"candidates": ("sep_conv_3x3", "sep_conv3x3")},
            "candidates: operation: 'sep_conv3x3' is not known; did you mean sep_conv_3x3?",
        ),
        (
            {"candidates": {"normal": SKIP_SEP, "reduce": ("qqq",)}},
            f"candidates['reduce']: operation: 'qqq' is not known; allowed: {', '.join(OPERATIONS)[:20]}",
        ),
        ({"candidates": SKIP_SEP * 2}, "candidates has 'skip_connect' twice; allowed: each operation once"),
        (
            {"candidates": {"normal": SKIP_SEP, "reduction": SKIP_SEP}},
            "candidates has the keys 'normal', 'reduction'; allowed: the cell types 'normal', 'reduce', or",
        ),
        ({"candidates": {"normal": SKIP_SEP}}, "candidates has the keys 'normal'; allowed: the cell types"),
        (
            {"candidates": {"normal": SKIP_SEP, "reduce": {"2<-0": SKIP_SEP}}},
            "candidates['reduce'] lacks the edges 2<-1, 3<-0, 3<-1, 3<-2; allowed: every edge",
        ),
        ({"candidates": {"2<-2": SKIP_SEP}}, "candidates: there is no edge '2<-2'; allowed: 2<-0, 2<-1,"),
        (
            {"candidates": {"normal": {"2<-0": "none"}, "reduce": SKIP_SEP}},
            "candidates['normal'] lacks the edges",
        ),
        (
            {"candidates": {"normal": (*[SKIP_SEP] * 4, ("none",)), "reduce": SKIP_SEP}},
            "candidates of 'normal', edge 3<-2, are 'none' alone; allowed: another operation there",
        ),
        ({"candidates": ("skip_connect",), "kept_edges": 0}, "candidates has one operation for each edge"),
        ({"kept_edges": 4}, "kept_edges is 4; allowed: 0 (all) to 3, the number of edges into the last node"),
        ({**CELL_201, "kept_edges": 4}, "kept_edges is 4; allowed: 0 (all) to 3"),
        ({"output_nodes": (2,)}, "output_nodes is (2,); allowed: the last node, 3, among them"),
        ({"output_nodes": (1, 3)}, "output_nodes is (1, 3); allowed: some of the nodes (2, 3), ascending"),
        ({"output_nodes": (3, 2)}, "output_nodes is (3, 2); allowed: some of the nodes (2, 3), ascending"),
        ({"output_nodes": (3, 3)}, "output_nodes is (3, 3); allowed: some of the nodes (2, 3), ascending"),
        ({"output_nodes": ("3",)}, "output_nodes is ('3',); allowed: a tuple of nodes, as (2, 3)"),
        ({**CELL_201, "output_nodes": (2, 3)}, "output_nodes is (2, 3); allowed: (3,), the last node, with"),
        (
            {"batch_norm_after": ("skip_conect",)},
            "batch_norm_after: 'skip_conect' is not one of custom_space.candidates; did you mean skip",
        ),
        ({"batch_norm_after": (1,)}, "batch_norm_after is (1,); allowed: a tuple of names of operations"),
        ({"none_in_genotype": True}, "none_in_genotype is True; allowed: only where 'none' is one of"),
        ({"nodes": 0}, "nodes is 0; allowed: an integer of at least 1"),
        ({"stacking": "vgg"}, "stacking is 'vgg'; allowed: one of darts, nas_bench_201"),
    ],
)
def test_mistakes(fields, message):
    assert refused(**fields).startswith(message)


@pytest.mark.parametrize(
    ("field", "value"),
    [("nodes", 3), ("candidates", SKIP_SEP), ("output_nodes", (5,)), ("none_in_genotype", True)],
)
def test_a_description_that_is_not_used_is_refused(field, value):
    config = config_lib.default()
    config.custom_space[field] = value
    with pytest.raises(UserError) as caught:
        config_lib.validate(config)
    assert str(caught.value) == (
        f"config: custom_space.{field} is {value!r}; allowed: only with space 'custom', and space is 'darts'"
    )


def test_a_description_is_the_same_after_json(tmp_path):
    config = config_lib.validate(
        config_of(nodes=3, candidates={"normal": [SKIP_SEP] * 9, "reduce": SKIP_SEP}, output_nodes=(3, 4))
    )
    write_json(tmp_path / "config.json", {"config": config.to_dict()})
    again = config_lib.validate(recorded_config(tmp_path))
    assert spaces.of(again) == spaces.of(config)
    assert again.to_dict() == config.to_dict()


def test_extensions_are_known_before_a_space_names_them(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("")
    config = config_of(candidates=("skip_connect", "own_of_this_test"))
    with pytest.raises(UserError, match="'own_of_this_test' is not known"):
        config_lib.validate(config)
    config.extensions.operations = {"own_of_this_test": f"{file}:Own"}
    assert "own_of_this_test" in spaces.of(config_lib.validate(config)).operations
    del OPERATIONS["own_of_this_test"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"a-b": "math:sqrt"}, "operation: the name is 'a-b'; allowed: letters, digits and _"),
        ({"none": "math:sqrt"}, "operation: the name 'none' is taken by"),
        ({"own": "nowhere.py:Own"}, "nowhere.py:Own': no such file"),
        ({"own": "math"}, "allowed: module:attribute or FILE.py:attribute"),
    ],
)
def test_extensions_that_lead_nowhere(entries, message):
    config = config_lib.default()
    config.extensions.operations = entries
    with pytest.raises(UserError) as caught:
        config_lib.validate(config)
    assert str(caught.value).startswith("config: extensions.operations: ") and message in str(caught.value)
    assert "own" not in OPERATIONS


def test_a_config_with_a_space_and_an_operation_is_checked_without_tensorflow():
    code = (
        "import runpy, sys; from tf_darts import config, spaces;"
        "get_config = runpy.run_path('examples/own_operation/config.py')['get_config'];"
        "spaces.of(config.validate(get_config()));"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


@st.composite
def spaces_and_genotypes(draw):
    stacking = draw(st.sampled_from(["darts", "nas_bench_201"]))
    nodes = draw(st.integers(1, 5))
    first = {"darts": 2, "nas_bench_201": 1}[stacking]
    last = first + nodes - 1
    fields = {"stacking": stacking, "nodes": nodes, "kept_edges": draw(st.integers(0, last))}
    if stacking == "darts":
        more = draw(st.sets(st.integers(first, last)))
        fields["output_nodes"] = tuple(sorted(more | {last}))
    space = space_of(**fields, candidates=("none", *SKIP_SEP), none_in_genotype=True)
    cells = {}
    for cell_type in space.cell_types:
        choices = []
        for node in space.targets:
            count = min(space.kept_edges or node, node)
            sources = draw(st.permutations(range(node)))[:count]
            ordered = sources if stacking == "darts" else sorted(sources)  # its text form orders them
            choices += [Choice(node, s, draw(st.sampled_from(("none", *SKIP_SEP)))) for s in ordered]
        cells[cell_type] = tuple(choices)
    return space, Genotype("custom", cells)


@settings(max_examples=60, deadline=None)
@given(spaces_and_genotypes())
def test_genotypes_come_back_from_text_and_json(pair):
    space, genotype = pair
    text = genotype.to_text(space)
    assert genotype_lib.from_text(text, space) == genotype
    assert Genotype.from_json(genotype.to_json(space), space) == genotype
    assert genotype_file.read(text, space) == genotype


def test_a_genotype_does_not_describe_its_space():
    space = space_of()
    choices = [Choice(2, 0, "skip_connect"), Choice(2, 1, "skip_connect"), Choice(3, 0, "skip_connect")]
    cells = dict.fromkeys(("normal", "reduce"), (*choices, Choice(3, 2, "sep_conv_3x3")))
    genotype = Genotype("custom", cells)
    with pytest.raises(UserError, match="space 'custom' is what a config describes: give the space"):
        Genotype.from_json(genotype.to_json(space))
    with pytest.raises(UserError, match=r"normal node 2: 2 edges; it has to keep 1"):
        Genotype.from_json(genotype.to_json(space), space_of(kept_edges=1))


def test_a_cell_may_give_some_of_its_nodes():
    space = space_of(nodes=3, output_nodes=(2, 4))
    supernet = Supernet(space, 2, 3, 5)
    images = tf.random.stateless_normal([2, 8, 8, 3], [0, 1])
    assert supernet(images, Architecture(space).mixing_weights()).shape == (2, 5)
    assert supernet.body.channels_out == 2 * 4 * 2  # of two nodes, at four times the width
    pairs = [("skip_connect", 0), ("sep_conv_3x3", 1)] * 3
    text = f"Genotype(normal={pairs}, normal_concat=[2, 4], reduce={pairs}, reduce_concat=[2, 4])"
    network = Network(space, genotype_lib.from_text(text, space), 2, 3, 5)
    assert network(images)[0].shape == (2, 5)


@pytest.mark.slow
def test_all_stages_on_cells_stacked_as_in_nas_bench_201(tmp_path):
    """Two edges kept of three: its own stacking keeps all."""
    settings = tiny.config()
    settings.space = "custom"
    settings.custom_space.update(
        {
            "stacking": "nas_bench_201",
            "nodes": 3,
            "kept_edges": 2,
            "candidates": {"normal": ("none", "skip_connect", "nor_conv_1x1")},
            "extra_selection_epoch": False,
        }
    )
    settings.search.epochs = settings.training.epochs = 1
    settings.selection.interval, settings.selection.compact = 0, False
    settings.search.cells = settings.training.cells = 1

    def run_of(config):
        config = config_lib.validate(config)
        return tiny.run(config, spaces.of(config))

    stages.search(run_of(settings), str(tmp_path))
    run = run_of(config_lib.with_method(recorded_config(tmp_path), "perturbation"))
    folder, genotype = stages.select(run, str(tmp_path))
    rows = tiny.rows(folder / "decisions.jsonl")
    assert [row["kind"] for row in rows] == ["operation"] * 6 + ["topology"]
    assert [len(genotype.cells["normal"]), rows[-1]["node"]] == [1 + 2 + 2, 3]
    text = genotype.to_text(run.space)
    assert genotype_lib.from_text(text, run.space).to_text(run.space) == text
    assert "none" not in text
    _, result = stages.train(run, str(tmp_path), "perturbation", genotype)
    assert result["genotype"] == text and result["space"] == "custom"


def test_a_custom_space_can_be_analysed(tmp_path, registries):
    def edges(run):
        return f"{len(run.space.edges)} edges"

    edges.needs_no_search = True
    ANALYSES.register("edges", edges)
    config = config_lib.validate(config_of())
    run = analyses.prepare(["edges"], tmp_path, config, None)["edges"]
    assert run.space == spaces.of(config)
