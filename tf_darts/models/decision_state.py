"""What is still open in an architecture, and what recorded decisions make of it.

A decision is a row of decisions.jsonl; selection by perturbation leaves them, and SGAS during the search.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tf_darts.genotypes.derive import candidates_mask
from tf_darts.models.architecture import Architecture
from tf_darts.spaces import Space


@dataclasses.dataclass(frozen=True)
class DecisionState:
    """What is still open in an architecture.

    Attributes:
      operations: {cell type: bool [edges, operations]}, as `Architecture.open_operations`.
      edges: {cell type: bool [edges]}, as `Architecture.open_edges`.
    """

    operations: dict[str, np.ndarray]
    edges: dict[str, np.ndarray]

    @staticmethod
    def of(architecture: Architecture) -> "DecisionState":
        """The state of an architecture's masks as they are now."""
        return DecisionState(
            {t: mask.numpy() for t, mask in architecture.open_operations.items()},
            {t: mask.numpy() for t, mask in architecture.open_edges.items()},
        )

    @staticmethod
    def undecided(space: Space) -> "DecisionState":
        """All edges open, each with all operations that a genotype may hold."""
        operations = {t: candidates_mask(space, t) for t in space.cell_types}
        return DecisionState(operations, {t: np.ones(len(space.edges), bool) for t in space.cell_types})

    def holdable(self, space: Space) -> "DecisionState":
        """The same without operations that no genotype may hold; an edge that has no others opens again."""
        everything = DecisionState.undecided(space).operations
        operations = {}
        for cell_type, mask in self.operations.items():
            left = mask & everything[cell_type]
            operations[cell_type] = np.where(left.any(1, keepdims=True), left, everything[cell_type])
        return DecisionState(operations, self.edges)

    def with_operation(self, cell_type: str, edge: int, operation: int) -> "DecisionState":
        """The state after an edge is decided for an operation."""
        mask = self.operations[cell_type].copy()
        mask[edge] = False
        mask[edge, operation] = True
        return DecisionState({**self.operations, cell_type: mask}, self.edges)

    def after(self, rows: Iterable[Mapping[str, Any]]) -> "DecisionState":
        """The state after recorded decisions, rows of decisions.jsonl (`apply` makes them)."""
        state = self
        for row in rows:
            if row["kind"] == "operation":
                state = state.with_operation(row["cell_type"], row["edge"], row["operation"])
            state = state.without_edges(row["cell_type"], row.get("removed", []))
        return state

    def equals(self, other: "DecisionState") -> bool:
        """Whether the same is open."""
        return all(
            np.array_equal(mask, theirs[cell_type])
            for ours, theirs in ((self.operations, other.operations), (self.edges, other.edges))
            for cell_type, mask in ours.items()
        )

    def without_edges(self, cell_type: str, edges: Iterable[int]) -> "DecisionState":
        """The state after edges are taken out."""
        mask = self.edges[cell_type].copy()
        mask[list(edges)] = False
        return DecisionState(self.operations, {**self.edges, cell_type: mask})


def apply(architecture: Architecture, row: dict) -> None:
    """Writes a recorded decision into the masks; that on an operation may have removed edges too (SGAS)."""
    if row["kind"] == "operation":
        architecture.decide_operation(row["cell_type"], row["edge"], row["operation"])
    architecture.remove_edges(row["cell_type"], row.get("removed", []))


def agree(architecture: Architecture, rows: Iterable[dict], start: DecisionState | None = None) -> bool:
    """Whether the masks are exactly what these decisions make of others (None: a new architecture's)."""
    start = start or DecisionState.of(Architecture(architecture.space))
    return start.after(rows).equals(DecisionState.of(architecture))
