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

# A genotype takes about a thousand characters; more is some other file, and may be slow to parse.
MAX_LENGTH = 1 << 16

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
    call = parse_expression(text)
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Genotype"):
        raise error("text has to be Genotype(...)")
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    expected = [name for cell in space.cell_types for name in (cell, f"{cell}_concat")]
    if call.args or len(call.keywords) != len(keywords) or set(keywords) != set(expected):
        raise error(f"text Genotype(...) has to name exactly {', '.join(expected)}, each once")
    # The form does not name target nodes: so many consecutive pairs belong to each node in turn.
    targets = [node for node in space.targets for _ in range(space.keeps(node))]
    cells: dict[str, list[Entry]] = {}
    for cell_type in space.cell_types:
        pairs = _literal(keywords[cell_type], f"text, {cell_type}")
        if not isinstance(pairs, list | tuple) or len(pairs) != len(targets):
            found = f"{len(pairs)} entries" if isinstance(pairs, list | tuple) else show(pairs)
            raise error(
                f"text, {cell_type} has to list {len(targets)} pairs (operation, source), not {found}"
            )
        cells[cell_type] = []
        for number, (target, pair) in enumerate(zip(targets, pairs, strict=True)):
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise error(
                    f"text, {cell_type} pair {number} has to be (operation, source), not {show(pair)}"
                )
            cells[cell_type].append((target, pair[1], pair[0]))
        _check_concat(keywords[f"{cell_type}_concat"], f"text, {cell_type}_concat", space)
    return cells


def _check_concat(node: ast.expr, place: str, space: Space) -> None:
    """Check that this is `range(a, b)` or a list of the space's output nodes, and nothing else."""
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
    nodes = []
    for node in space.targets:
        # By source: every edge is kept, and tables of results are keyed by exactly this string.
        kept = sorted((source, operation) for target, source, operation in entries if target == node)
        nodes.append("|" + "".join(f"{operation}~{source}|" for source, operation in kept))
    return "+".join(nodes)


def _read_nas_bench_201(text: str, space: Space) -> dict[str, list[Entry]]:
    parts = ["".join(part.split()) for part in text.split("+")]
    if len(parts) != space.nodes:
        raise error(f"text has to list {space.nodes} nodes joined by '+', not {len(parts)}")
    entries = []
    for node, part in zip(space.targets, parts, strict=True):
        if len(part) < 2 or part[0] != "|" or part[-1] != "|":
            raise error(f"text, node {node} has to be |operation~source|..., not {show(part)}")
        for entry in part[1:-1].split("|"):
            match = re.fullmatch(r"([A-Za-z0-9_]+)~([0-9]{1,6})", entry)
            if match is None:
                raise error(f"text, node {node}: {show(entry)} is not operation~source")
            entries.append((node, int(match[2]), match[1]))
    return {_only_cell_type(space): sorted(entries)}


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


def check_text(text: Any) -> None:
    """Check that `text` is a str of a genotype's size; else raise UserError."""
    if not isinstance(text, str):
        raise error(f"a text is needed, not {show(text)}")
    if len(text) > MAX_LENGTH:
        raise error(f"the text is longer than {MAX_LENGTH} characters")


def parse_expression(text: str) -> ast.expr:
    """Return the syntax tree of a Python expression; any failure is a UserError with line and column."""
    check_text(text)
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
    """Return the value of a syntax tree that holds nothing but literals."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise error(f"{place} may hold only lists, pairs, texts and integers") from None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text in which no key stands twice; any failure is a UserError."""
    check_text(text)
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as reason:
        raise error(f"JSON line {reason.lineno} column {reason.colno}: {reason.msg}") from None
    except UserError:
        raise
    except (ValueError, RecursionError) as reason:
        raise error(f"JSON cannot be parsed: {_one_line(reason)}") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise error(f"JSON: key {show(key)} stands twice in one object")
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
