"""A search space that a config describes in its section `custom_space` (fields: `tf_darts.config.fields`).

Whatever is wrong with it is a `UserError` of one line that names the field, its value and what is allowed.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tf_darts.errors import UserError, listed, show
from tf_darts.registry import OPERATIONS, hint
from tf_darts.spaces import darts, nas_bench_201
from tf_darts.spaces.space import Candidates, Edge, Space, Stacking, edges_of

NAME = "custom"


@dataclasses.dataclass(frozen=True)
class Cells:
    """What a stacking asks of its cells.

    Attributes:
      stacking: the stacking.
      input_nodes: how many inputs a cell has.
      cell_types: the types of cells that it stacks.
    """

    stacking: Stacking
    input_nodes: int
    cell_types: tuple[str, ...]


STACKINGS = {
    space.stacking.name: Cells(space.stacking, space.input_nodes, space.cell_types)
    for space in (darts.DARTS, nas_bench_201.NAS_BENCH_201)
}


def make(fields: Mapping[str, Any]) -> Space:
    """Make the space that the fields of `custom_space` describe.

    Args:
      fields: every field, each of its type.

    Raises:
      UserError: they contradict each other, name what does not exist, or leave nothing to select.
    """
    cells = STACKINGS[fields["stacking"]]
    nodes, kept = fields["nodes"], fields["kept_edges"]
    edges = edges_of(cells.input_nodes, nodes)
    last = cells.input_nodes + nodes - 1
    if kept > last:
        raise _error("kept_edges", kept, f"0 (all) to {last}, the number of edges into the last node, {last}")
    candidates = _candidates(fields["candidates"], cells.cell_types, edges)
    names = {name for rows in candidates.values() for row in rows for name in row}
    for cell_type, rows in candidates.items():
        for edge, row in zip(edges, rows, strict=True):
            if row == ("none",) and not fields["none_in_genotype"]:
                raise UserError(
                    f"config: custom_space.candidates of {cell_type!r}, edge {edge}, are 'none' alone;"
                    " allowed: another operation there, or custom_space.none_in_genotype=True"
                )
    if fields["none_in_genotype"] and "none" not in names:
        raise _error("none_in_genotype", True, "only where 'none' is one of custom_space.candidates")
    for name in fields["batch_norm_after"]:
        if name not in names:
            raise UserError(
                f"config: custom_space.batch_norm_after: {show(name)} is not one of custom_space.candidates;"
                f" {hint(name, sorted(names))}"
            )
    space = Space(
        name=NAME,
        input_nodes=cells.input_nodes,
        nodes=nodes,
        candidates=candidates,
        output_nodes=_output_nodes(fields["output_nodes"], cells, nodes),
        kept_edges=kept or None,
        stacking=cells.stacking,
        batch_norm_after=frozenset(fields["batch_norm_after"]),
        none_in_genotype=fields["none_in_genotype"],
        extra_selection_epoch=fields["extra_selection_epoch"],
    )
    if space.num_operations == 1 and not space.topology_nodes:
        raise UserError(
            "config: custom_space.candidates has one operation for each edge, and custom_space.kept_edges"
            " keeps all edges; allowed: a space that leaves something to select"
        )
    return space


def plain_candidates(value: Any, levels: int = 3) -> Any:
    """Return candidates as tuples and dictionaries of names, however written; None if they are not that.

    Args:
      value: as the user gave it.
      levels: that may be inside one another: cell types, edges and the names for an edge.
    """
    if isinstance(value, str):
        return value
    if not levels:
        return None
    if isinstance(value, Mapping):
        items = {key: plain_candidates(item, levels - 1) for key, item in value.items()}
        sound = all(isinstance(key, str) and item is not None for key, item in items.items())
        return items if sound else None
    if isinstance(value, Sequence):
        rows = tuple(plain_candidates(item, levels - 1) for item in value)
        return None if None in rows else rows
    return None


def _error(field: str, value: Any, allowed: str) -> UserError:
    return UserError(f"config: custom_space.{field} is {show(value)}; allowed: {allowed}")


def _output_nodes(given: tuple[int, ...], cells: Cells, nodes: int) -> tuple[int, ...]:
    targets = tuple(range(cells.input_nodes, cells.input_nodes + nodes))
    among = show(targets)
    last = targets[-1:]
    concatenates = cells.stacking.preprocess  # the next cell then brings its input to its own width
    if not given:
        return targets if concatenates else last
    if not concatenates and given != last:
        raise _error("output_nodes", given, f"{last}, the last node, with stacking {cells.stacking.name!r}")
    if not set(given) <= set(targets) or list(given) != sorted(set(given)):
        raise _error("output_nodes", given, f"some of the nodes {among}, ascending, each once")
    if given[-1:] != last:
        raise _error("output_nodes", given, f"the last node, {last[0]}, among them: nothing else uses it")
    return given


def _candidates(value: Any, cell_types: tuple[str, ...], edges: tuple[Edge, ...]) -> dict[str, Candidates]:
    """Return the candidates by cell type, from any of the forms."""
    place = "custom_space.candidates"
    if not value:
        raise UserError(
            f"config: {place} is empty; allowed: names of operations, for all edges, by cell type, or for"
            " each edge"
        )
    if not isinstance(value, dict) or all(re.fullmatch(r"\d+<-\d+", key) for key in value):
        rows = _rows(value, edges, place)
        return dict.fromkeys(cell_types, rows)
    if set(value) != set(cell_types):
        raise UserError(
            f"config: {place} has the keys {listed(map(show, value))}; allowed: the cell types"
            f" {', '.join(map(repr, cell_types))}, or edges as '{edges[0]}'"
        )
    return {t: _rows(value[t], edges, f"{place}[{t!r}]") for t in cell_types}


def _rows(value: Any, edges: tuple[Edge, ...], place: str) -> Candidates:
    """Return the candidates of each edge, given the same for all, in the order of the edges, or by name."""
    names = [str(edge) for edge in edges]
    if isinstance(value, dict):
        for key in value:
            if key not in names:
                raise UserError(f"config: {place}: there is no edge {show(key)}; allowed: {listed(names)}")
        missing = [name for name in names if name not in value]
        if missing:
            raise UserError(f"config: {place} lacks the edges {listed(missing)}; allowed: every edge")
        return tuple(_row(value[name], f"{place}[{name!r}]") for name in names)
    if isinstance(value, str) or all(isinstance(item, str) for item in value):
        return (_row(value, place),) * len(edges)
    if len(value) != len(edges):
        raise UserError(
            f"config: {place} lists {len(value)} edges; allowed: {len(edges)}, the edges {listed(names)}"
        )
    return tuple(_row(row, f"{place}, edge {name}") for row, name in zip(value, names, strict=True))


def _row(value: Any, place: str) -> tuple[str, ...]:
    """Check and return the candidates of one edge."""
    if not isinstance(value, tuple) or not value or not all(isinstance(item, str) for item in value):
        raise UserError(f"config: {place} is {show(value)}; allowed: a tuple of names of operations")
    for name in value:
        OPERATIONS.check(name, f"config: {place}: operation")
        if value.count(name) > 1:
            raise UserError(f"config: {place} has {name!r} twice; allowed: each operation once")
    return value
