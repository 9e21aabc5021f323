"""What is still open in an architecture, and what decisions make of it.

Selection by perturbation decides, and SGAS during the search (`workdir.decisions`).
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from tf_darts.genotypes.derive import candidates_mask
from tf_darts.models.architecture import Architecture
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import Decision, OperationDecision, TopologyDecision


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
        """Return the state of an architecture's masks as they are now."""
        return DecisionState(
            {t: mask.numpy() for t, mask in architecture.open_operations.items()},
            {t: mask.numpy() for t, mask in architecture.open_edges.items()},
        )

    @staticmethod
    def undecided(space: Space) -> "DecisionState":
        """Return the state with all edges open, each with all operations that a genotype may hold."""
        operations = {t: candidates_mask(space, t) for t in space.cell_types}
        return DecisionState(operations, {t: np.ones(len(space.edges), bool) for t in space.cell_types})

    def holdable(self, space: Space) -> "DecisionState":
        """Return the state without operations that no genotype may hold.

        An edge that has no others opens again.
        """
        everything = DecisionState.undecided(space).operations
        operations = {}
        for cell_type, mask in self.operations.items():
            left = mask & everything[cell_type]
            operations[cell_type] = np.where(left.any(1, keepdims=True), left, everything[cell_type])
        return DecisionState(operations, self.edges)

    def with_operation(self, cell_type: str, edge: int, operation: int) -> "DecisionState":
        """Return the state after an edge is decided for an operation."""
        mask = self.operations[cell_type].copy()
        mask[edge] = False
        mask[edge, operation] = True
        return DecisionState({**self.operations, cell_type: mask}, self.edges)

    def after(self, decisions: Iterable[Decision]) -> "DecisionState":
        """Return the state after some decisions (`apply` makes them in an architecture)."""
        state = self
        for decision in decisions:
            if isinstance(decision, OperationDecision):
                state = state.with_operation(decision.cell_type, decision.edge, decision.operation)
            if isinstance(decision, OperationDecision | TopologyDecision):
                state = state.without_edges(decision.cell_type, decision.removed or ())
        return state

    def equals(self, other: "DecisionState") -> bool:
        """Return whether both states leave the same open."""
        return all(
            np.array_equal(mask, theirs[cell_type])
            for ours, theirs in ((self.operations, other.operations), (self.edges, other.edges))
            for cell_type, mask in ours.items()
        )

    def without_edges(self, cell_type: str, edges: Iterable[int]) -> "DecisionState":
        """Return the state after edges are taken out."""
        mask = self.edges[cell_type].copy()
        mask[list(edges)] = False
        return DecisionState(self.operations, {**self.edges, cell_type: mask})


def apply(architecture: Architecture, decision: Decision) -> None:
    """Write a decision into the masks of an architecture.

    One on an operation may have removed edges too (SGAS).
    """
    if isinstance(decision, OperationDecision):
        architecture.decide_operation(decision.cell_type, decision.edge, decision.operation)
    if isinstance(decision, OperationDecision | TopologyDecision):
        architecture.remove_edges(decision.cell_type, decision.removed or ())


def agree(
    architecture: Architecture, decisions: Iterable[Decision], start: DecisionState | None = None
) -> bool:
    """Return whether the masks are exactly what these decisions make of a start.

    Args:
      architecture: whose masks are compared.
      decisions: in their order.
      start: what was open before; None: what a new architecture has open.
    """
    start = start or DecisionState.of(Architecture(architecture.space))
    return start.after(decisions).equals(DecisionState.of(architecture))
