"""Folders in the order of tests/imports.py: imports only go down, and names say what a file has.

The picture of the order on the page on architecture is this tree's.
"""

import ast
import collections
import graphlib
import re

import pytest

from tests import imports
from tests.imports import ORDER
from tf_darts import config

MODULES = imports.modules()
ROOM = 8  # modules at the package's root, with `__init__`
SAY_NOTHING = {"base", "common", "own", "given", "record", "panels"}


def upward(wanted):
    """Imports of a folder after the importing one; `wanted` are the modules that each module imports."""
    return [
        f"{module} -> {target}"
        for module, targets in wanted.items()
        for target in sorted(targets)
        if ORDER.index(imports.folder(target)) > ORDER.index(imports.folder(module))
    ]


def test_the_order_has_every_folder_and_no_other():
    assert len(set(ORDER)) == len(ORDER)
    assert {imports.folder(module) for module in MODULES} == set(ORDER)


def test_a_folder_imports_only_those_before_it():
    assert upward(imports.imports()) == []


def test_an_import_of_a_folder_after_is_found():
    wanted = {
        "workdir.metrics": {"runtime.host", "models.cost"},
        "layers.cell": {"layers.body"},
        "tf_darts": {"api"},
    }
    assert upward(wanted) == ["workdir.metrics -> models.cost", "tf_darts -> api"]
    with pytest.raises(LookupError, match="model is not in ORDER"):
        upward({"model.cost": {"layers.cell"}})


def test_no_import_leads_back():
    # Imports inside functions and for types count too.
    tuple(graphlib.TopologicalSorter(imports.imports()).static_order())


def test_what_an_import_names_is_found():
    found = imports.imports()
    assert "spaces" in found["models.architecture"] and "runtime.seeds" in found["models.architecture"]
    assert "genotypes.derive" in found["extend"]  # not at the top of the module
    assert all(targets <= MODULES.keys() for targets in found.values())


def test_few_modules_are_at_the_root():
    assert len(list((imports.ROOT / imports.PACKAGE).glob("*.py"))) <= ROOM


def public(text):
    """The public classes and the public functions of a module's text."""
    body = [node for node in ast.parse(text).body if not getattr(node, "name", "_").startswith("_")]
    classes = [node.name for node in body if isinstance(node, ast.ClassDef)]
    return classes, [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def bears(name, text):
    """Whether a module's name is its class's.

    A module that has one public class and no public function has the class's name in small letters with _, or
    words from the beginning or the end of that name: `BatchNorm` is in batch_norm.py, batch.py or norm.py.
    """
    classes, functions = public(text)
    if len(classes) != 1 or functions:
        return True
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", classes[0]).lower()
    return f"{words}_".startswith(f"{name}_") or f"_{words}".endswith(f"_{name}")


def test_the_file_of_a_class_bears_its_name():
    stems = {module: path.stem for module, path in MODULES.items() if path.stem != "__init__"}
    assert [m for m, stem in stems.items() if not bears(stem, MODULES[m].read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("batch_norm", "class BatchNorm: pass", True),
        ("norm", "class BatchNorm: pass", True),
        ("batch", "class BatchNorm: pass\nclass _Other: pass", True),
        ("atch", "class BatchNorm: pass", False),
        ("layer", "class BatchNorm: pass", False),
        ("layer", "class BatchNorm: pass\ndef _private(): pass", False),
        ("layer", "class BatchNorm: pass\ndef make(): pass", True),
        ("layer", "class BatchNorm: pass\nclass Cell: pass", True),
        ("pc_darts", "class PCDarts: pass", True),
    ],
)
def test_names_that_a_file_may_have(name, text, right):
    assert bears(name, text) == right


def test_no_two_public_classes_have_one_name():
    places = collections.defaultdict(list)
    for module, path in MODULES.items():
        for name in public(path.read_text(encoding="utf-8"))[0]:
            places[name].append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_modules_name_says_something():
    assert [module for module in MODULES if SAY_NOTHING & set(module.split("."))] == []


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


@pytest.mark.parametrize(
    "name", ["stages.searched", "models.supernet.Supernet.sing", "nowhere.at_all", "models.supernet"]
)
def test_what_is_not_there_is_noticed(name):
    assert not exists(name)
