"""The text forms of genotypes that the literature uses, and the careful parsing behind every form.

A form turns the cells of a genotype into text and back. Here a cell is a plain list of
(target, source, operation); `tf_darts.genotypes.genotype` makes them genotypes and checks them. Parsing never
executes anything, and whatever is wrong with the text is a `UserError` of one line.
"""

import ast
import dataclasses
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_darts.errors import UserError, show
from tf_darts.spaces import Space

# A genotype of a published space takes a thousand characters; more is some other file, and slow to parse.
MAX_LENGTH = 1 << 16
LONGEST_PREFIX = 300  # of what a log has before a genotype, on its line


def longest(space: Space | None) -> int:
    """Return how many characters a genotype's text or JSON may have: twice what the writer makes at most.

    Args:
      space: the space it has to be of; None: one of the published ones.
    """
    if space is None:
        return MAX_LENGTH
    entries = len(space.cell_types) * sum(space.keeps(node) for node in space.targets)
    # JSON has each entry twice, at some 70 and at 15 characters besides the operation's name.
    return max(MAX_LENGTH, 2 * entries * (100 + 2 * max(map(len, space.operations))))


Entry = tuple[int, int, str]
"""A kept edge: target node, source node, operation."""


@dataclasses.dataclass(frozen=True)
class Form:
    """A text form.

    Attributes:
      write: makes text of valid cells, by cell type.
      read: makes cells of text; checks the syntax and the number of entries where the form depends on
        it, not that the entries are those of a genotype. Raises UserError.
    """

    write: Callable[[Mapping[str, Sequence[Entry]], Space], str]
    read: Callable[[str, Space], dict[str, list[Entry]]]


def of(space: Space) -> Form:
    """Return the text form of the space's stacking.

    Raises:
      UserError: there is none.
    """
    name = space.stacking.name
    if name not in _FORMS:
        raise error(f"space {space.name!r}: no text form for stacking {name!r}; known: {', '.join(_FORMS)}")
    return _FORMS[name]


def canonical(cells: Mapping[str, Sequence[Any]], space: Space) -> dict[str, tuple[Any, ...]]:
    """Return cells in the order in which their text comes back: of types, and of sources where these rank.

    Args:
      cells: by cell type, all of the space's; entries by target, each with `source` and `target`.
      space: the search space.
    """
    if not _ranks_sources(space):
        return {t: tuple(cells[t]) for t in space.cell_types}
    return {t: tuple(sorted(cells[t], key=lambda c: (c.target, c.source))) for t in space.cell_types}


def _ranks_sources(space: Space) -> bool:
    """Return whether the text has the edges of a node by source, whatever their order in the genotype.

    So it is in NAS-Bench-201, whose tables are keyed by exactly this string. Where nodes choose their edges
    the order says which is stronger, and stays.
    """
    return space.stacking.name == "nas_bench_201" and space.kept_edges is None


def by_source(cells: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
    """Return cells with the entries of each node by source."""
    return {cell_type: sorted(entries) for cell_type, entries in cells.items()}


_CALL = re.compile(r"\bGenotype\s*\(")
# What is taken for a genotype and not for the name of a file: by its beginning, or by what is in it.
_BEGINNING = re.compile(r"[{|]|['\"]\s*\||Structure\s*\(")
_INSIDE = re.compile(r"\bGenotype\s*\(|~\s*\d+\s*\||\|[^|~]+~|\uff5c")
# What is neither, and what it is.
_OTHERS = (
    (r"[(\[]\s*\d+(\s*,\s*\d+){5}\s*,?\s*[)\]]", "the indices of operations as NASLib writes them"),
    (r"\d+", "the number of an architecture in a table, or NAS-Bench-201's"),
    (r"\d+(:\d+)+", "numbers of channels as NATS-Bench's size space has them"),
    (r"[(\[]\s*[(\[].*", "the nested lists of AutoDL-Projects' tolist"),
)


def looks_like_genotype(text: str) -> bool:
    """Return whether a text is a genotype, right or wrong, and not the name of a file."""
    return _BEGINNING.match(text.lstrip()) is not None or _INSIDE.search(text) is not None


def other_form(text: str) -> str | None:
    """Return what a text is that is no form of a genotype here; None: nothing that is known."""
    return next((what for form, what in _OTHERS if re.fullmatch(form, text.strip(), re.DOTALL)), None)


def is_python_dict(text: str) -> bool:
    """Return whether this is a dictionary of cells (GDAS) and not the JSON of `Genotype.to_json`."""
    begins = re.match(r"\s*\{\s*(['\"])\w+\1\s*:\s*[\[(N]", text) is not None
    return begins and "_concat" in text and "schema_version" not in text


# Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...], ...)


def _write_darts(cells: Mapping[str, Sequence[Entry]], space: Space) -> str:
    outputs = space.output_nodes
    span = range(outputs[0], outputs[-1] + 1)
    concat = f"range({span.start}, {span.stop})" if tuple(span) == outputs else str(list(outputs))
    parts = []
    for cell_type in space.cell_types:
        pairs = [(operation, source) for _, source, operation in cells[cell_type]]
        parts.append(f"{cell_type}={pairs}, {cell_type}_concat={concat}")
    return f"Genotype({', '.join(parts)})"


def _read_darts(text: str, space: Space) -> dict[str, list[Entry]]:
    if not _CALL.search(text) and re.search(r"\|[^|~]+~\s*\d", text):
        raise error(
            "text has to be Genotype(...), and this looks like |operation~source|... of NAS-Bench-201"
        )
    if len(_CALL.findall(text)) > 1:
        raise error(f"the text holds {len(_CALL.findall(text))} genotypes; allowed: one, Genotype(...)")
    keywords = _parts(parse_expression(_without_prefix(text)), text, space)
    # The form does not name target nodes: so many consecutive pairs belong to each node in turn.
    targets = [node for node in space.targets for _ in range(space.keeps(node))]
    cells: dict[str, list[Entry]] = {}
    for cell_type in space.cell_types:
        pairs = _flat(_literal(keywords[cell_type], f"text, {cell_type}"), space)
        if not isinstance(pairs, list | tuple) or len(pairs) != len(targets):
            found = show(pairs)
            if isinstance(pairs, list | tuple):
                found = f"{len(pairs)} entries" + (f", the first {show(pairs[0])}" if pairs else "")
            raise error(
                f"text, {cell_type} has to list {len(targets)} pairs (operation, source), not {found}"
            )
        cells[cell_type] = []
        for number, (target, pair) in enumerate(zip(targets, pairs, strict=True)):
            weighted = isinstance(pair, list | tuple) and len(pair) == 3 and isinstance(pair[2], float)
            if not isinstance(pair, list | tuple) or (len(pair) != 2 and not weighted):
                raise error(
                    f"text, {cell_type} pair {number} has to be (operation, source), not {show(pair)}"
                )
            cells[cell_type].append((target, pair[1], pair[0]))  # GDAS writes the edge's weight beside it
        _check_concat(keywords[f"{cell_type}_concat"], f"text, {cell_type}_concat", space)
    return cells


def _without_prefix(text: str) -> str:
    """Return a text from `Genotype(` on: without `NAME =`, `genotypes.` or what a log has before it."""
    call = _CALL.search(text)
    if call is None:
        return text
    above, _, before = text[: call.start()].rpartition("\n")
    if len(before) > LONGEST_PREFIX or any(line.strip()[:1] not in ("", "#") for line in above.split("\n")):
        return text
    before = re.sub(r"(\w+\.)+$", "", before)
    if re.search(r"['\"(){}|]", before) or before[-1:] not in ("", " ", "\t", "=", ":"):
        return text
    return "\n" * text[: call.start()].count("\n") + text[call.start() :]  # lines keep their numbers


def _parts(tree: ast.expr, text: str, space: Space) -> dict[str, ast.expr]:
    """Return what Genotype(...), by name or in order, or a dictionary says of cell types and their concat."""
    expected = [name for cell in space.cell_types for name in (cell, f"{cell}_concat")]
    named: list[tuple[Any, ast.expr]]
    if isinstance(tree, ast.Dict):
        named = [
            (key.value if isinstance(key, ast.Constant) else None, value)
            for key, value in zip(tree.keys, tree.values, strict=True)
        ]
    elif isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "Genotype":
        in_order = expected if len(tree.args) == len(expected) else [None] * len(tree.args)
        named = [*zip(in_order, tree.args, strict=True), *((k.arg, k.value) for k in tree.keywords)]
    else:
        seen = f", and this looks like {other}" if (other := other_form(text)) else ""
        raise error(f"text has to be Genotype(...){seen}")
    parts = dict(named)
    if len(parts) != len(named) or set(parts) != set(expected):
        raise error(f"text Genotype(...) has to name exactly {', '.join(expected)}, each once")
    return parts


def _flat(pairs: Any, space: Space) -> Any:
    """Return pairs one after the other, where each node has a list of its own (pt.darts, GDAS)."""
    kept = [space.keeps(node) for node in space.targets]
    if not isinstance(pairs, list | tuple) or len(pairs) != len(kept):
        return pairs
    nested = [
        isinstance(row, list | tuple) and len(row) == count and all(isinstance(p, list | tuple) for p in row)
        for row, count in zip(pairs, kept, strict=True)
    ]
    return [pair for row in pairs for pair in row] if all(nested) else pairs


def _check_concat(node: ast.expr, place: str, space: Space) -> None:
    """Check that this is `range(a, b)` or a list of the space's output nodes, and nothing else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("list", "tuple"):
        node = node.args[0] if len(node.args) == 1 and not node.keywords else node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        bounds = [_literal(argument, place) for argument in node.args]
        largest = space.input_nodes + space.nodes
        if node.keywords or len(bounds) != 2 or not all(is_int(b) and 0 <= b <= largest for b in bounds):
            raise error(f"{place} has to be range(a, b) with a and b from 0 to {largest}")
        outputs = tuple(range(*bounds))
    else:
        outputs = _literal(node, place)
        outputs = tuple(outputs) if isinstance(outputs, list) else outputs
    if outputs != space.output_nodes:
        raise error(f"{place} is {show(outputs)}; space {space.name!r} needs {space.output_nodes}")


# |op~0|+|op~0|op~1|+|op~0|op~1|op~2|


def _write_nas_bench_201(cells: Mapping[str, Sequence[Entry]], space: Space) -> str:
    entries = cells[_only_cell_type(space)]
    if _ranks_sources(space):
        entries = sorted(entries)
    nodes = []
    for node in space.targets:
        kept = [(source, operation) for target, source, operation in entries if target == node]
        nodes.append("|" + "".join(f"{operation}~{source}|" for source, operation in kept))
    return "+".join(nodes)


def _read_nas_bench_201(text: str, space: Space) -> dict[str, list[Entry]]:
    parts = [part.strip() for part in _bare_nas_bench_201(text, space).split("+")]
    if len(parts) != space.nodes:
        seen = f", and this looks like {other}" if (other := _looks_otherwise(text)) else ""
        raise error(f"text has to list {space.nodes} nodes joined by '+', not {len(parts)}{seen}")
    entries = []
    for node, part in zip(space.targets, parts, strict=True):
        if len(part) < 2 or part[0] != "|" or part[-1] != "|":
            seen = f", and this looks like {other}" if (other := _looks_otherwise(text)) else ""
            raise error(f"text, node {node} has to be |operation~source|..., not {show(part)}{seen}")
        for entry in part[1:-1].split("|"):
            match = re.fullmatch(r"\s*([A-Za-z0-9_]+)\s*~\s*([0-9]{1,6})\s*", entry)
            if match is None:
                raise error(f"text, node {node}: {show(entry)} is not operation~source")
            entries.append((node, int(match[2]), match[1]))
    return {_only_cell_type(space): sorted(entries) if _ranks_sources(space) else entries}


def _bare_nas_bench_201(text: str, space: Space) -> str:
    """Return the nodes alone, of a text with quotes, a name before it, or AutoDL-Projects' Structure(...)."""
    text = text.strip()
    structure = re.fullmatch(r"Structure\s*\(\s*(\d{1,6}) nodes with\s*(\|.*\|)\s*\)", text, re.DOTALL)
    if structure is not None:
        nodes = space.input_nodes + space.nodes
        if int(structure[1]) != nodes:
            raise error(f"text is of {int(structure[1])} nodes; space {space.name!r} has {nodes}")
        return structure[2]
    bare = re.fullmatch(r"(?:[\w .,-]*[=:]\s*)?(['\"]?)(\|.*\|)\1(?:\s*[,;])?", text, re.DOTALL)
    return text if bare is None else bare[2]


def _looks_otherwise(text: str) -> str | None:
    """Return what a text looks like that is not of NAS-Bench-201's form; None: like nothing that is known."""
    if _CALL.search(text) or is_python_dict(text):
        return "Genotype(...), the form of the DARTS spaces"
    if "\uff5c" in text:
        return "|operation~source|... with full-width bars"
    return other_form(text)


def _only_cell_type(space: Space) -> str:
    if len(space.cell_types) != 1:
        raise error(f"space {space.name!r}: its text form has room for one cell type only")
    return space.cell_types[0]


# By the name of the space's stacking.
_FORMS = {
    "darts": Form(_write_darts, _read_darts),
    "nas_bench_201": Form(_write_nas_bench_201, _read_nas_bench_201),
}


# Parsing: Python and JSON, each with every way in which its parser can fail.


def error(message: str) -> UserError:
    """Make a `UserError` about a genotype."""
    return UserError(f"genotype: {message}")


def is_int(value: Any) -> bool:
    """Return whether `value` is an integer; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_text(text: Any, space: Space | None = None) -> None:
    """Check that `text` is a str of a genotype's size; else raise UserError."""
    if not isinstance(text, str):
        raise error(f"a text is needed, not {show(text)}")
    if len(text) > longest(space):
        raise error(f"the text is longer than {longest(space)} characters")


def parse_expression(text: str) -> ast.expr:
    """Return the syntax tree of a Python expression; any failure is a UserError with line and column."""
    try:
        with warnings.catch_warnings():
            # An odd escape in a string is only a warning, which the caller cannot do anything about.
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as reason:
        skipped = text[: len(text) - len(text.lstrip())].count("\n")
        place = f"line {(reason.lineno or 1) + skipped} column {reason.offset or 1}"
        raise error(f"text {place}: {_one_line(reason.msg)}") from None
    except (ValueError, MemoryError, RecursionError) as reason:
        raise error(f"text cannot be parsed: {_one_line(reason) or 'nested too deeply'}") from None


def _literal(node: ast.expr, place: str) -> Any:
    """Return the value of a syntax tree that holds nothing but literals, or NumPy's, as np.int64(1)."""
    try:
        for parent in ast.walk(node):
            if isinstance(parent, ast.List | ast.Tuple):
                parent.elts = [_without_numpy(item) for item in parent.elts]
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise error(f"{place} may hold only lists, pairs, texts and integers") from None


def _without_numpy(node: ast.expr) -> ast.expr:
    """Return the literal in np.int64(1), np.str_('x') and the like, as NumPy 2 prints them."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        printed = re.fullmatch(r"(np|numpy)\.(int\d+|float\d+|str_)", ast.unparse(node.func))
        return node.args[0] if printed and isinstance(node.args[0], ast.Constant) else node
    return node


def parse_json(text: str) -> Any:
    """Return the value of a JSON text in which no key stands twice; any failure is a UserError."""
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as reason:
        raise error(f"JSON line {reason.lineno} column {reason.colno}: {reason.msg}") from None
    except UserError:
        raise
    except (ValueError, RecursionError) as reason:
        raise error(f"JSON cannot be parsed: {_one_line(reason)}") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise error(f"JSON: key {show(key)} stands twice in one object")
        seen.add(key)
    return dict(pairs)


def object_with(value: Any, place: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return `value` if it is a JSON object with these keys alone; else raise a UserError with `place`."""
    if not isinstance(value, dict):
        raise error(f"{place} has to be an object, not {show(value)}")
    for key in keys:
        if key not in value:
            raise error(f"{place} lacks the key {key!r}")
    for key in value:
        if key not in keys:
            raise error(f"{place} has an unknown key {show(key)}; allowed: {', '.join(keys)}")
    return value


def _one_line(reason: BaseException | str) -> str:
    return " ".join(str(reason).split())
