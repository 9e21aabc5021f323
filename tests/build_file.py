"""The Bazel file, written from the layers of tests/imports.py, the programs and the tests.

    python tests/build_file.py    writes BUILD

Only sources are read: nothing of tf_darts is imported, and Bazel is not needed.
"""

import pathlib
import sys

ROOT = (
    pathlib.Path(__file__).resolve().parents[1]
)  # the repository, also where Bazel runs this from links to it
sys.path.insert(0, str(ROOT))

from tests import imports  # noqa: E402

FOLDERS = ("tf_darts", "configs", "tests")  # BUILD names every .py file below them
MAIN = "bin/bazel_main.py"
DATA = {"report": 'glob(["tf_darts/report/templates/*.html"])', "testing": '["pyproject.toml"]'}
HEAD = """# Bazel targets, written by tests/build_file.py: a library for each layer of docs/architecture.md,
# then the programs and the tests.
# The packages of requirements-dev.txt come from the Python that runs the targets (docs/contributing.md).

package(default_visibility = ["//visibility:public"])
"""


def rule(kind: str, name: str, **arguments: list[str] | str) -> str:
    """A target; lists are sorted as they come, and an empty one is left out."""
    lines = [f"{kind}(", f'    name = "{name}",']
    for key, value in arguments.items():
        if isinstance(value, str):
            lines.append(f"    {key} = {value},")
        elif len(value) == 1:
            lines.append(f'    {key} = ["{value[0]}"],')
        elif value:
            lines += [f"    {key} = [", *(f'        "{item}",' for item in value), "    ],"]
    return "\n".join([*lines, ")", ""])


def imports_of(path: str, root: pathlib.Path) -> set[str]:
    """The files below FOLDERS that a source imports itself, with the `__init__` of the packages around."""
    found = set()
    for name in imports.imported_names(path, (root / path).read_text()):
        parts = name.split(".")
        for n in range(1, len(parts) + 1 if parts[0] in FOLDERS else 0):
            stem = "/".join(parts[:n])
            found |= {f for f in (f"{stem}.py", f"{stem}/__init__.py") if (root / f).is_file()}
    return found - {path}


def libraries() -> dict[str, list[str]]:
    """The sources of each library.

    First folders that are packages and import nothing, then the layers from below, config files, and what
    tests share.
    """
    found = {"packages": [], **{layer.name: [] for layer in imports.LAYERS}}
    wanted = imports.imports()
    for module, path in imports.modules().items():
        alone = path.name == "__init__.py" and not wanted[module]
        layer = "packages" if alone else imports.LAYERS[imports.level(module)].name
        found[layer].append(path.relative_to(ROOT).as_posix())
    found["configs"] = files("configs")
    found["testing"] = [f for f in files("tests") if not pathlib.PurePath(f).name.startswith("test_")]
    return found


def files(folder: str, ending: str = ".py") -> list[str]:
    """The paths of a folder's files, from the repository."""
    return [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / folder).rglob(f"*{ending}"))]


def text() -> str:
    """The whole file."""
    groups = libraries()
    tests = [f for f in files("tests") if f not in groups["testing"]]
    owner = {source: name for name, sources in groups.items() for source in sources}
    owner |= {test: test.removesuffix(".py") for test in tests}

    def deps(own: str, sources: list[str]) -> list[str]:
        return sorted({f":{owner[i]}" for source in sources for i in imports_of(source, ROOT)} - {f":{own}"})

    blocks = [HEAD]
    for name, sources in groups.items():
        more = {"testonly": "True"} if name == "testing" else {}
        data = {"data": DATA[name]} if name in DATA else {}
        blocks.append(rule("py_library", name, **more, srcs=sources, **data, deps=deps(name, sources)))
    for program in (pathlib.PurePath(f).stem for f in files("tf_darts/cli")):
        if (ROOT / "bin" / program).is_file():
            name, module = f"tf-darts-{program.replace('_', '-')}", f"tf_darts.cli.{program}"
            blocks.append(
                rule("py_binary", name, srcs=[MAIN], args=[module], main=f'"{MAIN}"', deps=[":programs"])
            )
    for test in tests:
        arguments = {"srcs": [MAIN, test], "args": ["pytest", test], "main": f'"{MAIN}"'}
        blocks.append(
            rule("py_test", owner[test], size='"medium"', **arguments, deps=deps(owner[test], [test]))
        )
    scripts = [f for f in files("bin", "") if (ROOT / f).is_file() and f != MAIN and "__pycache__" not in f]
    setup = [*sorted(p.name for p in ROOT.glob("*.txt")), "pyproject.toml", "setup.py", "MANIFEST.in"]
    blocks.append(rule("filegroup", "launchers", srcs=scripts))
    blocks.append(rule("filegroup", "setup", srcs=setup))
    return "\n".join(blocks)


if __name__ == "__main__":
    (ROOT / "BUILD").write_text(text(), encoding="utf-8")
