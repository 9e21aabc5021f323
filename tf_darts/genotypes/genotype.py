"""The discrete architecture: which edges a cell keeps and with which operation, and its file forms.

Two forms are read and written: JSON, which says everything, and the text forms of the literature
(`Genotype(normal=[('sep_conv_3x3', 0), ...], ...)` and `|op~0|+|op~0|op~1|+...`), which need the space
to be known. Whatever is wrong with an input is a `UserError` of one line that names the place.
"""

import dataclasses
import json
from typing import Any

from tf_darts import spaces
from tf_darts.errors import listed, show
from tf_darts.genotypes import text_forms as forms
from tf_darts.spaces import Space

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Choice:
    """A kept edge: node `source` feeds node `target` through `operation`."""

    target: int
    source: int
    operation: str


@dataclasses.dataclass(frozen=True)
class Genotype:
    """A discrete architecture.

    Attributes:
      space: name of the search space.
      cells: for each cell type the kept edges, by target node; inside a node in the order given
        (magnitude selection lists the stronger edge first; in NAS-Bench-201, where nodes keep all edges,
        what is read has them by source).
    """

    space: str
    cells: dict[str, tuple[Choice, ...]]

    def to_text(self, space: Space | None = None) -> str:
        """Return the published text form.

        Args:
          space: the genotype's space; needed only where it is not one of `spaces.SPACES`.

        Raises:
          UserError: the genotype is not one of the space, or the space has no text form.
        """
        space = _space(self, space)
        validate(self, space)
        return forms.of(space).write(_entries(self), space)

    def to_json(self, space: Space | None = None) -> str:
        """Return JSON with the keys schema_version, space, cells, text; arguments and errors as `to_text`."""
        text = self.to_text(space)
        # By hand, since json.dumps would put every number of every edge on a line of its own.
        cells = []
        for cell_type, choices in self.cells.items():
            rows = ",\n".join("      " + json.dumps(dataclasses.asdict(choice)) for choice in choices)
            cells.append(f"    {json.dumps(cell_type)}: [\n{rows}\n    ]")
        return (
            f'{{\n  "schema_version": {SCHEMA_VERSION},\n  "space": {json.dumps(self.space)},\n'
            + '  "cells": {\n'
            + ",\n".join(cells)
            + f'\n  }},\n  "text": {json.dumps(text)}\n}}\n'
        )

    @staticmethod
    def from_json(text: str, space: Space | None = None) -> "Genotype":
        """Read the JSON that `to_json` wrote.

        Args:
          text: JSON.
          space: the space it has to be of; by default the one that the JSON names.

        Raises:
          UserError: not JSON, another schema, another space, or not a genotype of the space.
        """
        keys = ("schema_version", "space", "cells", "text")
        forms.check_text(text, space)
        data = forms.object_with(forms.parse_json(text), "the JSON", keys)
        version = data["schema_version"]
        if not forms.is_int(version) or version != SCHEMA_VERSION:
            raise forms.error(f"schema_version {show(version)} is not known; allowed: {SCHEMA_VERSION}")
        if not isinstance(data["space"], str):
            raise forms.error(f"space has to be a text, not {show(data['space'])}")
        if not isinstance(data["cells"], dict):
            raise forms.error(f"cells has to be an object, not {show(data['cells'])}")
        cells = {}
        for cell_type, rows in data["cells"].items():
            if not isinstance(rows, list):
                raise forms.error(f"cells, {show(cell_type)} has to be a list, not {show(rows)}")
            places = [(f"cells, {show(cell_type)} entry {i}", row) for i, row in enumerate(rows)]
            cells[cell_type] = tuple(
                Choice(**forms.object_with(row, place, ("target", "source", "operation")))
                for place, row in places
            )
        genotype = Genotype(data["space"], cells)
        space = _space(genotype, space)
        validate(genotype, space)
        genotype = Genotype(space.name, forms.canonical(cells, space))
        texts = [genotype.to_text(space), forms.of(space).write(forms.by_source(_entries(genotype)), space)]
        if data["text"] not in texts:  # version 1.0 wrote NAS-Bench-201's form by source in any space
            raise forms.error(f"text and cells disagree: text is {show(data['text'])}")
        return genotype


def from_text(text: str, space: Space) -> Genotype:
    """Parse a published text form.

    Args:
      text: the form of the space's stacking; any whitespace. It is parsed and never executed.
      space: the space it has to be of.

    Raises:
      UserError: not the text form, or not a genotype of the space.
    """
    forms.check_text(text, space)
    cells = forms.of(space).read(text, space)
    genotype = Genotype(
        space.name, {cell_type: tuple(Choice(*entry) for entry in cells[cell_type]) for cell_type in cells}
    )
    validate(genotype, space)
    return genotype


def validate(genotype: Genotype, space: Space) -> None:
    """Check that `genotype` is an architecture of `space`.

    Raises:
      UserError: other cell types; a node with the wrong number of edges, with an edge twice or from a
        node that is not earlier; an operation that the edge does not offer, or `none` where the space
        does not allow it.
    """
    if genotype.space != space.name:
        raise forms.error(f"it is of space {show(genotype.space)}, not of {space.name!r}")
    if not isinstance(genotype.cells, dict) or set(genotype.cells) != set(space.cell_types):
        found = list(genotype.cells) if isinstance(genotype.cells, dict) else genotype.cells
        allowed = list(space.cell_types)
        raise forms.error(f"cells are {show(found)}; space {space.name!r} needs exactly {allowed}")
    for cell_type in space.cell_types:
        _validate_cell(cell_type, genotype.cells[cell_type], space)


def _space(genotype: Genotype, space: Space | None) -> Space:
    if space is not None:
        return space
    if genotype.space == spaces.custom.NAME:
        raise forms.error(f"space {genotype.space!r} is what a config describes: give the space")
    if not isinstance(genotype.space, str) or genotype.space not in spaces.SPACES:
        raise forms.error(f"space {show(genotype.space)} is not known; allowed: {', '.join(spaces.SPACES)}")
    return spaces.SPACES[genotype.space]


def _entries(genotype: Genotype) -> dict[str, list[forms.Entry]]:
    return {
        cell_type: [(choice.target, choice.source, choice.operation) for choice in choices]
        for cell_type, choices in genotype.cells.items()
    }


def parse(text: str, space: Space | None) -> Genotype:
    """Parse a JSON or text form."""
    forms.check_text(text, space)
    if text.lstrip().startswith("{") and not forms.is_python_dict(text):
        return Genotype.from_json(text, space)
    if not forms.looks_like_genotype(text):
        raise forms.error(f"neither JSON nor a text form: {show(text[:40])}")
    if space is None:
        raise forms.error("a text form does not name its space; name the space, or use the JSON form")
    return from_text(text, space)


def _validate_cell(cell_type: str, choices: Any, space: Space) -> None:
    if not isinstance(choices, tuple) or not all(isinstance(choice, Choice) for choice in choices):
        raise forms.error(f"{cell_type} has to be a tuple of Choice, not {show(choices)}")
    for number, choice in enumerate(choices):
        place = f"{cell_type} entry {number}"
        for field, value in (("target", choice.target), ("source", choice.source)):
            if not forms.is_int(value):
                raise forms.error(f"{place}: {field} has to be an integer, not {show(value)}")
        if not isinstance(choice.operation, str):
            raise forms.error(f"{place}: operation has to be a text, not {show(choice.operation)}")
        if choice.target not in space.targets:
            nodes = listed(space.targets)
            raise forms.error(f"{place}: node {show(choice.target)} is not a target; allowed: {nodes}")
        if not 0 <= choice.source < choice.target:
            raise forms.error(
                f"{cell_type} node {choice.target}: source {show(choice.source)} is not an earlier"
                f" node; allowed: 0 to {choice.target - 1}"
            )
    targets = [choice.target for choice in choices]
    if targets != sorted(targets):
        raise forms.error(f"{cell_type}: the entries have to stand by target node, ascending")
    for node in space.targets:
        sources = [choice.source for choice in choices if choice.target == node]
        kept = space.keeps(node)
        if len(sources) != kept:
            raise forms.error(f"{cell_type} node {node}: {len(sources)} edges; it has to keep {kept}")
        for source in sources:
            if sources.count(source) > 1:
                raise forms.error(f"{cell_type} node {node}: source {source} stands twice")
    for choice in choices:
        edge = spaces.Edge(choice.target, choice.source)
        candidates = space.candidates[cell_type][space.edges.index(edge)]
        allowed = [name for name in candidates if name != "none" or space.none_in_genotype]
        if choice.operation not in allowed:
            problem = "may not be chosen" if choice.operation in candidates else "is not a candidate"
            raise forms.error(
                f"{cell_type} node {choice.target}, edge {edge}: operation {show(choice.operation)}"
                f" {problem}; allowed: {listed(allowed, 20)}"
            )
