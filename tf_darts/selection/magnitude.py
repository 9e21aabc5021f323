"""Magnitude-based selection: keep what has the largest alpha (DARTS; the paper's baseline)."""

import dataclasses
import pathlib

from tf_darts.architecture import Architecture
from tf_darts.derive import read_genotype
from tf_darts.genotype import Genotype
from tf_darts.runtime.metrics import Metrics
from tf_darts.runtime.workdir import JsonLines
from tf_darts.search.setup import Setup
from tf_darts.selection.select import show


def run(setup: Setup, folder: pathlib.Path) -> Genotype:
    """Selects from the searched supernet; leaves decisions.jsonl."""
    selected = select(setup.bilevel.architecture)
    JsonLines(folder / "decisions.jsonl").append(*selected.decisions)
    metrics = Metrics(folder, 0, setup.config.runtime.tensorboard, "selection")
    show(setup, metrics, selected.genotype, 0)
    return selected.genotype


@dataclasses.dataclass(frozen=True)
class Selected:
    """A genotype and, per decision, the row that `decisions.jsonl` keeps."""

    genotype: Genotype
    decisions: list[dict]


def select(architecture: Architecture) -> Selected:
    """Selects by magnitude; every edge is recorded with its weights."""
    space = architecture.space
    weights = {t: w.numpy() for t, w in architecture.mixing_weights().items()}
    genotype = read_genotype(space, weights)
    decisions = []
    for cell_type, rows in weights.items():
        kept = {(c.target, c.source): c.operation for c in genotype.cells[cell_type]}
        for e, edge in enumerate(space.edges):
            names = space.candidates[cell_type][e]
            decisions.append(
                {
                    "kind": "magnitude",
                    "cell_type": cell_type,
                    "edge": e,
                    "edge_name": str(edge),
                    "mixing_weights": {n: float(w) for n, w in zip(names, rows[e], strict=False)},
                    "chosen": kept.get((edge.target, edge.source)),
                }
            )
    return Selected(genotype, decisions)
