"""Imports go from above to below in the order of tests/imports.py, and the picture of them is this tree's."""

import ast
import graphlib
import re

import pytest

from tests import imports
from tests.imports import LAYERS
from tf_darts import config

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


NAMED = re.compile(r"`([a-z_]\w*(?:\.\w+)+)`")


def defined_in(module):
    """Qualified names of a module's functions, classes, methods, fields and values."""
    found = set()

    def visit(body, prefix):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    visit(ast.parse(MODULES[module].read_text(encoding="utf-8")).body, "")
    return found


def exists(name):
    """Whether a name is a field of the config, or MODULE.NAME with a module of the package."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:end])
        if module in MODULES:
            return ".".join(parts[end:]) in defined_in(module)
    return False


def test_what_the_walks_name_is_there():
    page = imports.PAGE.read_text(encoding="utf-8").partition(imports.BEGIN)[0]
    named = NAMED.findall(page)
    assert len(named) > 60
    assert [name for name in named if not exists(name) and name not in config.NAMES] == []


@pytest.mark.parametrize("name", ["stages.searched", "supernet.Supernet.sing", "nowhere.at_all", "supernet"])
def test_what_is_not_there_is_noticed(name):
    assert not exists(name)
