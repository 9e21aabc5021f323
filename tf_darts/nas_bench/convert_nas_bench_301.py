"""Makes plain arrays of NAS-Bench-301's ensemble of XGBoost models.

Nothing here unpickles: the benchmark's own package loads the models, and says how it encodes a genotype. How
is found out by changing one choice after the other; no name or order of its columns is taken for granted.
What was made is then compared with the package on genotypes drawn at random.
"""

import json
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.nas_bench.nas_bench_301 import (
    CELL_TYPES,
    NODES,
    PAIRS,
    Encoding,
    NasBench301,
    Trees,
    of_arrays,
    random_genotype,
)
from tf_darts.spaces.darts import DARTS, OPERATIONS

COMPARED = 100  # genotypes
_CLOSE = 1e-3  # percentage points: trees are summed in another order
_SOURCE = "NAS-Bench-301"


class Booster(Protocol):
    """An XGBoost model: what is used of it."""

    def save_model(self, fname: str) -> None:
        """Write it as JSON, where the name ends so."""


def convert(
    boosters: Sequence[Booster],
    encode: Callable[[Genotype], np.ndarray],
    predict: Callable[[Genotype], Sequence[float]],
) -> NasBench301:
    """Return the surrogate that an ensemble is.

    Args:
      boosters: its members.
      encode: returns the vector that the benchmark gives to the members for a genotype, NaN replaced.
      predict: returns what each member says of a genotype.

    Raises:
      UserError: a member is no ensemble of plain trees, the vector is not made of one entry for each choice,
        or what was made does not predict what the members do.
    """
    surrogate = NasBench301(encoding_of(encode), trees_of(boosters))
    surrogate = of_arrays(surrogate.arrays(), _SOURCE)  # with the types of a file
    draw = np.random.default_rng(0)
    for _ in range(COMPARED):
        genotype = random_genotype(draw)
        vector = surrogate.encoding.vector(genotype)
        if not np.array_equal(vector, np.float32(encode(genotype))):
            raise _error(f"the vector of {genotype.to_text()} has entries that no single choice decides")
        expected = np.asarray(predict(genotype), np.float64)
        apart = float(np.abs(surrogate.trees.predict(vector) - expected).max())
        if not apart <= _CLOSE:
            raise _error(
                f"of {genotype.to_text()} a member says {apart:g} points more or less than its trees"
            )
    return surrogate


def encoding_of(encode: Callable[[Genotype], np.ndarray]) -> Encoding:
    """Return how genotypes are encoded, found by changing one choice at a time; arguments as of `convert`."""
    start = {t: _start() for t in CELL_TYPES}

    def vector(changed: str, cell: dict[int, dict[int, str]]) -> np.ndarray:
        cells = {
            t: tuple(
                Choice(node, source, operation)
                for node, inputs in (cell if t == changed else start[t]).items()
                for source, operation in inputs.items()
            )
            for t in CELL_TYPES
        }
        return np.asarray(encode(Genotype(DARTS.name, cells)), np.float32)

    base = vector("", {}).copy()
    types, edges = len(CELL_TYPES), len(DARTS.edges)
    edge_columns = np.zeros((types, edges), np.int64)
    operation_values = np.zeros((types, edges, len(OPERATIONS)), np.float32)
    input_columns = np.zeros((types, len(NODES)), np.int64)
    input_values = np.zeros((types, len(NODES), max(map(len, PAIRS))), np.float32)
    for t, cell_type in enumerate(CELL_TYPES):
        for e, edge in enumerate(DARTS.edges):
            cell = start[cell_type]
            other = 0 if edge.source else 1
            rows = []
            for operation in OPERATIONS:
                inputs = dict(sorted({edge.source: operation, other: OPERATIONS[0]}.items()))
                rows.append(vector(cell_type, {**cell, edge.target: inputs}))
            edge_columns[t, e] = column = _only(rows, (), f"the operation of {cell_type} edge {edge}")
            operation_values[t, e] = [row[column] for row in rows]
    for t, cell_type in enumerate(CELL_TYPES):
        for n, node in enumerate(NODES):
            rows = [
                vector(cell_type, {**start[cell_type], node: dict.fromkeys(pair, OPERATIONS[0])})
                for pair in PAIRS[n]
            ]
            known = [edge_columns[t, e] for e in DARTS.incoming(node)]
            # Where an edge is not there its column has another value: that of the base.
            for place, column in enumerate(known):
                base[column] = next(
                    row[column] for row, p in zip(rows, PAIRS[n], strict=True) if place not in p
                )
            input_columns[t, n] = column = _only(rows, known, f"the inputs of {cell_type} node {node}")
            input_values[t, n, : len(rows)] = [row[column] for row in rows]
    return Encoding(base, edge_columns, operation_values, input_columns, input_values)


def _start() -> dict[int, dict[int, str]]:
    """Return a cell: by node its two sources, each with an operation."""
    return {node: dict.fromkeys((0, 1), OPERATIONS[0]) for node in DARTS.targets}


def _only(rows: Sequence[np.ndarray], known: Sequence[int], what: str) -> int:
    """Return the one column, besides the known ones, in which all rows differ."""
    differs = (np.stack(rows) != rows[0]).any(0)
    differs[list(known)] = False
    columns = np.flatnonzero(differs)
    if len(columns) != 1 or len({float(row[columns[0]]) for row in rows}) < len(rows):
        raise _error(f"{what} is not one entry of the vector")
    return int(columns[0])


def trees_of(boosters: Sequence[Booster]) -> Trees:
    """Return the trees of all members; the models are written as JSON, and that is read."""
    roots, members, scores = [], [], []
    parts: dict[str, list[np.ndarray]] = {"left": [], "right": [], "features": [], "values": []}
    nodes = 0
    for member, booster in enumerate(boosters):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.json"
            booster.save_model(str(path))
            learner = json.loads(path.read_text())["learner"]
        gradient_booster = learner["gradient_booster"]
        if gradient_booster["name"] != "gbtree":
            raise _error(f"member {member} is a {gradient_booster['name']}, no gbtree")
        scores.append(float(str(learner["learner_model_param"]["base_score"]).strip("[]")))
        for tree in gradient_booster["model"]["trees"]:
            order = _parents_first(tree)
            place = {node: nodes + i for i, node in enumerate(order)}
            inner = np.array([tree["left_children"][node] >= 0 for node in order])
            for name, key in (("left", "left_children"), ("right", "right_children")):
                way = [place.get(tree[key][node], -1) for node in order]
                parts[name].append(np.where(inner, way, -1))
            parts["features"].append(np.where(inner, [tree["split_indices"][node] for node in order], 0))
            parts["values"].append(np.asarray([tree["split_conditions"][node] for node in order], np.float32))
            roots.append(nodes)
            members.append(member)
            nodes += len(order)
    if not roots:
        raise _error("there are no trees")
    whole: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    whole |= {"roots": np.asarray(roots, np.int64), "members": np.asarray(members, np.int64)}
    return Trees(**whole, base_scores=np.asarray(scores, np.float32))


def _parents_first(tree: dict[str, Any]) -> list[int]:
    """Return the nodes that can be reached from the root, each before those below it."""
    order = [0]
    for node in order:
        if tree["left_children"][node] >= 0:
            order += [tree["left_children"][node], tree["right_children"][node]]
    return order


def _error(text: str) -> UserError:
    return UserError(f"{_SOURCE}: {text}")
