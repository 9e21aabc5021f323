"""Imports go from above to below in the order of tests/imports.py, and the picture of them is this tree's."""

import graphlib

import pytest

from tests import imports
from tests.imports import LAYERS

MODULES = imports.modules()


def test_every_module_is_in_one_layer_and_every_member_is_a_module():
    members = [member for layer in LAYERS for member in layer.members]
    assert len(set(members)) == len(members)
    assert [member for member in members if member.removesuffix(".*") not in MODULES] == []
    # Every module has a level, and no layer is empty.
    assert {imports.level(module) for module in MODULES} == set(range(len(LAYERS)))


def test_no_module_imports_from_a_layer_above():
    upward = [
        f"{module} ({LAYERS[imports.level(module)].name}) -> {target} ({LAYERS[imports.level(target)].name})"
        for module, targets in imports.imports().items()
        for target in targets
        if imports.level(target) > imports.level(module)
    ]
    assert upward == []


def test_no_import_leads_back():
    # Imports inside functions and for types count too.
    tuple(graphlib.TopologicalSorter(imports.imports()).static_order())


def test_the_member_that_says_most_decides():
    def layer_of(module):
        return LAYERS[imports.level(module)].name

    assert layer_of("selection") == "names"
    assert layer_of("selection.criteria") == "names"
    assert layer_of("selection.probing") == "selection"
    assert layer_of("search.methods.sgas") == "selection"
    assert layer_of("search.methods.gdas") == "search"
    with pytest.raises(LookupError, match="selections is in none"):
        imports.level("selections")


def test_what_an_import_names_is_found():
    found = imports.imports()
    assert "spaces" in found["architecture"] and "runtime.seeds" in found["architecture"]
    assert "runtime.strategy" in found["run"]  # inside a function
    assert all(targets <= MODULES.keys() for targets in found.values())


@pytest.mark.parametrize(
    ("edges", "left"),
    [
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, {"a": {"b"}, "b": {"c"}, "c": set()}),
        ({"a": {"b", "c"}, "b": set(), "c": set()}, {"a": {"b", "c"}, "b": set(), "c": set()}),
    ],
)
def test_the_picture_leaves_out_what_follows(edges, left):
    assert imports.reduced(edges) == left


def test_the_picture_is_of_this_tree():
    page = imports.PAGE.read_text(encoding="utf-8")
    assert imports.BEGIN in page and imports.END in page
    assert page == imports.with_picture(page), "run: python tests/imports.py"
