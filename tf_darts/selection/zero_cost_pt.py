"""Zero-Cost-PT: perturbation on an untrained supernet, with a zero-cost proxy (Xiang et al., AAAI 2023).

Of each edge the operation is kept whose removal leaves the lowest score, then nodes choose edges likewise,
each time on one batch. Several genotypes are proposed so, with random orders of the edges. The one that is
selected has the best score as a discrete network: what is left of the supernet, over some batches.
"""

import dataclasses
import pathlib
from typing import Any

from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype, from_text
from tf_darts.models.decision_state import DecisionState
from tf_darts.runtime import preemption, workers
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.seeds import fold
from tf_darts.search.setup import SearchSetup
from tf_darts.selection import schedule
from tf_darts.selection.criteria import measured
from tf_darts.selection.decide import Decided, Decider
from tf_darts.selection.magnitude import magnitude_within
from tf_darts.selection.measurer import Measurer
from tf_darts.selection.pictures import show_alone
from tf_darts.selection.probe import Prober
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.workdir import decisions as decisions_lib
from tf_darts.workdir.decisions import DecisionsFile, ProposalRow
from tf_darts.workdir.records import JsonLines


def run(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Select from the supernet as it starts; leave decisions.jsonl, and proposals.jsonl to continue from.

    Raises:
      UserError: no genotype fits the budget.
    """
    selection, space, architecture = setup.config.selection, setup.space, setup.bilevel.architecture
    start = DecisionState.of(architecture)
    if setup.budget is not None:
        setup.budget.check(start)
    lines = JsonLines(folder / "proposals.jsonl", keep=lambda row: True)
    prober = Prober(setup, setup.probe_images())
    progress = Progress("select", selection.proposals, len(lines.rows))
    for number in range(len(lines.rows), selection.proposals):
        decisions = propose(setup, prober, number)
        weights, budget = architecture.current_weights(), setup.budget
        derived = read_genotype(space, weights)
        if budget is not None and not budget.allows(derived):  # by cells that the supernet does not have
            derived = magnitude_within(budget, space, weights, DecisionState.of(architecture))
        genotype = derived.to_text(space)
        score, images, passes = discrete_score(setup)
        made = [decisions_lib.as_row(decision) for decision in decisions]
        about = {"genotype": genotype, "score": score, "images": images, "passes": passes}
        lines.append({**about, "decisions": made})
        for cell_type in space.cell_types:
            architecture.open_operations[cell_type].assign(start.operations[cell_type])
            architecture.open_edges[cell_type].assign(start.edges[cell_type])
        architecture.compact()
        progress.update(number + 1, f"{selection.proxy} of proposal {number + 1}: {score:.4g}")
    scores = [row["score"] for row in lines.rows]
    best = scores.index(max(scores))
    file = DecisionsFile(folder)
    file.append(*lines.rows[best]["decisions"])
    file.append(*(_row(row, n, n == best, selection.proxy) for n, row in enumerate(lines.rows)))
    selected = from_text(lines.rows[best]["genotype"], space)
    show_alone(setup, folder, selected)
    return selected


def propose(setup: SearchSetup, prober: Prober, number: int) -> list[Decided]:
    """Decide everything, in an order of the proposal's own; return the decisions, which the masks have then.

    Args:
      setup: the supernet.
      prober: of the supernet as it starts.
      number: of the proposal, from 0.
    """
    planned = _plan(setup, number)
    proxy = setup.config.selection.proxy
    decider = Decider(setup.bilevel.architecture, prober, proxy, budget=setup.budget)
    return [
        dataclasses.replace(decider.decide(decision, number * len(planned) + place), number=place)
        for place, decision in enumerate(planned)
    ]


def _plan(setup: SearchSetup, number: int) -> list[PlannedDecision]:
    architecture, space = setup.bilevel.architecture, setup.space
    pick = schedule.at_random(fold(setup.config.seed, "selection/zero_cost_pt", number))
    undecided = {t: architecture.undecided_edges(t) for t in space.cell_types}
    nodes = {t: architecture.undecided_nodes(t) for t in space.cell_types}
    planned, _ = schedule.plan(space, undecided, 0, pick, nodes)
    return [decision for decision in planned if decision.cell_type in setup.bilevel.alphas]


def discrete_score(setup: SearchSetup) -> tuple[float, int, int]:
    """Return the proxy's mean score of what the masks leave, the images that it saw, and passes forward.

    Nothing else is computed, so that no ReLU of a closed operation counts.
    """
    selection, criterion = setup.config.selection, measured(setup.config.selection.proxy)
    if criterion is None:
        raise TypeError(f"{selection.proxy} is no proxy")  # never: the config has checked it
    setup.bilevel.architecture.compact()
    measurer = Measurer(setup, setup.probe_images(), selection.augment_probes)
    total = 0.0
    for batch in range(selection.proposal_batches):
        total -= measurer.score(criterion, batch)
        if workers.anywhere(preemption.asked()):  # the proposal is made again
            preemption.leave()
    images = selection.proposal_batches * min(setup.probe_batch, setup.probe_images().size)
    return total / selection.proposal_batches, images, criterion.passes * images


def _row(row: dict[str, Any], number: int, selected: bool, proxy: str) -> ProposalRow:
    decided = 0 if selected else sum(made["measured"]["passes"] for made in row["decisions"])
    return ProposalRow(
        number=number,
        genotype=row["genotype"],
        criterion=proxy,
        score=row["score"],
        images=row["images"],
        passes=row["passes"] + decided,
        selected=selected,
    )
