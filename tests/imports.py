"""The modules of tf_darts and their imports, read from the sources, and the order that they keep.

    python tests/imports.py    writes the picture and the table into docs/architecture.md

Nothing of tf_darts is imported, and neither is TensorFlow.
"""

import ast
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "tf_darts"
PAGE = ROOT / "docs" / "architecture.md"


@dataclasses.dataclass(frozen=True)
class Layer:
    """Modules of one level, which import each other and what is below.

    Attributes:
      name: its name in the picture.
      subject: what they are about.
      members: modules, without the package's name; NAME.* stands for a package and all below it, where no
        other member says more.
    """

    name: str
    subject: str
    members: tuple[str, ...]


# From the bottom: a module imports modules of its own layer and of those before it.
LAYERS = (
    Layer("messages", "bad input in one line; damaged files", ("errors", "npz")),
    Layer(
        "registries", "things by name, kinds of fields, config files", ("registry", "fields", "config_files")
    ),
    Layer(
        "names",
        "what a config can name, without TensorFlow",
        ("operation_names", "search.methods", "selection", "selection.criteria", "analysis"),
    ),
    Layer("spaces", "search spaces as data", ("spaces.*",)),
    Layer("config", "every setting and its check", ("config", "config_checks", "selection.budget_fields")),
    Layer("objective", "loss and hits, SGD and Adam", ("objective", "optimizers")),
    Layer(
        "runtime",
        "devices, compiled steps, draws, files, checkpoints, metrics",
        ("runtime.*", f"{PACKAGE}"),
    ),
    Layer("data", "sources, augmentation, batches, passes", ("data.*",)),
    Layer(
        "genotype",
        "the discrete architecture and its text forms",
        ("genotype", "genotype_forms", "published", "derive"),
    ),
    Layer("layers", "operations, mixed and chosen edges, cells, heads", ("layers.*",)),
    Layer(
        "models",
        "alpha and masks, supernet, network, what they cost and score",
        (
            *("architecture", "open_state", "supernet", "network", "evaluation"),
            *("cost", "memory", "interop", "reference_file"),
        ),
    ),
    Layer(
        "drawing",
        "cells, heat maps, bar charts, tables, TensorBoard's texts",
        tuple(
            f"report.{name}"
            for name in (
                *("cell_diagram", "cell_layout", "mixture_diagram", "heat_map", "decisions"),
                *("colours", "svg", "table", "panels"),
            )
        ),
    ),
    Layer("search", "bilevel search and its methods", ("search.*", "collapse", "supernet_file")),
    Layer(
        "selection",
        "magnitude, perturbation, fine-tuning; SGAS, which selects as it searches",
        ("selection.*", "search.methods.sgas"),
    ),
    Layer("training", "networks from scratch", ("training.*",)),
    Layer("nas_bench", "the NAS-Bench-201 table", ("nas_bench.*",)),
    Layer("analysis", "the paper's claims, measured on a supernet", ("analysis.*",)),
    Layer("stages", "search, selection, training in a work directory", ("folders", "run", "stages")),
    Layer("export", "networks as files for others", ("export.*",)),
    Layer("study", "grids of searches, selections and seeds", ("study.*",)),
    Layer("paper", "the paper's tables as configs", ("paper.*",)),
    Layer("report", "pages of a work directory or several", ("report.*",)),
    Layer("checks", "times, reference values, TPU compilation", ("benchmark.*", "verify", "tpu_check.*")),
    Layer("api", "the three stages from Python", ("api",)),
    Layer("programs", "bin/*", ("cli.*",)),
)


def modules() -> dict[str, pathlib.Path]:
    """The source files by module, without the package's name (but for the package itself)."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__") or PACKAGE] = path
    return found


def imported_names(path: str, text: str) -> Iterator[str]:
    """The dotted names that a source imports, whole: a.b for `from a import b`.

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
    """What each module imports of tf_darts, at its top, in a function or for types alone."""
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
    """The module that an imported name is, or is in."""
    name = target.removeprefix(PACKAGE).removeprefix(".")
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or PACKAGE


def level(module: str) -> int:
    """The place in LAYERS of a module; the member that says most decides.

    Raises:
      LookupError: it is in no layer.
    """
    best, found = (0, False), None
    for place, layer in enumerate(LAYERS):
        for member in layer.members:
            package = member.removesuffix(".*")
            fits = module == member or (
                member != package and (module == package or module.startswith(f"{package}."))
            )
            weight = (package.count(".") + 1, module == member)
            if fits and weight > best:
                best, found = weight, place
    if found is None:
        raise LookupError(f"{module} is in none of LAYERS in tests/imports.py")
    return found


def of_layers() -> dict[str, set[str]]:
    """Which layers the modules of a layer import, but for itself."""
    found: dict[str, set[str]] = {layer.name: set() for layer in LAYERS}
    for module, targets in imports().items():
        name = LAYERS[level(module)].name
        found[name] |= {LAYERS[level(target)].name for target in targets} - {name}
    return found


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same without what follows: an arrow from a to c where there is a way by others."""

    def reach(start: str) -> set[str]:
        return edges[start].union(*(reach(target) for target in edges[start]))

    return {
        name: {t for t in targets if not any(t in reach(other) for other in targets - {t})}
        for name, targets in edges.items()
    }


def picture() -> str:
    """The layers and their imports as a Mermaid graph and a table, in Markdown."""
    edges = of_layers()
    lines = ["```mermaid", "graph BT"]
    lines += [f'  {layer.name}["<b>{layer.name}</b><br>{layer.subject}"]' for layer in LAYERS]
    order = [layer.name for layer in LAYERS]
    for name, targets in reduced(edges).items():
        lines += [f"  {name} --> {target}" for target in sorted(targets, key=order.index)]
    lines += ["```", "", "| layer | modules | imports |", "|---|---|---|"]
    for layer in LAYERS:
        members = ", ".join(f"`{member}`" for member in layer.members)
        targets = ", ".join(sorted(edges[layer.name], key=order.index)) or "nothing"
        lines.append(f"| {layer.name} | {members} | {targets} |")
    return "\n".join(lines)


BEGIN, END = "<!-- imports: written by tests/imports.py -->", "<!-- end of imports -->"


def with_picture(page: str) -> str:
    """A page with the picture between its two marks."""
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{picture()}\n{END}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_picture(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
