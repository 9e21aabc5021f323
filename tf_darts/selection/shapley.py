"""Selection by Shapley values of operations (Xiao et al., CVPR 2022), from any supernet.

The players are the open operations of all edges, the gain is the supernet's validation accuracy with some of
them. A value is the mean of what a removal costs over random orders in which all are removed, one after the
other (Monte-Carlo); mixing weights of the others stay as they are. An order sees one batch, and is cut off
where the accuracy is less than a share of the whole supernet's: what is left then costs nothing. Without the
cut the values sum to the accuracy of the whole supernet less that of the empty one.

In the paper such values move alpha during the search (`selection.shapley_search`). Here they are taken once,
and the genotype is read from them as from alpha.
"""

import pathlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.decision_state import DecisionState
from tf_darts.optim.losses import losses_and_hits
from tf_darts.plots import decisions as decision_plots
from tf_darts.runtime import preemption, workers
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.seeds import fold
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.magnitude import magnitude_within
from tf_darts.selection.pictures import show
from tf_darts.selection.probe_steps import PURPOSE, ProbeSteps
from tf_darts.workdir import tensorboard_texts
from tf_darts.workdir.decisions import DecisionsFile, PermutationRow, ShapleyDecision
from tf_darts.workdir.metrics import Metrics

TOGETHER = 16  # supernets that are scored in one call; an order may be cut off after each call

Player = tuple[str, int, int]  # cell type, edge, operation


def run(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Select by Shapley values within a budget, if there is one; leave decisions.jsonl.

    Raises:
      UserError: what the search decided does not fit the budget.
    """
    config, space, architecture, budget = setup.config, setup.space, setup.bilevel.architecture, setup.budget
    if budget is not None:
        budget.check(DecisionState.of(architecture))
    players = players_of(setup)
    # What is measured stands in the file: only the rest is measured after a kill.
    file = DecisionsFile(folder, keep=lambda decision: isinstance(decision, PermutationRow))
    rows = [row for row in file.decisions if isinstance(row, PermutationRow)]
    game, progress = of_selection(setup), Progress("select", config.selection.permutations, len(rows))
    for number in range(len(rows), config.selection.permutations):
        order = drawn_order(players, config.seed, "selection/shapley", number)
        row = one_order(setup, game, order, number, config.selection.truncation)
        rows.append(row)
        file.append(row)
        progress.update(number + 1, f"order of removal {number + 1}, {row.scored} supernets scored")
    mean, deviation = values_of(rows)
    weights = cautious(setup, players, mean, deviation)
    if budget is None:
        genotype = read_genotype(space, weights)
    else:
        genotype = magnitude_within(budget, space, weights, DecisionState.of(architecture))
    decisions = _decisions(setup, players, mean, deviation, genotype)
    file.append(*decisions)
    metrics = Metrics(folder, 0, config.runtime.tensorboard, "selection")
    tensorboard_texts.begin(metrics, config, with_config=False)
    for number, decision in enumerate(decisions, 1):
        drawn = decision_plots.shown(space, number, decision)
        metrics.scalars("decisions", decision_plots.scalars(drawn), number)
    show(setup, metrics, genotype, 0)
    return genotype


def players_of(setup: SearchSetup) -> list[Player]:
    """Return the open operations of the edges that are there, of the cell types that the supernet has."""
    state = DecisionState.of(setup.bilevel.architecture)
    present = {block.cell_type for block in setup.bilevel.supernet.body.layout}
    return [
        (cell_type, edge, int(operation))
        for cell_type in setup.space.cell_types
        if cell_type in present
        for edge in np.flatnonzero(state.edges[cell_type]).tolist()
        for operation in np.flatnonzero(state.operations[cell_type][edge])
    ]


class Game:
    """Counts the correct images of a batch, of the supernet with some operations removed.

    Batch norms use the batch's statistics.

    Args:
      setup: the supernet.
      images: of which batches are.
      batch_size: images in a batch, at most.
      augment: whether images are augmented.
      purpose: for order and augmentation of the images.

    Attributes:
      images: in a batch.
    """

    def __init__(
        self,
        setup: SearchSetup,
        images: ImageSet | ImageStream,
        batch_size: int,
        augment: bool,
        purpose: str = PURPOSE,
    ):
        architecture, bilevel = setup.bilevel.architecture, setup.bilevel
        floats = keras.config.floatx()
        self._shapes = {t: (len(rows), len(rows[0])) for t, rows in architecture.computed.items()}
        with setup.strategy.scope():
            self._masks = {
                t: tf.Variable(tf.ones([TOGETHER, *shape], floats), trainable=False, name=f"coalitions/{t}")
                for t, shape in self._shapes.items()
            }
            self._count = tf.Variable(1, trainable=False, dtype=tf.int32, name="coalitions")

        def scores(images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
            weights = architecture.mixing_weights()
            masks = {t: mask.read_value() for t, mask in self._masks.items()}

            def one(i: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
                masked = {t: w * masks[t][i] for t, w in weights.items()}
                with bilevel.untracked():
                    logits = bilevel.forward(images, training=True, mixing_weights=masked)
                _, hits = losses_and_hits(logits, labels)
                return i + 1, found.write(i, tf.cast(hits, floats))

            empty = tf.TensorArray(floats, size=TOGETHER, element_shape=labels.shape)
            _, found = tf.while_loop(
                lambda i, _: i < self._count,
                one,
                (tf.constant(0), empty),
                maximum_iterations=TOGETHER,
                parallel_iterations=1,
            )
            return [found.stack()]

        self.images = min(batch_size, images.size)
        arguments = (setup.strategy, images, self.images, scores, TOGETHER, 1, augment, ("correct",), purpose)
        self._steps = ProbeSteps(*arguments)

    def __call__(self, number: int, removed: Sequence[Sequence[Player]]) -> list[int]:
        """Return the correct images without each of some sets of players, `TOGETHER` at most.

        Args:
          number: of the batch: the first of the pass of this number.
          removed: the sets.
        """
        masks = {t: np.ones([TOGETHER, *shape], keras.config.floatx()) for t, shape in self._shapes.items()}
        for i, players in enumerate(removed):
            for cell_type, edge, operation in players:
                masks[cell_type][i, edge, operation] = 0.0
        for cell_type, mask in masks.items():
            self._masks[cell_type].assign(mask)
        self._count.assign(len(removed))
        rows, _ = self._steps(number, 0)
        if workers.anywhere(preemption.asked()):  # the order is begun again
            preemption.leave()
        return [round(float(row[: self.images].sum())) for row in rows["correct"][: len(removed)]]


def drawn_order(players: Sequence[Player], seed: int, purpose: str, number: int) -> list[Player]:
    """Draw the order of removal of this number; the seed and what it is for make the draw."""
    draw = np.random.default_rng(fold(seed, purpose, number))
    return [players[i] for i in draw.permutation(len(players))]


def places_of(players: Sequence[Player], cell_type: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return where a cell type has players, bool [edges, operations] of this shape."""
    there = np.zeros(shape, bool)
    for t, edge, operation in players:
        there[edge, operation] |= t == cell_type
    return there


def of_selection(setup: SearchSetup) -> Game:
    """Return the game that a selection plays, on the images of probes."""
    return Game(setup, setup.probe_images(), setup.probe_batch, setup.config.selection.augment_probes)


def one_order(
    setup: SearchSetup, game: Game, order: Sequence[Player], number: int, truncation: float
) -> PermutationRow:
    """Remove all players in an order, or until the accuracy is too low; return what each removal cost.

    Args:
      setup: the supernet.
      game: that they play.
      order: of all players.
      number: of the order, from 0.
      truncation: share of the whole supernet's accuracy below which the order is cut off.
    """
    lost = {t: np.zeros(np.shape(rows), int) for t, rows in setup.bilevel.architecture.computed.items()}
    correct = game(number, [()])
    # The removals go on while the accuracy is high enough; what was scored beyond is not counted.
    done = 0
    while done < len(order) and correct[done] >= truncation * correct[0]:
        if done + 1 == len(correct):
            sets = [order[:n] for n in range(done + 1, min(done + TOGETHER, len(order)) + 1)]
            correct += game(number, sets)
        cell_type, edge, operation = order[done]
        lost[cell_type][edge, operation] = correct[done] - correct[done + 1]
        done += 1
    return PermutationRow(
        number=number,
        images=game.images,
        scored=len(correct),
        correct=correct[0],
        correct_left=correct[done],
        removed=done,
        lost={t: tuple(tuple(row) for row in rows.tolist()) for t, rows in lost.items()},
    )


def values_of(rows: Sequence[PermutationRow]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return mean and standard deviation, over the orders, of the accuracy (0 to 1) that a removal costs.

    Args:
      rows: of the orders.

    Returns:
      float64 [edges, operations] by cell type, each.
    """
    found = {t: np.array([np.array(row.lost[t]) / row.images for row in rows]) for t in rows[0].lost}
    return {t: f.mean(0) for t, f in found.items()}, {t: f.std(0) for t, f in found.items()}


def cautious(
    setup: SearchSetup,
    players: Sequence[Player],
    mean: Mapping[str, np.ndarray],
    deviation: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return mean less deviation, which the paper selects by; less than all of them where there is no player.

    The paper standardises them within a cell type, which changes no order there.
    """
    found = {}
    for cell_type in setup.space.cell_types:
        values = mean[cell_type] - deviation[cell_type]
        there = places_of(players, cell_type, values.shape)
        found[cell_type] = np.where(there, values, values.min() - 1.0)
    return found


def _decisions(
    setup: SearchSetup,
    players: Sequence[Player],
    mean: Mapping[str, np.ndarray],
    deviation: Mapping[str, np.ndarray],
    genotype: Genotype,
) -> list[ShapleyDecision]:
    space, weights = setup.space, setup.bilevel.architecture.current_weights()
    decisions = []
    for cell_type, edge in dict.fromkeys((t, e) for t, e, _ in players):
        ends = space.edges[edge]
        names = space.candidates[cell_type][edge]
        played = [o for t, e, o in players if (t, e) == (cell_type, edge)]
        kept = {(c.target, c.source): c.operation for c in genotype.cells[cell_type]}
        values = {names[o]: float(mean[cell_type][edge, o] - deviation[cell_type][edge, o]) for o in played}
        decisions.append(
            ShapleyDecision(
                cell_type=cell_type,
                edge=edge,
                edge_name=str(ends),
                importance=values,
                values={names[o]: float(mean[cell_type][edge, o]) for o in played},
                mixing_weights={names[o]: float(weights[cell_type][edge, o]) for o in played},
                chosen=kept.get((ends.target, ends.source)),
            )
        )
    return decisions
