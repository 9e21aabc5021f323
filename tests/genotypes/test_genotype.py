import dataclasses
import json
import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as g
from tf_darts.genotypes.genotype import Choice, Genotype, from_text
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.workdir import genotype_file

DARTS, S3, NB201 = spaces.get("darts"), spaces.get("s3"), spaces.get("nas_bench_201")
EXAMPLE = PUBLISHED["darts_pt_s5_0"]
TEXT = EXAMPLE.to_text()
TEXT_201 = "|skip_connect~0|+|avg_pool_3x3~0|none~1|+|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_3x3~2|"

# Other shapes on the same two stackings: one kept edge, outputs with a gap, every edge kept.
_ROWS = (("skip_connect", "noise"),) * 12
ODD = dataclasses.replace(
    DARTS, name="odd", nodes=3, input_nodes=3, candidates={"a": _ROWS, "b": _ROWS}, output_nodes=(3, 5)
)
ONE = dataclasses.replace(ODD, name="one", kept_edges=1)
ALL = dataclasses.replace(ODD, name="all", kept_edges=None, output_nodes=(5,))
WIDE_201 = dataclasses.replace(
    NB201, name="wide", input_nodes=2, candidates={"x": (("none", "b"),) * 9}, output_nodes=(4,)
)
ALL_SPACES = [*spaces.SPACES.values(), ODD, ONE, ALL, WIDE_201]


@st.composite
def genotypes(draw, space):
    """Any genotype of the space; where edges are chosen, in any order inside a node."""
    cells = {}
    for cell_type in space.cell_types:
        choices = []
        for node in space.targets:
            sources = list(range(node))
            if space.kept_edges is not None:
                sources = draw(st.permutations(sources))[: space.kept_edges]
            for source in sources:
                row = space.candidates[cell_type][space.edges.index(spaces.Edge(node, source))]
                names = [name for name in row if name != "none" or space.none_in_genotype]
                choices.append(Choice(node, source, draw(st.sampled_from(names))))
        cells[cell_type] = tuple(choices)
    return Genotype(space.name, cells)


SPACE_AND_GENOTYPE = st.sampled_from(ALL_SPACES).flatmap(lambda s: st.tuples(st.just(s), genotypes(s)))


def _spaced(text):
    return re.sub(r"([(,=\[+|])", r" \1\n\t ", text)


# --- Round trips ---


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_genotypes(name, tmp_path):
    genotype = PUBLISHED[name]
    space = spaces.get(genotype.space)
    g.validate(genotype, space)
    assert from_text(genotype.to_text(), space) == genotype
    assert Genotype.from_json(genotype.to_json()) == genotype
    genotype_file.save(tmp_path / "g.json", genotype)
    assert genotype_file.load(tmp_path / "g.json") == genotype
    assert genotype_file.read(str(tmp_path / "g.json"), space) == genotype


def test_published_names_and_one_of_them_in_full():
    assert len(PUBLISHED) == 22
    assert {genotype.space for genotype in PUBLISHED.values()} == {"darts", "s1", "s2", "s3", "s4"}
    assert TEXT == (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), "
        "('dil_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 2), "
        "('skip_connect', 0), ('max_pool_3x3', 4)], "
        "normal_concat=range(2, 6), "
        "reduce=[('sep_conv_3x3', 0), ('avg_pool_3x3', 1), ('dil_conv_5x5', 1), ('dil_conv_3x3', 2), "
        "('avg_pool_3x3', 0), ('max_pool_3x3', 2), ('sep_conv_3x3', 2), ('skip_connect', 4)], "
        "reduce_concat=range(2, 6))"
    )


@given(SPACE_AND_GENOTYPE)
@settings(max_examples=150, deadline=None)
def test_any_genotype_of_any_space(space_and_genotype):
    space, genotype = space_and_genotype
    g.validate(genotype, space)
    text = genotype.to_text(space)
    assert from_text(text, space) == genotype
    assert from_text(_spaced(text), space) == genotype
    assert Genotype.from_json(genotype.to_json(space), space) == genotype
    assert "\n" not in text


@pytest.mark.parametrize("space", [ODD, ONE, ALL], ids=lambda space: space.name)
def test_concat_is_a_range_only_if_it_can_be(space):
    choices = tuple(Choice(t, s, "noise") for t in space.targets for s in range(space.kept_edges or t))
    text = Genotype(space.name, {"a": choices, "b": choices}).to_text(space)
    expected = "range(5, 6)" if space is ALL else "[3, 5]"
    assert f"a_concat={expected}" in text
    assert text.count("'noise'") == 2 * len(choices) == 2 * {"odd": 6, "one": 3, "all": 12}[space.name]


def test_reference_genotypes(shared):
    names = {"network_darts": DARTS, "supernet_darts": DARTS, "supernet_nas_bench_201": NB201}
    for name, space in names.items():
        text = str(np.load(shared / "reference" / f"{name}.npz")["genotype"])
        genotype = from_text(text, space)
        assert genotype.to_text() == text
        assert Genotype.from_json(genotype.to_json()) == genotype


def test_order_inside_a_node_is_kept_where_edges_are_chosen():
    swapped = TEXT.replace(
        "('sep_conv_3x3', 0), ('sep_conv_3x3', 1)", "('sep_conv_3x3', 1), ('sep_conv_3x3', 0)", 1
    )
    genotype = from_text(swapped, DARTS)
    assert [choice.source for choice in genotype.cells["normal"][:2]] == [1, 0]
    assert genotype.to_text() == swapped


def test_nas_bench_201_text_is_by_source_whatever_the_order():
    genotype = from_text(TEXT_201.replace("|avg_pool_3x3~0|none~1|", "|none~1|avg_pool_3x3~0|"), NB201)
    assert genotype.to_text() == TEXT_201
    cells = {
        "normal": (
            genotype.cells["normal"][0],
            *genotype.cells["normal"][2:0:-1],
            *genotype.cells["normal"][3:],
        )
    }
    assert Genotype("nas_bench_201", cells).to_text() == TEXT_201


def test_list_instead_of_range():
    assert from_text(TEXT.replace("range(2, 6)", "[2, 3, 4, 5]"), DARTS) == EXAMPLE
    assert from_text(TEXT.replace("range(2, 6)", "(2,3,4,5)"), DARTS) == EXAMPLE


def test_json_is_as_documented():
    data = json.loads(EXAMPLE.to_json())
    assert list(data) == ["schema_version", "space", "cells", "text"]
    assert (data["schema_version"], data["space"], data["text"]) == (1, "darts", TEXT)
    assert data["cells"]["normal"][7] == {"target": 5, "source": 4, "operation": "max_pool_3x3"}


# --- Files and flags ---


def test_read_takes_forms_and_files(tmp_path):
    path = tmp_path / "genotype"
    for content in (TEXT, f"\n{TEXT}\n", EXAMPLE.to_json(), "\ufeff" + TEXT):
        path.write_text(content, encoding="utf-8")
        assert genotype_file.read(str(path), DARTS) == EXAMPLE
    assert genotype_file.read(TEXT, DARTS) == genotype_file.read(EXAMPLE.to_json()) == EXAMPLE
    assert genotype_file.read(TEXT_201, NB201).to_text() == TEXT_201


def test_read_refuses_another_space_and_a_text_without_one():
    with pytest.raises(UserError, match="of space 'darts', not of 's1'"):
        genotype_file.read(EXAMPLE.to_json(), spaces.get("s1"))
    with pytest.raises(UserError, match="does not name its space"):
        genotype_file.read(TEXT)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long").write_text("|" * 10**6)
    (tmp_path / "other").write_text("hello")
    (tmp_path / "broken").write_text('{\n"space": }')
    for name, words in {
        "missing": "missing.*No such file",
        "": "directory",
        "binary": "binary.*not UTF-8 text: byte 0",
        "long": "long.*longer than 65536",
        "other": "other.*neither JSON nor a text form: 'hello'",
        "broken": "broken.*JSON line 2 column 10",
    }.items():
        with pytest.raises(UserError, match=words):
            genotype_file.load(str(tmp_path / name))
    for path in ("a\0b", "x" * 10_000, "", None, 0, 1.5):
        with pytest.raises(UserError, match="cannot be read"):
            genotype_file.read(path, DARTS)


def test_save_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "g.json"
    path.write_text("before")
    bad = Genotype("darts", {**EXAMPLE.cells, "normal": ()})
    with pytest.raises(UserError, match="normal node 2: 0 edges"):
        genotype_file.save(path, bad)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="cannot be written: No space left"):
        genotype_file.save(path, EXAMPLE)
    assert [p.name for p in tmp_path.iterdir()] == ["g.json"]
    assert path.read_text() == "before"
    monkeypatch.undo()
    genotype_file.save(path, EXAMPLE)
    assert genotype_file.load(path) == EXAMPLE
    with pytest.raises(UserError, match="cannot be written"):
        genotype_file.save(tmp_path / "no" / "g.json", EXAMPLE)
