"""What alpha says at a moment, as numbers that people watch."""

import numpy as np

from tf_darts.architecture import Architecture
from tf_darts.derive import read_genotype

SKIP = "skip_connect"


def entropy(mixing_weights: np.ndarray) -> float:
    """Mean entropy over the edges of one cell type, in nats; rows sum to 1."""
    p = mixing_weights
    return float(-(p * np.log(np.where(p > 0, p, 1.0))).sum(-1).mean())


def skip_share(space, weights: dict[str, np.ndarray]) -> float:
    """Share of skip connections among the edges that magnitude selection would now keep (0 to 1)."""
    cells = read_genotype(space, weights).cells.values()
    names = [choice.operation for cell in cells for choice in cell]
    return names.count(SKIP) / len(names)


def describe(architecture: Architecture) -> dict[str, float]:
    """Scalars by name: every alpha, the entropy of each cell type, and the share of skip connections."""
    space = architecture.space
    weights = {t: w.numpy() for t, w in architecture.mixing_weights().items()}
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
