"""Folders in the order of tests/imports.py: imports only go down, and names say what a file has.

The picture and the list on the page on architecture are this tree's, and what the page names is there.
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
def test_what_follows_is_left_out(edges, left):
    assert imports.reduced(edges) == left


def test_the_picture_and_the_list_are_of_this_tree():
    page = imports.PAGE.read_text(encoding="utf-8")
    assert page == imports.with_parts(page), "run: python tests/imports.py"


def test_the_picture_shows_every_folder_once_from_the_roof_down():
    rows = [line for line in imports.picture().splitlines() if line.startswith("│")]
    assert {len(row) for row in rows} == {imports.WIDTH + 4}
    rooms = [name for row in rows if row.startswith("│   ") for name in row.strip("│ ").split()]
    assert sorted(rooms) == sorted(imports.place(name) for name in ORDER)
    of_some = [rooms.index(room) for room in ("cli/", "stages.py", "search/", "layers/", "registry.py")]
    assert of_some == sorted(of_some)


def test_parts_are_written_between_their_marks_and_nowhere_else():
    page = "a\n<!-- x: written by tests/imports.py -->\nold\n<!-- end of x -->\nb\n"
    written = "a\n<!-- x: written by tests/imports.py -->\n\nnew\n\n<!-- end of x -->\nb\n"
    assert imports.with_parts(page, {"x": lambda: "new"}) == written
    assert imports.with_parts(written, {"x": lambda: "new"}) == written
    for wrong in ("", page + page):
        with pytest.raises(ValueError, match="not once in the page"):
            imports.with_parts(wrong, {"x": lambda: "new"})


# What the page names: a file as the text of a link to it, and what is in that file, as `Bilevel.forward`.
LINKED = re.compile(r"\[`([\w/]+\.py)`\]\(\.\./tf_darts/([\w/]+\.py)\)")
NAMED = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)*)(?<!\.json)(?<!\.jsonl)`")  # no file of a work directory


def items(page):
    """The paragraphs, the items of lists and the rows of tables of a page, each with all its lines."""
    text = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    return [item for item in re.split(r"\n\n|\n(?=\d+\. |\| |- )", text) if item.strip()]


def module_of(file):
    """The module of a file of the package."""
    return file.removesuffix(".py").replace("/", ".")


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


def missing(item):
    """What an item names that is neither a config field nor in one of the files that it links to.

    A link's text has to be the file that it leads to.
    """
    links = LINKED.findall(item)
    wrong = [text for text, file in links if text != file or module_of(file) not in MODULES]
    files = [module_of(file) for _, file in links if module_of(file) in MODULES]
    known = set().union(config.NAMES, *map(defined_in, files))
    return wrong + [name for name in NAMED.findall(LINKED.sub("", item)) if name not in known]


def written_by_hand():
    page = imports.PAGE.read_text(encoding="utf-8")
    return items(imports.with_parts(page, dict.fromkeys(imports.PARTS, lambda: "")))


def test_what_the_page_names_is_there():
    assert [(item, names) for item in written_by_hand() if (names := missing(item))] == []


def test_the_page_names_much():
    links = {file for item in written_by_hand() for _, file in LINKED.findall(item)}
    names = {name for item in written_by_hand() for name in NAMED.findall(LINKED.sub("", item))}
    assert len(links) > 50 and len(names) > 70
    wanted = ("mixed_op", "bilevel", "probe", "probe_pass", "finetune", "darts_pt", "budget", "stage_run")
    assert [name for name in wanted if not any(file.endswith(f"/{name}.py") for file in links)] == []


@pytest.mark.parametrize(
    ("item", "names"),
    [
        ("1. [`search/loop.py`](../tf_darts/search/loop.py): `run`, `search_steps`, `search.epochs`.", []),
        ("1. [`search/loop.py`](../tf_darts/search/loop.py): `sing`, and `run`.", ["sing"]),
        ("`run` of no file", ["run"]),
        ("[`search/loop.py`](../tf_darts/search/plan.py)", ["search/loop.py"]),
        ("[`search/nowhere.py`](../tf_darts/search/nowhere.py)", ["search/nowhere.py"]),
        (
            "[`search/bilevel.py`](../tf_darts/search/bilevel.py): `Bilevel.forward`, `Bilevel.sing`",
            ["Bilevel.sing"],
        ),
    ],
)
def test_what_is_not_there_is_noticed(item, names):
    assert missing(item) == names
