"""Whatever is wrong with a genotype is said in one line that names the place, and in no other way."""

import dataclasses
import json

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


def _edit(**changes):
    return json.dumps({**json.loads(EXAMPLE.to_json()), **changes})


def _entry(position, **changes):
    data = json.loads(EXAMPLE.to_json())
    data["cells"]["normal"][position].update(changes)
    return json.dumps(data)


def _without(key):
    data = json.loads(EXAMPLE.to_json())
    del data[key]
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            _entry(3, operation="foo"),
            r"normal node 3, edge 3<-1: operation 'foo' is not a candidate; allowed: max_",
        ),
        (_entry(0, operation="none"), r"edge 2<-0: operation 'none' is not a candidate"),
        (_entry(0, operation=3), r"normal entry 0: operation has to be a text, not 3"),
        (_entry(2, source=1), r"normal node 3: source 1 stands twice"),
        (_entry(2, source=3), r"normal node 3: source 3 is not an earlier node; allowed: 0 to 2"),
        (_entry(2, source=-1), r"source -1"),
        (_entry(2, source=10**50), r"normal node 3: source 1000"),
        (_entry(2, source=True), r"normal entry 2: source has to be an integer, not True"),
        (_entry(2, source=0.0), r"source has to be an integer, not 0.0"),
        (_entry(2, target=6), r"node 6 is not a target; allowed: 2, 3, 4, 5"),
        (_entry(2, target=[]), r"target has to be an integer, not \[\]"),
        (_entry(2, target=5), r"have to stand by target node"),
        (_entry(6, target=4, source=1), r"normal node 4: 3 edges; it has to keep 2"),
        (_entry(1, extra=1), r"cells, 'normal' entry 1 has an unknown key 'extra'"),
        (_edit(schema_version=2), r"schema_version 2 is not known; allowed: 1"),
        (_edit(schema_version=True), r"schema_version True"),
        (_edit(schema_version="1"), r"schema_version '1'"),
        (_edit(space="s9"), r"space 's9' is not known; allowed: darts"),
        (_edit(space=["darts"]), r"space has to be a text"),
        (_edit(space="nas_bench_201"), r"cells are .*needs exactly \['normal'\]"),
        (_edit(cells=[]), r"cells has to be an object, not \[\]"),
        (_edit(cells={}), r"cells are \[\]; space 'darts' needs exactly \['normal', 'reduce'\]"),
        (_edit(cells={"normal": [], "reduce": []}), r"normal node 2: 0 edges; it has to keep 2"),
        (_edit(cells={"normal": None, "reduce": []}), r"cells, 'normal' has to be a list, not None"),
        (_edit(cells={"normal": [1]}), r"cells, 'normal' entry 0 has to be an object, not 1"),
        (_edit(cells={"normal": [{"target": 2}]}), r"entry 0 lacks the key 'source'"),
        (_edit(text="Genotype()"), r"text and cells disagree"),
        (_edit(text=None), r"text and cells disagree"),
        (_edit(more=1), r"unknown key 'more'"),
        *[(_without(key), rf"lacks the key '{key}'") for key in ("schema_version", "space", "cells", "text")],
        ('{"schema_version": 1,\n "space": "darts",\n "cells": {},\n "text"; ""}', r"JSON line 4 column 8"),
        ('{"space": 1, "space": 2}', r"JSON: key 'space' stands twice"),
        ("[" * 60_000, r"JSON cannot be parsed: .*recursion"),
        ("9" * 5000, r"JSON cannot be parsed"),
        ("[]", r"the JSON has to be an object"),
        ("", r"JSON line 1 column 1"),
        ("{" + " " * 70_000, r"longer than 65536"),
        (b"{}", r"a text is needed"),
        (None, r"a text is needed"),
    ],
)
def test_bad_json(text, words):
    with pytest.raises(UserError, match=f"^genotype: .*({words})") as caught:
        Genotype.from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Genotype(", r"text line 1 column 9"),
        ("\n\nGenotype(normal=[,])", r"text line 3 column 18"),
        ("", r"text line 1"),
        ("Other()", r"has to be Genotype"),
        ("__import__('os').getcwd()", r"has to be Genotype"),
        (TEXT.replace("'skip_connect'", "print('x')", 1), r"normal may hold only"),
        (TEXT.replace("range(2, 6)", "exit()", 1), r"normal_concat may hold only"),
        (TEXT.replace("range(2, 6)", "range(2, 5)", 1), r"normal_concat is \(2, 3, 4\)"),
        (TEXT.replace("range(2, 6)", f"range(2, {10**20})", 1), r"normal_concat has to be range"),
        (TEXT.replace("range(2, 6)", "range(2, 6, 1)", 1), r"normal_concat has to be range"),
        (TEXT.replace("range(2, 6)", "range(2, stop=6)", 1), r"normal_concat has to be range"),
        (TEXT.replace("range(2, 6)", "7", 1), r"normal_concat is 7"),
        (TEXT.replace("normal_concat", "concat"), r"has to name exactly normal, normal_concat, reduce"),
        (TEXT.replace("Genotype(", "Genotype(1, "), r"has to name exactly"),
        (TEXT.replace("Genotype(", "Genotype(normal=1, "), r"has to name exactly|repeated"),
        (TEXT.replace("('sep_conv_3x3', 0), ", "", 1), r"normal has to list 8 pairs .* not 7 entries"),
        (TEXT.replace("('sep_conv_3x3', 0)", "'ab'", 1), r"normal pair 0 has to be \(operation, source\)"),
        (TEXT.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 0, 1)", 1), r"normal pair 0"),
        (TEXT.replace("('sep_conv_3x3', 0)", "(0, 'sep_conv_3x3')", 1), r"source has to be an integer"),
        (
            TEXT.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 1)", 1),
            r"normal node 2: source 1 stands twice",
        ),
        (TEXT.replace("max_pool_3x3", "noise", 1), r"normal node 5, edge 5<-4: operation 'noise'"),
        (TEXT.replace("('sep_conv_3x3', 0)", f"('sep_conv_3x3', 0x{'f' * 5000})", 1), r"a very large int"),
        (TEXT.replace("'sep_conv_3x3'", "'a\\nb'", 1), r"operation 'a\\nb'"),
        ("(" * 60_000, r"nested"),
        ("-" * 60_000 + "1", r"nested too deeply|recursion"),
        ("1" + "+1" * 30_000, r"recursion"),
        ("\0", r"null bytes"),
        ("\ud800", r"surrogates"),
        ("9" * 5000, r"4300 digits"),
        (" " * 70_000, r"longer than 65536"),
        (7, r"a text is needed"),
    ],
)
def test_bad_darts_text(text, words):
    with pytest.raises(UserError, match=f"^genotype: .*({words})") as caught:
        from_text(text, DARTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"3 nodes joined by '\+', not 1"),
        (TEXT, r"3 nodes joined by"),
        (TEXT_201 + "+|none~0|", r"3 nodes joined by '\+', not 4"),
        (TEXT_201[:-1], r"node 3 has to be \|operation~source\|"),
        (TEXT_201.replace("none~1", "none"), r"node 2: 'none' is not operation~source"),
        (TEXT_201.replace("none~1", "none~²"), r"node 2: 'none~²' is not operation~source"),
        (TEXT_201.replace("none~1|", "|"), r"node 2: '' is not"),
        (TEXT_201.replace("none~1|", ""), r"normal node 2: 1 edges; it has to keep 2"),
        (TEXT_201.replace("none~1", "none~0"), r"normal node 2: source 0 stands twice"),
        (TEXT_201.replace("none~1", "none~2"), r"normal node 2: source 2 is not an earlier node"),
        (TEXT_201.replace("none", "noise"), r"edge 2<-1: operation 'noise' .* allowed: none, skip_connect"),
    ],
)
def test_bad_nas_bench_201_text(text, words):
    with pytest.raises(UserError, match=f"^genotype: .*({words})"):
        from_text(text, NB201)


def test_none_is_refused_where_the_space_says_so():
    genotype = PUBLISHED["darts_pt_s3_1"]
    changed = genotype.to_text().replace("skip_connect", "none", 1)
    with pytest.raises(UserError, match=r"'none' may not be chosen; allowed: skip_connect, sep_conv_3x3$"):
        from_text(changed, S3)
    assert from_text(changed, dataclasses.replace(S3, none_in_genotype=True)).space == "s3"


def test_a_stacking_without_text_form():
    stacking = dataclasses.replace(DARTS.stacking, name="ring")
    space = dataclasses.replace(DARTS, stacking=stacking)
    with pytest.raises(UserError, match="no text form for stacking 'ring'; known: darts, nas_bench_201"):
        EXAMPLE.to_text(space)
    two_types = dataclasses.replace(NB201, candidates={"a": NB201.candidates["normal"]} | NB201.candidates)
    with pytest.raises(UserError, match="one cell type only"):
        from_text(TEXT_201, two_types)


def test_what_no_file_can_hold():
    for cells, words in (
        ({**EXAMPLE.cells, "normal": [*EXAMPLE.cells["normal"]]}, "tuple of Choice"),
        ({**EXAMPLE.cells, "normal": ((2, 0, "skip_connect"),)}, "tuple of Choice"),
        (None, "cells are None"),
        ({**EXAMPLE.cells, 3: ()}, r"cells are \['normal', 'reduce', 3\]"),
    ):
        with pytest.raises(UserError, match=words):
            g.validate(Genotype("darts", cells), DARTS)
    deep = []
    for _ in range(10_000):
        deep = [deep]
    for value, words in ((deep, "not a very large list"), (10**5000, "not a target|a very large int")):
        with pytest.raises(UserError, match=words):
            g.validate(Genotype("darts", {**EXAMPLE.cells, "normal": (Choice(value, 0, "none"),)}), DARTS)
    with pytest.raises(UserError, match="space 'odd' is not known"):
        Genotype("odd", {}).to_text()


# --- Nothing but UserError, whatever comes in ---

EDIT = st.tuples(
    st.floats(0, 1),
    st.integers(0, 3),
    st.one_of(
        st.text(max_size=3),
        st.sampled_from(list("()[]{}|~+,:='\"\\ \n0139eE-*#.")),
        st.sampled_from(
            ["null", "true", "1e999", "NaN", "range", "none", "lambda:0", "**x", "[*a]", "f''", "b''"]
        ),
    ),
)


def _mutate(text, edits):
    for place, removed, inserted in edits:
        start = int(place * len(text))
        text = text[:start] + inserted + text[start + removed :]
    return text


def _genotype_or_user_error(function, *arguments):
    try:
        result = function(*arguments)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert isinstance(result, Genotype)
        g.validate(result, spaces.get(result.space))


@given(st.sampled_from([TEXT, TEXT_201, EXAMPLE.to_json()]), st.lists(EDIT, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_mutated_text(text, edits):
    text = _mutate(text, edits)
    _genotype_or_user_error(from_text, text, DARTS)
    _genotype_or_user_error(from_text, text, NB201)
    _genotype_or_user_error(Genotype.from_json, text)
    _genotype_or_user_error(genotype_file.read, text, DARTS)


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("darts"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _replace(value, path, new):
    """`value` with the part at `path`, a list of numbers that pick a child at each level, replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[path[0] % len(keys)]
    copy = value.copy()
    copy[key] = _replace(value[key], path[1:], new)
    return copy


@given(st.lists(st.integers(0, 20), max_size=4), JSON_VALUE)
@settings(max_examples=200, deadline=None)
def test_mutated_json(path, new):
    data = _replace(json.loads(EXAMPLE.to_json()), path, new)
    _genotype_or_user_error(Genotype.from_json, json.dumps(data))


@given(st.binary(max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_bytes_in_a_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any_bytes"
    path.write_bytes(data)
    _genotype_or_user_error(genotype_file.load, path, DARTS)
