"""The genotype that mixing weights stand for: the rule of DARTS, which every selection ends with."""

from collections.abc import Mapping

import numpy as np

from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.spaces import Space


def candidates_of(space: Space, cell_type: str, edge: int) -> list[int]:
    """Return the operations of an edge that a genotype may hold: all, or all but `none`.

    An edge whose only candidate is `none` keeps it.
    """
    row = space.candidates[cell_type][edge]
    allowed = [i for i, name in enumerate(row) if name != "none" or space.none_in_genotype]
    return allowed or list(range(len(row)))


def candidates_mask(space: Space, cell_type: str) -> np.ndarray:
    """Return which operations of each edge a genotype may hold, bool [edges, operations]."""
    mask = np.zeros((len(space.edges), space.num_operations), bool)
    for edge in range(len(space.edges)):
        mask[edge, candidates_of(space, cell_type, edge)] = True
    return mask


def check_finite(space: Space, mixing_weights: Mapping[str, np.ndarray]) -> None:
    """Check that a genotype can be read from mixing weights.

    Raises:
      UserError: one is not finite; the message names its edge.
    """
    for cell_type, weights in mixing_weights.items():
        for edge, row in zip(space.edges, weights, strict=True):
            if not np.isfinite(row).all():
                raise UserError(
                    f"{cell_type} edge {edge}: mixing weights are {row.tolist()}: no genotype can be"
                    " read from them. Search again, with a lower learning rate"
                )


def read_genotype(space: Space, mixing_weights: dict[str, np.ndarray]) -> Genotype:
    """Return the genotype that DARTS reads from mixing weights.

    For each node, edges rank by their largest weight among the operations allowed, ties to the lower
    edge; the best are kept, listed by rank; each keeps its best operation, ties to the lower index.
    `none` counts in the softmax but is not chosen where the space forbids it. Where nodes keep all their
    edges, edges stay in order.

    Args:
      space: the search space.
      mixing_weights: float [edges, operations] per cell type.

    Raises:
      UserError: one is not finite: no weight is then the largest.
    """
    check_finite(space, mixing_weights)
    cells = {}
    for cell_type, weights in mixing_weights.items():
        best = [_largest(row, candidates_of(space, cell_type, e)) for e, row in enumerate(weights)]
        choices: list[Choice] = []
        for node in space.targets:
            edges = list(space.incoming(node))
            if space.kept_edges is not None:
                edges.sort(key=lambda e: -weights[e, best[e]])  # stable: ties keep the order of edges
                edges = edges[: space.kept_edges]
            choices += [
                Choice(node, space.edges[e].source, space.candidates[cell_type][e][best[e]]) for e in edges
            ]
        cells[cell_type] = tuple(choices)
    return Genotype(space.name, cells)


def _largest(weights: np.ndarray, allowed: list[int]) -> int:
    """Return the allowed operation of the largest weight, of equals the first."""
    return max(allowed, key=lambda operation: weights[operation])
