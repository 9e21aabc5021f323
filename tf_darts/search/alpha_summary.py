"""What alpha says at a moment, as numbers that people watch."""

from collections.abc import Mapping

import keras
import numpy as np

from tf_darts.errors import UserError
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.architecture import Architecture
from tf_darts.spaces import Space
from tf_darts.spaces.space import SKIP


def alpha_of(space: Space, cell_type: str, epoch: Mapping[str, float]) -> np.ndarray:
    """Return alpha, float [edges, operations], from an epoch's row of metrics.jsonl (see `describe`).

    Raises:
      KeyError: the row lacks an entry.
    """
    alpha = np.zeros((len(space.edges), space.num_operations), keras.config.floatx())
    for e, edge in enumerate(space.edges):
        for o, name in enumerate(space.candidates[cell_type][e]):
            alpha[e, o] = epoch[f"alpha/{cell_type}/{edge}/{name}"]
    return alpha


def recall(architecture: Architecture, epoch: Mapping[str, float]) -> None:
    """Set alpha, that of edges too, to what an epoch's row of metrics.jsonl says.

    Raises:
      KeyError: the row lacks an entry.
    """
    space = architecture.space
    for cell_type, alpha in architecture.alpha.items():
        alpha.assign(alpha_of(space, cell_type, epoch))
    for cell_type, alpha in architecture.edge_alpha.items():
        alpha.assign([epoch[f"alpha/{cell_type}/{edge}/edge"] for edge in space.edges])


def entropies(mixing_weights: np.ndarray) -> np.ndarray:
    """Return the entropy of each edge of one cell type in nats, float [edges].

    Rows that do not sum to 1 (sigmoids) are divided by their sums.
    """
    sums = mixing_weights.sum(-1, keepdims=True)
    p = np.where(abs(sums - 1.0) > 1e-3, mixing_weights / np.maximum(sums, 1e-30), mixing_weights)
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)


def entropy(mixing_weights: np.ndarray) -> float:
    """Return the mean of `entropies`."""
    return float(entropies(mixing_weights).mean())


def skip_share(space: Space, weights: dict[str, np.ndarray]) -> float:
    """Return the share of skip connections, 0 to 1, among the edges that magnitude would now keep."""
    return skip_share_of(read_genotype(space, weights))


def skip_share_of(genotype: Genotype) -> float:
    """Return the share of skip connections among a genotype's edges (0 to 1)."""
    names = [choice.operation for cell in genotype.cells.values() for choice in cell]
    return names.count(SKIP) / len(names)


def likely(architecture: Architecture) -> str:
    """Return the genotype that magnitude would now read, as text; empty where there is no text form."""
    weights = architecture.current_weights()
    try:
        return read_genotype(architecture.space, weights).to_text(architecture.space)
    except UserError:
        return ""


def describe(architecture: Architecture) -> dict[str, float]:
    """Return numbers by name: every alpha, the entropy of each cell type, the share of skip connections."""
    space = architecture.space
    weights = architecture.current_weights()
    values = {"skip_share": skip_share(space, weights)}
    for cell_type, rows in ((t, p.numpy()) for t, p in architecture.probabilities().items()):
        values[f"alpha_entropy/{cell_type}"] = entropy(rows)
        alpha = architecture.alpha[cell_type].numpy()
        for e, edge in enumerate(space.edges):
            for o, name in enumerate(space.candidates[cell_type][e]):
                values[f"alpha/{cell_type}/{edge}/{name}"] = float(alpha[e, o])
    for cell_type, alpha in architecture.edge_alpha.items():
        for edge, value in zip(space.edges, alpha.numpy(), strict=True):
            values[f"alpha/{cell_type}/{edge}/edge"] = float(value)
    return values
