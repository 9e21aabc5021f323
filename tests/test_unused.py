"""Nothing stands in tf_darts that nothing uses: by name, tests not counted."""

import ast
import collections
import re

from tests.imports import PACKAGE, ROOT

USERS = (PACKAGE, "configs", "examples")  # whose code uses names
# Used all the same: by what.
OUTSIDE = {
    "compute_output_shape": "Keras",
    "correct_left": "whoever reads decisions.jsonl",
    "same_class": "the model card, which has all fields",
}


def sources(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def defined(tree):
    """Names of functions, classes, methods, fields of classes, and values of the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (n.target.id for n in node.body if isinstance(n, ast.AnnAssign))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def used(tree):
    """Names that are read, or stand in a text that names something, as "module:attribute" or a column."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            yield from re.findall(r"\w+", node.value)


def unused(definitions, users, more=()):
    """Names by file that are defined and not used."""
    names = collections.Counter(name for text in users for name in used(ast.parse(text)))
    names.update(more)
    return {
        path: left
        for path, text in definitions.items()
        if (left := sorted({n for n in defined(ast.parse(text)) if not n.startswith("__") and not names[n]}))
    }


def test_everything_is_used():
    definitions = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in sources(PACKAGE)}
    users = [p.read_text(encoding="utf-8") for folder in USERS for p in sources(folder)]
    pages = (p.read_text(encoding="utf-8") for p in (ROOT / PACKAGE).rglob("*.html"))
    in_pages = [name for page in pages for name in re.findall(r"\w+", page)]
    left = unused(definitions, users, in_pages)
    assert sorted(name for names in left.values() for name in names) == sorted(OUTSIDE), left


def test_what_nothing_uses_is_found():
    text = "def a(): pass\n\nclass B:\n    field: int\n    def method(self): return a\n\nC = 1\n"
    assert unused({"x": text}, [text]) == {"x": ["B", "C", "field", "method"]}
    assert unused({"x": text}, [text, "B().method(); C; 'module:field'"]) == {}
