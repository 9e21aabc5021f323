"""The docstring of a public function or method begins with an imperative verb: it says what a call does."""

import ast

import pytest

from tests.imports import PACKAGE, ROOT

# What a docstring may begin with, alphabetically. Grow it with verbs alone: "Name", "Number" or "Index" would
# let a noun pass.
_VERBS = """
    Add Allow Analyse Append Apply Ask Assign Average Build Call Change Check Choose Clear Close Collect
    Compare Compile Compute Continue Convert Convolve Copy Count Create Crop Cut Decide Decode Define
    Delete Describe Divide Do Draw Drop Encode End Enlarge Enter Estimate
    Evaluate Export Fail Fill Find Finish Fit Flush
    Fold Format Go Group Have Import Initialise Join Keep Leave Let List Load Look Lower Make Mark Measure
    Merge Mirror Move Normalise Open Parse Perturb Pool Predict Prepare Print Probe Prune Put Raise Read
    Register Reject Remove Rename Render Repeat Replace Reset Resize Restore Return Round Run Save Say
    Score Search Select Send Serve Set Share Show Shuffle Skip Sort Split Start Stop Sum Summarise Take
    Tell Trace Train Try Turn Undo Update Use Verify Wait Warn Write Yield
"""
VERBS = _VERBS.split()


def functions(node, prefix=""):
    """Public functions of a module and public methods of its public classes, with their whole names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if child.name == "__call__" or not child.name.startswith("_"):
                yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            if not child.name.startswith("_"):
                yield from functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt):  # a function in a branch
            yield from functions(child, prefix)


def is_property(function):
    """Whether this is read as an attribute, so that its docstring is a noun."""
    return any(
        ast.unparse(decorator).split(".")[-1] in ("property", "cached_property", "setter")
        for decorator in function.decorator_list
    )


def without_verb(source):
    """Functions of a module's source whose docstring begins otherwise: name and first line."""
    found = []
    for name, function in functions(ast.parse(source)):
        text = ast.get_docstring(function)
        if text is None or is_property(function):  # none: an override
            continue
        first, second, *_ = [*text.split(), "", ""]
        # "Sum of ..." is a noun though sum is a verb.
        if first.rstrip(",;:") not in VERBS or second == "of":
            found.append(f"{name}: {text.partition(chr(10))[0]}")
    return found


@pytest.mark.parametrize(
    "folder", sorted({p.relative_to(ROOT).parts[1] for p in (ROOT / PACKAGE).rglob("*.py")})
)
def test_docstrings_begin_with_a_verb(folder):
    place = ROOT / PACKAGE / folder
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in files
        for line in without_verb(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_verbs_are_in_order():
    assert sorted(set(VERBS)) == VERBS


SAMPLE = '''
def good():
    """Return, or raise."""

def noun():
    """The number of images."""

def person():
    """Returns the number."""

def sum_of():
    """Sum of all."""

def _private():
    """The number of images."""

if True:
    def branch():
        """Whether it is."""

class Class:
    """A class."""

    @property
    def size(self):
        """The number of images."""

    @functools.cached_property
    def shape(self):
        """Height and width."""

    def without(self):
        pass

    def method(self):
        """A part."""

        def inner():
            """A part of the part."""

    def __call__(self):
        """The result."""

class _Private:
    def method(self):
        """A part."""
'''


def test_what_begins_with_no_verb_is_found():
    names = [line.partition(":")[0] for line in without_verb(SAMPLE)]
    assert names == ["noun", "person", "sum_of", "branch", "Class.method", "Class.__call__"]
