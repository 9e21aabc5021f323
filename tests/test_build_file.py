"""BUILD: every source file is in one target, and every test has a target of its own.

BUILD is run as Python with stand-ins for its rules, which Bazel's language allows: Bazel is not needed.
"""

import collections
from pathlib import Path

import pytest

from tests.imports import ORDER

ROOT = Path(__file__).resolve().parents[1]  # the repository, also where Bazel runs this from links to it
FOLDERS = ("tf_darts", "configs", "tests")  # each .py file below them is in one target
MAIN = "bin/bazel_main.py"


def run(text):
    """The targets of a BUILD file as (rule, arguments), in their order, and its other names."""
    targets = []

    def glob(include, exclude=(), allow_empty=False):
        found, left_out = (
            {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}
            for patterns in (include, exclude)
        )
        assert found - left_out or allow_empty, include
        return sorted(found - left_out)

    def rule(kind):
        return lambda **arguments: targets.append((kind, arguments))

    rules = {kind: rule(kind) for kind in ("py_library", "py_binary", "py_test")}
    names = {"glob": glob, "package": lambda **_: None, **rules}
    exec(compile(text, "BUILD", "exec"), names)
    return targets, names


def problems(text):
    """One line for each thing that is wrong with a BUILD file of this repository."""
    targets, names = run(text)
    found, owners, known = [], collections.Counter(), set()
    for kind, target in targets:
        name = target["name"]
        if name in known:
            found.append(f"{name} is there twice")
        found += [f"{name}: {dep} is not there before it" for dep in target["deps"] if dep[1:] not in known]
        known.add(name)
        sources = [source for source in target["srcs"] if source != MAIN]
        owners.update(sources)
        runs = {
            "py_library": None,
            "py_binary": ["tf_darts.cli." + name.removeprefix("tf-darts-").replace("-", "_")],
            "py_test": ["pytest", *sources],
        }[kind]
        if target.get("args") != runs or (runs and not target["main"] == MAIN == target["srcs"][0]):
            found.append(f"{name} does not run {runs}")
        if kind == "py_test" and [f"{name}.py"] != sources:
            found.append(f"{name} has {sources}")
    present = {p.relative_to(ROOT).as_posix() for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")}
    found += [f"{source} is in {owners[source]} targets" for source in sorted(present) if owners[source] != 1]
    tests = {name[: -len(".py")] for name in present if Path(name).name.startswith("test_")}
    found += [f"{test} has no target of its own" for test in sorted(tests - known)]
    if tuple(names["ORDER"]) != ORDER:
        found.append("ORDER is not that of tests/imports.py")
    cli = (ROOT / "tf_darts" / "cli").glob("*.py")
    programs = {path.stem for path in cli if '__name__ == "__main__"' in path.read_text()}
    if set(names["PROGRAMS"]) != programs:
        found.append("PROGRAMS are not those of tf_darts/cli")
    return found


def test_build_file_is_right():
    assert problems((ROOT / "BUILD").read_text()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('    "optim",\n', "", "tf_darts/optim/losses.py is in 0 targets"),
        ('    "optim",\n', "", "ORDER is not that of tests/imports.py"),
        ('    "optim",\n', '    "optim",\n    "optim",\n', "optim is there twice"),
        ('    "optim",\n', '    "optim",\n    "optim",\n', "tf_darts/optim/losses.py is in 2 targets"),
        ('    "verify",\n', "", "PROGRAMS are not those of tf_darts/cli"),
        ('glob(["tests/**/test_*', 'glob(["tests/test_*', "tests/layers/test_body has no target of its own"),
        ('        exclude = ["tests/**/test_*.py"],\n', "", "tests/test_build_file.py is in 2 targets"),
        ('deps = [":configs"]', 'deps = [":config_files"]', "testing: :config_files is not there before it"),
        ('"pytest",\n', "", "tests/test_xla does not run ['pytest', 'tests/test_xla.py']"),
        ('"tf_darts.cli." +', '"tf_darts." +', "tf-darts-run does not run ['tf_darts.cli.run']"),
    ],
)
def test_says_what_is_wrong(old, new, message):
    text = (ROOT / "BUILD").read_text()
    assert old in text
    assert message in problems(text.replace(old, new))
