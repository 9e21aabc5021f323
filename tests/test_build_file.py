"""BUILD names every source file, and its deps are what the sources import.

Only the syntax of BUILD and of the sources is read: nothing is executed, and Bazel is not needed.
"""

import ast
import collections
import dataclasses
from pathlib import Path

import pytest

from tests import build_file
from tests.build_file import FOLDERS, imports_of

ROOT = Path(__file__).resolve().parents[1]  # the repository, also where Bazel runs this from links to it


@dataclasses.dataclass(frozen=True)
class Target:
    """One rule of BUILD: its line and its arguments, where `glob(...)` counts as an empty list."""

    rule: str
    line: int
    arguments: dict

    @property
    def name(self) -> str:
        return self.arguments["name"]

    def entries(self, *arguments: str) -> list[str]:
        return [entry for argument in arguments for entry in self.arguments.get(argument, [])]

    @property
    def files(self) -> list[str]:
        return [entry for entry in self.entries("srcs", "data") if not entry.startswith((":", "//", "@"))]

    @property
    def sources(self) -> list[str]:
        """The Python files, less the `main` that programs and tests share."""
        return [f for f in self.entries("srcs") if f.endswith(".py") and f.startswith(FOLDERS)]

    @property
    def labels(self) -> list[str]:
        return [entry[1:] for entry in self.entries("deps", "srcs", "data") if entry.startswith(":")]


def _value(node: ast.expr):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "glob":
        return []
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"BUILD:{node.lineno}: write a text, a number, a plain list or glob(...)") from None


def targets_of(text: str) -> list[Target]:
    """The targets of a BUILD file; calls without a name, such as `package(...)`, are none."""
    calls = [
        s.value for s in ast.parse(text).body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)
    ]
    targets = [Target(c.func.id, c.lineno, {k.arg: _value(k.value) for k in c.keywords}) for c in calls]
    return [target for target in targets if "name" in target.arguments]


def problems(root: Path) -> list[str]:
    """One line for each thing wrong with the BUILD file at `root`."""
    targets = targets_of((root / "BUILD").read_text())
    by_name = {target.name: target for target in targets}
    found = []

    def report(target: Target, message: str) -> None:
        found.append(f"BUILD:{target.line}: {target.name} {message}")

    # Names.
    present = {
        file.relative_to(root).as_posix() for folder in FOLDERS for file in (root / folder).rglob("*.py")
    }
    named = {source for target in targets for source in target.sources}
    found += [f"BUILD: no target names {file}" for file in sorted(present - named)]
    owners = collections.defaultdict(list)
    for target in targets:
        if target is not by_name[target.name]:
            report(target, "is there twice")
        for file in target.files:
            if not (root / file).is_file():
                report(target, f"names the file {file}, which does not exist")
        for label in target.labels:
            if label not in by_name:
                report(target, f"names the target :{label}, which does not exist")
        if target.rule in ("py_library", "py_test"):
            for source in target.sources:
                owners[source].append(target)
        if target.rule == "py_test" and target.entries("args") != ["pytest", *target.sources]:
            report(target, "has args other than pytest and its test files: they would not be run")
    for source, owning in owners.items():
        for target in owning[1:]:
            report(target, f"names the file {source}, as {owning[0].name} does")

    # Dependencies.
    def reach(name: str, path: tuple[str, ...], reached: dict[str, None]) -> None:
        for label in by_name[name].labels:
            if label in path:
                cycle = [*path[path.index(label) :], label]
                message = f"depends on itself: {' -> '.join(cycle)}"
                if label == min(cycle) and not any(line.endswith(message) for line in found):
                    report(by_name[label], message)
            elif label in by_name and label not in reached:
                reached[label] = None
                reach(label, (*path, label), reached)

    for target in targets:
        reached: dict[str, None] = {}
        reach(target.name, (target.name,), reached)
        visible = {source for name in (target.name, *reached) for source in by_name[name].sources}
        if target.rule == "py_binary":
            program = target.entries("args")[0].replace(".", "/") + ".py"
            if program not in visible:
                report(target, f"runs {program}, which is in none of its deps")
        for source in target.sources:
            if (root / source).is_file():
                for file in sorted(imports_of(source, root) - visible):
                    report(target, f"lacks the dep for {source}'s import of {file}")
    return found


def test_build_file_is_right():
    found = problems(ROOT)
    assert not found, "\n" + "\n".join(found)


def test_build_file_is_the_one_that_is_written():
    assert (ROOT / "BUILD").read_text() == build_file.text(), "run: python tests/build_file.py"


RIGHT = """
package(default_visibility = ["//visibility:public"])
py_library(name = "base", srcs = ["tf_darts/__init__.py", "tf_darts/a.py"], data = glob(["*.json"]))
py_library(name = "b", srcs = ["tf_darts/sub/__init__.py", "tf_darts/sub/b.py"], deps = [":base"])
py_binary(name = "program", srcs = ["main.py"], main = "main.py", args = ["tf_darts.sub.b"], deps = [":b"])
py_test(
    name = "tests/test_b",
    srcs = ["main.py", "tests/test_b.py"],
    args = ["pytest", "tests/test_b.py"],
    main = "main.py",
    deps = [":b"],
)
"""


@pytest.fixture
def tree(tmp_path):
    for path, text in {
        "BUILD": RIGHT,
        "main.py": "",
        "tf_darts/__init__.py": "",
        "tf_darts/a.py": "import os",
        "tf_darts/sub/__init__.py": "",
        "tf_darts/sub/b.py": "from ..a import x\nfrom . import b",
        "tests/test_b.py": "def test():\n    from tf_darts.sub import b, not_a_module",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_finds_nothing_in_a_right_file(tree):
    assert problems(tree) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"tf_darts/a.py"', "", "BUILD: no target names tf_darts/a.py"),
        ("a.py", "x.py", "BUILD:3: base names the file tf_darts/x.py, which does not exist"),
        ('[":b"]', '[":c"]', "BUILD:6: tests/test_b names the target :c, which does not exist"),
        (
            '"tf_darts.sub.b"',
            '"tf_darts.c"',
            "BUILD:5: program runs tf_darts/c.py, which is in none of its deps",
        ),
        ("sub/b.py", "a.py", "BUILD:4: b names the file tf_darts/a.py, as base does"),
        ('name = "b"', 'name = "base"', "BUILD:3: base is there twice"),
        (
            'deps = [":base"]',
            "deps = []",
            "BUILD:4: b lacks the dep for tf_darts/sub/b.py's import of tf_darts/a.py",
        ),
        ("data = glob", 'deps = [":b"], data = glob', "BUILD:4: b depends on itself: b -> base -> b"),
        (
            'args = ["pytest", "tests/test_b.py"]',
            "args = []",
            "BUILD:6: tests/test_b has args other than pytest",
        ),
    ],
)
def test_says_what_is_wrong(tree, old, new, message):
    (tree / "BUILD").write_text(RIGHT.replace(old, new))
    assert [line for line in problems(tree) if line.startswith(message)]


def test_refuses_what_it_cannot_read(tree):
    (tree / "BUILD").write_text('py_library(\n    name = "a",\n    srcs = [f for f in FILES],\n)')
    with pytest.raises(ValueError, match="BUILD:3: write"):
        problems(tree)
