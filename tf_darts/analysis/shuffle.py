"""The supernet shuffling study (paper, section 3.2 and table 1): what does it cost to exchange layers?

A network whose layers all refine one estimate of the same feature map ("unrolled estimation") keeps most of
its accuracy when two of them change places; one whose layers build on each other loses it. The paper
exchanges two layers in every stage of VGG and ResNet, and two edges in every cell of the DARTS supernet, at
test time, and finds 92.69 -> 9.83, 93.86 -> 83.20 and 88.44 -> 81.09 % (CIFAR-10 test set).

An exchange moves weights and running statistics between layers of the same shapes; nothing is traced again.
The kinds of exchange:

  edges                two random edges of every cell, each with its mixing weights: our reading of the paper
  edges_without_alpha  the same edges, but the mixing weights stay where they are (the paper does not say)
  all_edges            all edges of every cell in random order, with their mixing weights
  cells                two random cells of every stage (cells in a row of one type and width); the 1x1
                       convolutions that fit a cell's inputs to it stay

Edges can change places where they have the same candidates and stride and the search removed neither. Every
exchange is scored on the test set twice: with running statistics, as at test time (the figure to compare
with the paper's), and with the statistics of each batch, which repair what a moved layer's statistics do
not fit.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_darts.analysis import figures
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.layers.row import Row, set_values
from tf_darts.models.architecture import Architecture
from tf_darts.models.evaluator import Evaluator
from tf_darts.plots.table import aligned_lines
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.seeds import fold
from tf_darts.search.setup import SearchSetup
from tf_darts.spaces import Block, Space

# Of a cell (a block of the layout), the edge that takes the place of each; of a stage, likewise the cells.
Order = list[int]
STATISTICS = ("running", "batch")

# Test accuracies of the paper's table 1, percent: before, mean after, standard deviation after.
PAPER = {"VGG": (92.69, 9.83, 0.33), "ResNet": (93.86, 83.20, 2.03), "DARTS supernet": (88.44, 81.09, 1.87)}


def run(study: AnalysisRun) -> str:
    """Score all exchanges, write draws.jsonl, result.json and a picture; return the accuracies as text."""
    lines = study.lines("draws.jsonl")
    done = {(row["kind"], row["draw"]): row for row in lines.rows}
    wanted = [("none", 0)]
    layout = study.space.stacking.blocks(study.config.search.cells)
    kinds = [kind for kind in KINDS if _possible(study.space, layout, kind)]
    wanted += [(kind, draw) for kind in kinds for draw in range(study.config.analysis.draws)]
    left = [key for key in wanted if key not in done]
    if left:
        shuffler = Shuffler(study.setup)
        progress = Progress("shuffle", len(wanted), len(wanted) - len(left))
        for number, (kind, draw) in enumerate(left, len(wanted) - len(left)):
            rng = np.random.default_rng(fold(study.config.seed, "analysis/shuffle", _draws_of(kind), draw))
            moved = shuffler.exchange(kind, rng)
            row = {"kind": kind, "draw": draw, "moved": moved, **shuffler.score()}
            lines.append(row)
            done[kind, draw] = row
            progress.update(number + 1, f"{kind}, accuracy {100 * row['running']['accuracy']:.2f} %")
    before = done["none", 0]
    after = {kind: [done[k, d] for k, d in wanted if k == kind] for kind in kinds}
    result = {
        "space": study.space.name,
        "images": before["running"]["images"],
        "before": {name: before[name]["accuracy"] for name in STATISTICS},
        "after": {
            kind: {name: _spread([row[name]["accuracy"] for row in rows]) for name in STATISTICS}
            for kind, rows in after.items()
        },
        "draws": study.config.analysis.draws,
        "paper_percent": {
            name: dict(zip(("before", "after", "std"), row, strict=True)) for name, row in PAPER.items()
        },
    }
    curves = {
        f"{name}/{kind}": [(row["draw"], row[name]["accuracy"]) for row in rows]
        for kind, rows in after.items()
        for name in STATISTICS
    }
    study.leave(result, {"shuffle": _picture(result)}, curves)
    return _summary(result)


class Shuffler:
    """A searched supernet whose edges and cells change places.

    Args:
      setup: the supernet, as it was searched, and its data.
    """

    def __init__(self, setup: SearchSetup):
        self._setup, self._supernet = setup, setup.bilevel.supernet
        supernet = self._supernet
        self._cells = [i for i, block in enumerate(supernet.body.layout) if block.cell_type is not None]
        edges = len(setup.space.edges)
        with setup.strategy.scope():
            # Row b: of which edge each edge of block b takes the mixing weights.
            self._rows = tf.Variable(
                np.tile(np.arange(edges, dtype=np.int32), (len(supernet.body.layout), 1)),
                trainable=False,
                name="rows_of_mixing_weights",
            )
        layers = [layer for i in self._cells for layer in supernet.body.blocks[i].edge_layers]
        self._searched = {id(v): v.numpy() for x in layers for v in x.variables if isinstance(v.value, Row)}
        self._evaluators = {name: self._evaluator(name == "batch") for name in STATISTICS}

    def exchange(self, kind: str, rng: np.random.Generator) -> list:
        """Make an exchange, in place of any earlier one.

        Args:
          kind: one of `KINDS`, or "none".
          rng: what is drawn from.

        Returns:
          What changed places, for the record: [block, edge, edge whose place it takes], or [cell, cell].
        """
        setup, body = self._setup, self._supernet.body
        edges = len(setup.space.edges)
        orders = {i: list(range(edges)) for i in self._cells}  # of edges, by block
        origins = {i: i for i in self._cells}  # of cells
        rows = np.tile(np.arange(edges, dtype=np.int32), (len(body.layout), 1))
        moved = []
        if kind != "none":
            draw, with_rows = KINDS[kind]
            orders, origins = draw(setup.space, body.layout, setup.bilevel.architecture, rng)
            if with_rows:
                for i, order in orders.items():
                    rows[i] = order
            moved = [[i, e, f] for i, order in orders.items() for e, f in enumerate(order) if e != f]
            moved += [[i, j] for i, j in origins.items() if i != j]
        values = []
        for i in self._cells:
            here, there = body.blocks[i].edge_layers, body.blocks[origins[i]].edge_layers
            for layer, origin in zip(here, [there[e] for e in orders[i]], strict=True):
                pairs = zip(layer.variables, origin.variables, strict=True)
                values += [(v, self._searched[id(w)]) for v, w in pairs if id(v) in self._searched]
        set_values(values)
        self._rows.assign(rows)
        return moved

    def score(self) -> dict[str, dict]:
        """Return the test scores, for each of `STATISTICS`."""
        return {name: evaluate().row() for name, evaluate in self._evaluators.items()}

    def _evaluator(self, batch_statistics: bool) -> Evaluator:
        setup = self._setup
        return Evaluator(
            setup.strategy,
            setup.test,
            setup.config.search.batch_size,
            lambda images: self.forward(images, batch_statistics),
            "analysis/shuffle",
            augment=False,
            steps_per_call=setup.config.runtime.steps_per_call,
        )

    def forward(self, images: tf.Tensor, batch_statistics: bool) -> tf.Tensor:
        """Return logits [B, classes] with each cell's own rows of mixing weights; keep running statistics."""
        supernet, weights = self._supernet, self._setup.bilevel.architecture.mixing_weights()
        rows, cell_inputs = self._rows.read_value(), []
        for i, block in enumerate(supernet.body.layout):
            if block.cell_type is None:
                cell_inputs.append(None)
                continue
            width = block.width * supernet.channels // supernet.partial_channels
            own = tf.gather(weights[block.cell_type], rows[i])
            wide = tf.tile(own[:, :, None], [1, 1, width])
            cell_inputs.append([{"mixing_weights": tf.unstack(row)} for row in tf.unstack(wide)])
        with supernet.packed.unpacked() as scope:
            outputs = supernet.body(images, cell_inputs=cell_inputs, training=batch_statistics)
            logits = supernet.head(outputs[-1], training=batch_statistics)
        supernet.packed.keep(scope, statistics=False)
        return logits


# Kinds of exchange: (space, layout, architecture, rng) -> orders of edges by block, and origins of cells.
Layout = tuple[Block, ...]
Draw = Callable[[Space, Layout, Architecture, np.random.Generator], tuple[dict[int, Order], dict[int, int]]]


def edge_groups(space: Space, block: Block, open_edges: np.ndarray | None = None) -> list[list[int]]:
    """Return the edges of a cell that can change places, in groups of several.

    Args:
      space: the search space.
      block: the cell.
      open_edges: bool [edges], those that are there; None: all.
    """
    groups: dict[tuple, list[int]] = {}
    for e, edge in enumerate(space.edges):
        if open_edges is None or open_edges[e]:
            key = (space.candidates[block.cell_type][e], space.stride(edge, block.reduction))
            groups.setdefault(key, []).append(e)
    return [group for group in groups.values() if len(group) > 1]


def stages(layout: Layout) -> list[list[int]]:
    """Return the cells in a row of one type and width, in groups of several."""
    groups: list[list[int]] = []
    for i, block in enumerate(layout):
        if block.cell_type is None:
            continue
        if groups and groups[-1][-1] == i - 1 and layout[i - 1] == block:
            groups[-1].append(i)
        else:
            groups.append([i])
    return [group for group in groups if len(group) > 1]


def _two_edges(space: Space, layout: Layout, architecture: Architecture, rng) -> tuple[dict, dict]:
    orders = _plain(space, layout)
    for i, order in orders.items():
        groups = _groups(space, layout[i], architecture)
        pairs = [(a, b) for group in groups for n, a in enumerate(group) for b in group[n + 1 :]]
        if pairs:
            a, b = pairs[rng.integers(len(pairs))]
            order[a], order[b] = b, a
    return orders, {i: i for i in orders}


def _all_edges(space: Space, layout: Layout, architecture: Architecture, rng) -> tuple[dict, dict]:
    orders = _plain(space, layout)
    for i, order in orders.items():
        for group in _groups(space, layout[i], architecture):
            for e, origin in zip(group, rng.permutation(group).tolist(), strict=True):
                order[e] = origin
    return orders, {i: i for i in orders}


def _two_cells(space: Space, layout: Layout, architecture: Architecture, rng) -> tuple[dict, dict]:
    orders = _plain(space, layout)
    origins = {i: i for i in orders}
    for stage in stages(layout):
        a, b = sorted(rng.choice(stage, size=2, replace=False).tolist())
        origins[a], origins[b] = b, a
    return orders, origins


def _plain(space: Space, layout: Layout) -> dict[int, Order]:
    return {i: list(range(len(space.edges))) for i, b in enumerate(layout) if b.cell_type is not None}


def _groups(space: Space, block: Block, architecture: Architecture) -> list[list[int]]:
    return edge_groups(space, block, architecture.open_edges[block.cell_type].numpy())


# By name: what is drawn, and whether edges take their mixing weights with them.
KINDS: dict[str, tuple[Draw, bool]] = {
    "edges": (_two_edges, True),
    "edges_without_alpha": (_two_edges, False),
    "all_edges": (_all_edges, True),
    "cells": (_two_cells, False),
}


def _draws_of(kind: str) -> str:
    """Return what a kind's draws are seeded by: kinds that draw in the same way draw the same."""
    return KINDS[kind][0].__name__ if kind in KINDS else kind


def _possible(space: Space, layout: Layout, kind: str) -> bool:
    if KINDS[kind][0] is _two_cells:
        return bool(stages(layout))
    return any(edge_groups(space, block) for block in layout if block.cell_type is not None)


def _spread(values: list[float]) -> dict[str, float | None]:
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


def _percent(spread: dict) -> str:
    text = f"{100 * spread['mean']:.2f}"
    return text if spread["std"] is None else f"{text} ± {100 * spread['std']:.2f}"


def _summary(result: dict) -> str:
    rows = [("before", *(f"{100 * result['before'][name]:.2f}" for name in STATISTICS))]
    rows += [(kind, *(_percent(by[name]) for name in STATISTICS)) for kind, by in result["after"].items()]
    head = (
        f"Test accuracy, %, mean and standard deviation of {result['draws']} random exchanges of each kind:"
    )
    paper = "; ".join(f"{name} {b} -> {a} ± {s}" for name, (b, a, s) in PAPER.items())
    table = aligned_lines(("exchanged", "running statistics", "batch statistics"), rows, right=(1, 2))
    return "\n".join([head, *table, f"The paper's table 1 (CIFAR-10): {paper}"])


def _picture(result: dict):
    figure = figures.new(1.6 * (len(result["after"]) + 1) + 1.5, 3.4)
    axes = figure.subplots()
    for name, shift, colour in zip(STATISTICS, (-0.2, 0.2), (figures.LEFT, figures.RIGHT), strict=True):
        spreads = [{"mean": result["before"][name], "std": None}]
        spreads += [by[name] for by in result["after"].values()]
        axes.bar(
            [x + shift for x in range(len(spreads))],
            [100 * s["mean"] for s in spreads],
            0.38,
            yerr=[100 * (s["std"] or 0.0) for s in spreads],
            color=colour,
            label=f"{name} statistics",
        )
    axes.set_xticks(range(len(spreads)), ["before", *result["after"]], fontsize=8)
    axes.set_ylabel("test accuracy, %", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return figure
