"""tf_darts.extend: the one import for a user's own parts."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tf_darts import extend, registry
from tf_darts.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
REGISTRIES = {
    extend.register_operation: registry.OPERATIONS,
    extend.register_method: registry.METHODS,
    extend.register_part: registry.PARTS,
    extend.register_selection: registry.SELECTIONS,
    extend.register_criterion: registry.CRITERIA,
    extend.register_analysis: registry.ANALYSES,
}


@pytest.mark.parametrize("name", extend.__all__)
def test_every_name_is_there(name):
    found = getattr(extend, name)
    module, _, attribute = extend.PLACES.get(name, f"tf_darts.extend:{name}").partition(":")
    loaded = importlib.import_module(module)
    assert found is (getattr(loaded, attribute) if attribute else loaded)
    assert found.__doc__ or name == "Batch"  # a type in other words has none
    namespace = {}
    exec(f"from tf_darts.extend import {name}", namespace)
    assert namespace[name] is found


def test_the_lists_of_names_agree():
    tree = ast.parse((ROOT / "tf_darts" / "extend.py").read_text())
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}
    assert set(extend.__all__) == {*extend.PLACES, *functions, "UserError"}
    assert len(extend.__all__) == len(set(extend.__all__)) and dir(extend) == sorted(extend.__all__)
    (for_types,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    typed = {}
    for node in for_types.body:
        for alias in node.names:
            typed[alias.asname or alias.name] = f"{node.module}:{alias.name}"
    # `primitives` is a module.
    assert typed == extend.PLACES | {"primitives": "tf_darts.layers:primitives"}


def test_the_table_of_the_page_has_every_name():
    page = (ROOT / "docs" / "extending.md").read_text()
    section = page.split("\n## What `tf_darts.extend` has\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\|[^|`]*\| `(\w+)` \| (.+) \|$", section, re.M)
    assert sorted(name for name, _ in rows) == sorted(extend.__all__)


def test_what_the_page_and_the_examples_import():
    texts = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.S)
    for folder in ("library", "own_operation", "tutorial"):
        texts += [path.read_text() for path in sorted((ROOT / "examples" / folder).glob("*.py"))]
    found = set()
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module == "tf_darts":
                found |= {f"tf_darts.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module)
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    assert {name for name in found if name.startswith("tf_darts")} == {"tf_darts.extend", "tf_darts.api"}


def test_it_imports_no_tensorflow_before_a_name_needs_it():
    program = """
import sys
import tf_darts
from tf_darts.extend import Space, UserError, default_config, default_study, register_operation, space_of
assert space_of(default_config()).name == "darts" and tf_darts.extend.Space is Space
print("tensorflow" in sys.modules or "keras" in sys.modules)
from tf_darts.extend import Operation
print("tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_an_unknown_name_is_an_attribute_error_with_a_hint():
    with pytest.raises(
        AttributeError, match=r"'tf_darts\.extend' has no attribute 'Opration'.*mean Operation"
    ):
        extend.Opration  # noqa: B018 - asking is what is tested
    with pytest.raises(ImportError, match="cannot import name 'Opration'"):
        exec("from tf_darts.extend import Opration", {})


def test_a_module_that_fails_is_told_as_that(monkeypatch, tmp_path):
    (tmp_path / "fails.py").write_text("None.missing\n")
    monkeypatch.setitem(extend.PLACES, "Broken", f"{tmp_path / 'fails.py'}:Broken")
    with pytest.raises(ImportError, match=r"AttributeError: .*'missing' \(.*fails\.py, line 1\)"):
        exec("from tf_darts.extend import Broken", {})


@pytest.mark.parametrize("register", REGISTRIES, ids=lambda function: function.__name__)
def test_register(register, registries):
    entries = REGISTRIES[register]
    entry = object()
    assert register("of_mine", entry) is entry and entries["of_mine"] is entry
    assert all("of_mine" not in other for other in REGISTRIES.values() if other is not entries)
    assert entries.load("of_mine") is entry
    with pytest.raises(UserError, match=r"of_mine.* is taken"):
        register("of_mine", object())
    with pytest.raises(UserError, match="no module 'no_such_module'"):
        register("other", "no_such_module:thing")
    with pytest.raises(UserError, match=r"allowed: letters, digits and _"):
        register("not a name", entry)
