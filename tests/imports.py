"""The modules of tf_darts and their imports, read from the sources, and the order of folders that they keep.

    python tests/imports.py    writes the picture and the list of folders into docs/architecture.md

Nothing of tf_darts is imported, and neither is TensorFlow.
"""

import ast
import pathlib
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "tf_darts"
PAGE = ROOT / "docs" / "architecture.md"

# The folders and modules right below tf_darts/, by floor, from the ground: each imports itself, those on the
# floors below it, and those before it on its own floor.
FLOORS = (
    ("used everywhere", ("__init__", "errors", "trust", "registry")),
    ("what is searched, every setting", ("spaces", "genotypes", "config")),
    ("formulas, devices, random draws", ("optim", "runtime", "native")),
    ("what a run leaves, pictures", ("workdir", "plots")),
    ("images, layers, networks", ("data", "layers", "models")),
    ("the three algorithms", ("search", "selection", "training")),
    ("a trained network as files", ("export",)),
    ("the three stages", ("session", "stages")),
    (
        "results, tools",
        ("nas_bench", "analysis", "study", "paper", "report", "whole_way", "own_images", "tools"),
    ),
    ("where a user comes in", ("library", "api", "extend", "cli")),
)
ORDER = tuple(name for _, names in FLOORS for name in names)
WIDTH = 34  # of the picture's text: a phone shows the whole of it


def modules() -> dict[str, pathlib.Path]:
    """Return the source files by module, without the package's name (but for the package itself)."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__") or PACKAGE] = path
    return found


def imported_names(path: str, text: str) -> Iterator[str]:
    """Yield the dotted names that a source imports, whole: a.b for `from a import b`.

    Args:
      path: of the source, from the repository: relative imports start there.
      text: the source.
    """
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = pathlib.PurePath(path).parts[: -node.level] if node.level else ()
            module = [*here, *filter(None, [node.module])]
            yield from (".".join([*module, alias.name]) for alias in node.names)


def imports() -> dict[str, set[str]]:
    """Return what each module imports of tf_darts, at its top, in a function or for types alone."""
    known, found = modules(), {}
    for name, path in known.items():
        found[name] = set()
        source = path.relative_to(ROOT).as_posix()
        for target in imported_names(source, path.read_text(encoding="utf-8")):
            if target.partition(".")[0] == PACKAGE:
                found[name].add(_module_of(target, known))
        found[name].discard(name)
    return found


def _module_of(target: str, known: Iterable[str]) -> str:
    """Return the module that an imported name is, or is in."""
    name = target.removeprefix(PACKAGE).removeprefix(".")
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or PACKAGE


def folder(module: str) -> str:
    """Return the entry of ORDER that a module is, or is in.

    Raises:
      LookupError: it is in none.
    """
    name = "__init__" if module == PACKAGE else module.partition(".")[0]
    if name not in ORDER:
        raise LookupError(f"{name} is not in ORDER of tests/imports.py")
    return name


def of_folders() -> dict[str, set[str]]:
    """Return which others each entry of ORDER imports."""
    found: dict[str, set[str]] = {name: set() for name in ORDER}
    for module, targets in imports().items():
        name = folder(module)
        found[name] |= {folder(target) for target in targets} - {name}
    return found


def file_of(name: str) -> pathlib.Path:
    """Return the file of an entry of ORDER: a module's, or a folder's `__init__`."""
    inside = ROOT / PACKAGE / name / "__init__.py"
    return inside if inside.is_file() else ROOT / PACKAGE / f"{name}.py"


def subject(name: str) -> str:
    """Return what an entry of ORDER is about: the first line of its docstring."""
    tree = ast.parse(file_of(name).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the same without what follows: an arrow from a to c where there is a way by others."""

    def reach(start: str) -> set[str]:
        found, waiting = set(), [start]
        while waiting:
            new = edges[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    return {
        name: {t for t in targets if not any(t in reach(other) for other in targets - {t})}
        for name, targets in edges.items()
    }


def place(name: str) -> str:
    """Return how an entry of ORDER is written: `spaces/`, `errors.py`."""
    return f"{name}.py" if file_of(name).stem == name else f"{name}/"


def picture() -> str:
    """Return the floors of the house as a block of text, in Markdown: the ground floor is the last."""
    wall = "─" * (WIDTH + 2)
    lines = [f"└{wall}┘", "```"]
    for what, names in FLOORS:
        rooms = textwrap.wrap("  ".join(map(place, names)), WIDTH - 2, break_on_hyphens=False)
        floor = [f"│ {line:{WIDTH}} │" for line in (what, *(f"  {row}" for row in rooms))]
        lines = [f"├{wall}┤", *floor, *lines]
    return "\n".join(["```text", f"┌{wall}┐", *lines[1:]])


def folders() -> str:
    """Return what each folder is about, and which others it is built on, as a list in Markdown."""
    lines = []
    for name, targets in reduced(of_folders()).items():
        built_on = ", ".join(f"`{place(target)}`" for target in sorted(targets, key=ORDER.index))
        lines.append(f"- `{place(name)}`: {subject(name)}" + (f" Built on {built_on}." if built_on else ""))
    return "\n".join(lines)


# What stands between the marks `<!-- NAME: written by tests/imports.py -->` and `<!-- end of NAME -->`.
PARTS = {"picture": picture, "folders": folders}


def with_parts(page: str, parts: Mapping[str, Callable[[], str]] = PARTS) -> str:
    """Return a page with each part between its two marks.

    Raises:
      ValueError: a mark is missing, or there several times.
    """
    for name, make in parts.items():
        begin, end = f"<!-- {name}: written by tests/imports.py -->", f"<!-- end of {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"not once in the page: {begin} and {end}")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n\n{make()}\n\n{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
