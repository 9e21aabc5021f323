"""The modules of tf_darts and their imports, read from the sources, and the order of folders that they keep.

    python tests/imports.py    writes the picture and the table into docs/architecture.md

Nothing of tf_darts is imported, and neither is TensorFlow.
"""

import ast
import pathlib
import re
from collections.abc import Iterable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "tf_darts"
PAGE = ROOT / "docs" / "architecture.md"

# The folders and modules right below tf_darts/, from the bottom: each imports itself and those before it.
ORDER = (
    *("__init__", "errors", "files", "registry", "spaces", "genotypes", "config", "optim", "runtime"),
    *("workdir", "data", "layers", "models", "plots", "search", "selection", "training", "nas_bench"),
    *("session", "stages", "export", "analysis", "study", "paper", "report", "tools"),
    *("api", "extend", "cli"),
)


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


def picture() -> str:
    """Return the folders and their imports as a Mermaid graph and a table, in Markdown."""
    edges = of_folders()
    lines = ["```mermaid", "graph BT"]
    for name, targets in reduced(edges).items():
        lines += [f"  {name} --> {target}" for target in sorted(targets, key=ORDER.index)]
    lines += ["```", "", "| folder or module | what it is about | imports |", "|---|---|---|"]
    for name in ORDER:
        targets = ", ".join(sorted(edges[name], key=ORDER.index)) or "nothing"
        place = f"{name}.py" if file_of(name).stem == name else f"{name}/"
        lines.append(f"| `{place}` | {subject(name)} | {targets.replace('__init__', '`__init__`')} |")
    return "\n".join(lines)


BEGIN, END = "<!-- imports: written by tests/imports.py -->", "<!-- end of imports -->"


def with_picture(page: str) -> str:
    """Return a page with the picture between its two marks."""
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{picture()}\n{END}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_picture(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
