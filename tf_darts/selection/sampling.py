"""Selections that search nothing: a random genotype, and the best of many by the supernet's own accuracy.

They are what any search has to beat (Li and Talwalkar, UAI 2019; Yu et al., ICLR 2020).
"""

import pathlib

import numpy as np

from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype, from_text
from tf_darts.models.budget import Budget
from tf_darts.models.decision_state import DecisionState
from tf_darts.runtime import preemption, workers
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.seeds import fold
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.pictures import show_alone
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import DecisionsFile, RandomDecision, SampleDecision

DRAWS = 1000  # in search of a genotype that fits the budget


def random_genotype(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Draw a genotype uniformly: operations of every edge, and which edges every node keeps.

    Within a budget, if there is one (`random_mixing_weights`).
    """
    draw = np.random.default_rng(fold(setup.config.seed, "selection/random"))
    weights = random_mixing_weights(setup.space, draw, setup.budget)
    genotype = read_genotype(setup.space, weights)
    DecisionsFile(folder).append(RandomDecision(genotype=genotype.to_text(setup.space)))
    show_alone(setup, folder, genotype)
    return genotype


def supernet_ranking(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Return the best of some random genotypes by the accuracy of the supernet cut down to each.

    There are `selection.samples` of them.

    With batch statistics, as probes are scored, on the validation half or its first `selection.probe_images`.
    Only genotypes of what the search left open (a progressive method decides edges) are drawn; one that is
    drawn again is not scored again.

    Raises:
      UserError: what the search decided does not fit the budget.
    """
    config, space, architecture = setup.config, setup.space, setup.bilevel.architecture
    selection = config.selection
    draw = np.random.default_rng(fold(config.seed, "selection/ranking"))
    start, budget = DecisionState.of(architecture).holdable(space), setup.budget
    if budget is not None:
        budget.check(start)
    images = setup.probe_images()
    evaluate = setup.evaluator(images, "selection/ranking", training=True, augment=selection.augment_probes)
    # What is scored stands in the file: only the rest is scored after a kill.
    file = DecisionsFile(folder, keep=lambda decision: isinstance(decision, SampleDecision))
    samples = [decision for decision in file.decisions if isinstance(decision, SampleDecision)]
    scored = {sample.genotype: sample for sample in samples}
    progress = Progress("select", selection.samples, len(samples))
    for number in range(selection.samples):
        weights = random_mixing_weights(space, draw, budget, start)
        if number < len(samples):
            continue
        text = read_genotype(space, weights).to_text(space)
        if text not in scored:
            architecture.restrict(weights)
            score = evaluate(pass_index=0)  # all see the same images
            scored[text] = SampleDecision(
                genotype=text,
                correct=score.correct,
                images=score.images,
                accuracy=score.accuracy,
                loss=score.loss,
            )
        samples.append(scored[text])
        file.append(scored[text])
        progress.update(number + 1, f"accuracy {100 * scored[text].accuracy:.2f} %")
        if workers.anywhere(preemption.asked()):
            preemption.leave()
    best = max(samples, key=lambda sample: sample.correct)  # the first of equal ones
    genotype = from_text(best.genotype, space)
    show_alone(setup, folder, genotype)
    return genotype


def random_mixing_weights(
    space: Space, draw: np.random.Generator, budget: Budget | None = None, start: DecisionState | None = None
) -> dict[str, np.ndarray]:
    """Draw a genotype as one-hot rows, zeros for other edges: float32 [edges, operations].

    All genotypes are as likely, or all that fit the budget. Only where none of `DRAWS` fits, one is drawn
    choice by choice from what is allowed, and then not uniformly.

    Args:
      space: the search space.
      draw: the generator.
      budget: what the genotype has to fit; None: anything.
      start: what it is drawn from, without operations that no genotype may hold; None: everything.
    """
    start = start or DecisionState.undecided(space)
    if budget is None:
        return _uniform(space, draw, start)
    for _ in range(DRAWS):
        weights = _uniform(space, draw, start)
        if budget.allows(read_genotype(space, weights)):
            return weights
    return _choice_by_choice(space, draw, budget, start)


def _uniform(space: Space, draw: np.random.Generator, start: DecisionState) -> dict[str, np.ndarray]:
    weights = {}
    for cell_type in space.cell_types:
        rows = np.zeros((len(space.edges), space.num_operations), np.float32)
        for node in space.targets:
            incoming = _left(space, start, cell_type, node)
            if space.kept_edges is not None:
                kept = min(space.kept_edges, len(incoming))
                incoming = sorted(draw.choice(incoming, size=kept, replace=False).tolist())
            for edge in incoming:
                rows[edge, draw.choice(np.flatnonzero(start.operations[cell_type][edge]))] = 1.0
        weights[cell_type] = rows
    return weights


def _left(space: Space, state: DecisionState, cell_type: str, node: int) -> list[int]:
    """A node's input edges that are there."""
    return [e for e in space.incoming(node) if state.edges[cell_type][e]]


def _choice_by_choice(
    space: Space, draw: np.random.Generator, budget: Budget, state: DecisionState
) -> dict[str, np.ndarray]:
    """First the edges that nodes drop, then the operations of the others, each in a random order."""
    nodes = [(t, node) for t in space.cell_types for node in space.topology_nodes]
    for i in draw.permutation(len(nodes)):
        t, node = nodes[i]
        left = _left(space, state, t, node)
        while len(left) > space.keeps(node):
            allowed = budget.allowed_removals(state, t, node, left)
            del left[draw.choice(np.flatnonzero(allowed))]
        state = state.without_edges(t, set(space.incoming(node)) - set(left))
    edges = [(t, int(e)) for t in space.cell_types for e in np.flatnonzero(state.edges[t])]
    weights = {t: np.zeros(mask.shape, np.float32) for t, mask in state.operations.items()}
    for i in draw.permutation(len(edges)):
        t, e = edges[i]
        operation = draw.choice(np.flatnonzero(budget.allowed_operations(state, t, e)))
        state = state.with_operation(t, e, operation)
        weights[t][e, operation] = 1.0
    return weights
