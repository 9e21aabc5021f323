"""Selection by perturbation: deciding and fine-tuning in turn (paper, algorithm 1).

`run` is the algorithm. One decision is in `selection.decide`, a probe in `selection.probe`, fine-tuning in
`selection.finetune`, and the order of all decisions in `selection.schedule`.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import ml_collections
import numpy as np

from tf_darts.data.pass_steps import PassSteps
from tf_darts.errors import UserError
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models import decision_state
from tf_darts.models.architecture import Architecture
from tf_darts.models.decision_state import DecisionState
from tf_darts.plots import decisions as decision_plots
from tf_darts.plots.plain_figure import png_of
from tf_darts.registry import MAGNITUDE, UNTRAINED_ALPHA
from tf_darts.search import pictures
from tf_darts.search.alpha_summary import likely
from tf_darts.search.setup import SearchSetup
from tf_darts.selection import finetune, schedule
from tf_darts.selection.criteria import measured
from tf_darts.selection.decide import Decider
from tf_darts.selection.magnitude import magnitude_within
from tf_darts.selection.pictures import show
from tf_darts.selection.pooled_prober import PooledProber
from tf_darts.selection.probe import Prober, Scorer
from tf_darts.selection.recalibrated_prober import RecalibratedProber
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.selection.selection_progress import SelectionProgress
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import Decision, DecisionsFile, OperationDecision, TopologyDecision
from tf_darts.workdir.metrics import Metrics
from tf_darts.workdir.stage_run import StageRun


def run(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Select a genotype; leave decisions.jsonl and metrics.jsonl, and continue what the folder holds.

    Args:
      setup: the searched supernet; its masks and weights are changed.
      folder: where results go.

    Raises:
      UserError: the folder's decisions are not those of its checkpoint, or no genotype fits the budget.
    """
    selection, architecture, space = setup.config.selection, setup.bilevel.architecture, setup.space
    searched = DecisionState.of(architecture)
    if setup.budget is not None:
        setup.budget.check(searched)
    plan = _planner(setup)
    planned, epochs = plan(())
    with setup.strategy.scope():
        setup.bilevel.weight_optimizer = finetune.optimizer(setup)
    stage = StageRun(folder, setup.config, "selection", setup.state(), ("decisions",))
    file = _decisions_so_far(setup, stage, searched)

    decider, steps = _compile(setup, file.decisions)
    planned, _ = plan(file.decisions)
    total = epochs * steps.per_pass
    work = _progress(setup, planned, epochs, steps.per_pass, stage)
    stage.begin(work.progress, {"decisions": stage.at["decisions"]}, shows_config=False)
    if stage.at["decisions"] + stage.step:
        work.progress.say(f"select: continuing after {stage.at['decisions']} of {len(planned)} decisions")
    pictured = pictures.moments(len(planned), total) if planned else set()

    for epoch in range(stage.step // steps.per_pass, max(epochs, 1)):
        # The decisions that come before this epoch: discretize.
        while (number := stage.at["decisions"]) < len(planned) and planned[number].epoch == epoch:
            # Passes are numbered so that every round of every decision sees an order of its own.
            decision = decider.decide(planned[number], number * len(space.edges), work.probed)
            file.append(dataclasses.replace(decision, number=number))
            stage.at["decisions"] += 1
            planned, _ = plan(file.decisions)
            _show(setup, stage.metrics, decision, number + 1, number in pictured)
            stage.save()
            work.decided()
            sentence = _sentence(space, decision)
            work.progress.say(f"select: decision {number + 1}/{len(planned)}: {sentence}")
            work.progress.note("last decision", sentence.partition(" (")[0])
            work.progress.note("genotype so far", likely(architecture))
            event_is_over = number + 1 == len(planned) or planned[number + 1].event != planned[number].event
            if selection.compact and not selection.one_shot and event_is_over:
                decider, steps = _compile(setup, file.decisions)
        # Fine-tune for an epoch.
        while stage.step < min((epoch + 1) * steps.per_pass, total):
            before = stage.step
            columns = stage.do(steps, epoch)
            accuracy = 100 * columns["train_accuracy"].mean()
            text = f"fine-tuning epoch {epoch + 1}/{epochs}, accuracy {accuracy:.1f} %"
            work.finetuned(stage.step - before, text)
            if stage.step % steps.per_pass:
                stage.save_if_due()
            else:
                stage.save()

    if selection.one_shot:  # all decisions come from the supernet as it was searched, and are made now
        for made in file.decisions:
            decision_state.apply(architecture, made)
    weights, budget = architecture.current_weights(), setup.budget
    genotype = read_genotype(space, weights)
    if budget is not None and not budget.allows(genotype):  # by cells that the supernet does not have
        genotype = magnitude_within(budget, space, weights, DecisionState.of(architecture))
    show(setup, stage.metrics, genotype, stage.step)
    stage.close()
    return genotype


def _planner(
    setup: SearchSetup,
) -> Callable[[Sequence[Decision]], tuple[list[PlannedDecision], int]]:
    """Return what plans: of the decisions so far it makes all in order, and the epochs of fine-tuning.

    The supernet has to be as it was searched. With topology first the plan changes as nodes drop edges.
    """
    config, architecture, space = setup.config, setup.bilevel.architecture, setup.space
    probabilities = _probabilities(architecture)
    pick: dict[str, Callable[[], schedule.Next]] = {
        "random": lambda: schedule.at_random(config.seed),
        "index": lambda: schedule.by_index,
        "least_certain": lambda: schedule.by_certainty(space, probabilities),
        "most_certain": lambda: schedule.by_certainty(space, probabilities, least=False),
    }
    undecided = {t: architecture.undecided_edges(t) for t in space.cell_types}
    nodes = {t: architecture.undecided_nodes(t) for t in space.cell_types}
    interval = 0 if config.selection.one_shot else config.selection.interval
    first = config.selection.topology_first

    def plan(made: Sequence[Decision]) -> tuple[list[PlannedDecision], int]:
        dropped = {t: [e for d in made for e in _dropped(d, t)] for t in space.cell_types}
        choose = pick[config.selection.order]()
        planned, epochs = schedule.plan(space, undecided, interval, choose, nodes, first, dropped)
        # A supernet of one or two cells has no normal cell: all probes of it would be alike.
        return [decision for decision in planned if decision.cell_type in setup.bilevel.alphas], epochs

    return plan


def _dropped(decision: Decision, cell_type: str) -> tuple[int, ...]:
    """Return the edges of a cell type that a decision has dropped."""
    if isinstance(decision, TopologyDecision) and decision.cell_type == cell_type:
        return decision.removed
    return ()


def _probabilities(architecture: Architecture) -> dict[str, np.ndarray]:
    return {t: p.numpy() for t, p in architecture.probabilities().items()}


def _decisions_so_far(setup: SearchSetup, stage: StageRun, searched: DecisionState) -> DecisionsFile:
    """Return the file of decisions as far as the checkpoint has them.

    Raises:
      UserError: the masks are not what these decisions make of the searched supernet.
    """
    done = stage.at["decisions"]
    file = DecisionsFile(stage.folder, keep=lambda decision: _is_among_first(decision, done))
    in_masks = [] if setup.config.selection.one_shot else file.decisions  # one-shot: all at the end
    agree = decision_state.agree(setup.bilevel.architecture, in_masks, searched)
    if len(file.decisions) != done or not agree:
        raise UserError(
            f"{file.path} and the checkpoint beside it disagree; remove {stage.folder} to start again"
        )
    return file


def _is_among_first(decision: Decision, count: int) -> bool:
    """Return whether it is one of the first decisions of a selection by perturbation."""
    if not isinstance(decision, OperationDecision | TopologyDecision) or decision.number is None:
        return False
    return decision.number < count


def _compile(setup: SearchSetup, made: Sequence[Decision]) -> tuple[Decider, PassSteps]:
    """Return what decides and what fine-tunes; with `selection.compact` they compute only what is open."""
    selection, architecture = setup.config.selection, setup.bilevel.architecture
    if selection.compact:
        architecture.compact()
    decider = Decider(
        architecture,
        _prober(setup),
        selection.criterion,
        selection.racing_confidence,
        criteria(selection)[1],
        at_once=selection.one_shot,
        decisions=made,
        budget=setup.budget,
        measures_whole=selection.measure_whole,
    )
    return decider, finetune.steps(setup)


def _prober(setup: SearchSetup) -> Scorer:
    """Return what probes the supernet, or it and the others beside it."""
    prober = _of_one(setup)
    if not setup.others:
        return prober
    others = setup.others.values()
    if setup.config.selection.compact:
        for other in others:
            other.bilevel.architecture.compact()
    return PooledProber([prober, *map(_of_one, others)])


def _of_one(setup: SearchSetup) -> Prober | RecalibratedProber:
    statistics = setup.config.selection.probe_statistics
    if statistics == "recalibrated":
        return RecalibratedProber(setup, setup.probe_images())
    return Prober(setup, setup.probe_images(), running=statistics == "running")


def criteria(selection: ml_collections.ConfigDict) -> tuple[str, str]:
    """Return the criteria of operations and of topology."""
    topology = selection.topology_criterion
    return selection.criterion, selection.criterion if topology == "same" else topology


def _progress(
    setup: SearchSetup, planned: Sequence[PlannedDecision], epochs: int, per_pass: int, stage: StageRun
) -> SelectionProgress:
    """Start the progress where the stage stands.

    Args:
      setup: the supernet.
      planned: all decisions, in order.
      epochs: of fine-tuning in all.
      per_pass: steps of an epoch.
      stage: has the decisions and steps done before.
    """
    open_in, selection = _open_shares(setup.space, planned), setup.config.selection
    if not selection.compact or selection.one_shot:  # what is decided is computed all the same
        open_in = [1.0] * len(open_in)
    step = SelectionProgress.STEP * (1 if setup.config.search.method in UNTRAINED_ALPHA else 2)
    decided = [sum(decision.epoch <= epoch for decision in planned) for epoch in range(epochs)]
    costs = [step * open_in[count] for count in decided for _ in range(per_pass)]
    batches = _batches(setup, planned)
    return SelectionProgress(batches, open_in[:-1], costs, stage.at["decisions"], stage.step)


def _open_shares(space: Space, planned: Sequence[PlannedDecision]) -> list[float]:
    """Return which share of the candidate operations is there before each decision, and after the last."""
    counts = [len(space.candidates[p.cell_type][p.place]) if p.kind == "operation" else 0 for p in planned]
    gone = np.cumsum([0, *(max(count - 1, 0) for count in counts)])
    return (1 - gone / max(sum(counts), 1)).tolist()


def _batches(setup: SearchSetup, planned: Sequence[PlannedDecision]) -> list[int]:
    """Return for each decision how many batches its probes need, at most."""
    selection = setup.config.selection
    by_kind = dict(zip(("operation", "topology"), criteria(selection), strict=True))
    measures = {kind: measured(name) for kind, name in by_kind.items()}
    more = {"operation": int(selection.measure_whole), "topology": 0}
    batches = -(-setup.probe_images().size // setup.probe_batch) * (1 + len(setup.others))

    def passes(planned: PlannedDecision) -> int:
        if by_kind[planned.kind] == MAGNITUDE:
            return 0
        if (criterion := measures[planned.kind]) is None:
            return batches * (planned.passes(setup.space, selection.one_shot) + more[planned.kind])
        removals = 1 if criterion.one_pass else planned.passes(setup.space, at_once=True)
        return min(batches, criterion.batches or batches) * criterion.passes * removals

    return [passes(p) for p in planned]


def _show(
    setup: SearchSetup,
    metrics: Metrics,
    decision: OperationDecision | TopologyDecision,
    number: int,
    cells: bool,
) -> None:
    """Show a decision in TensorBoard: as numbers, as a bar chart, and (cells) in its cell.

    Args:
      setup: the supernet.
      metrics: where it is shown.
      decision: the decision.
      number: its number, from 1.
      cells: whether the cells are drawn too.
    """
    if not metrics.shown:
        return
    drawn = decision_plots.shown(setup.space, number, decision)
    metrics.scalars("decisions", decision_plots.scalars(drawn), number)
    tag = f"effects/{drawn.cell_type}"
    if (chart := png_of(tag, lambda: decision_plots.draw(setup.space, drawn))) is not None:
        metrics.image(tag, chart, number, "decisions")
    if cells:
        architecture = setup.bilevel.architecture
        pictures.pictures(metrics, architecture, number, f"after decision {number}", "decisions")


def _sentence(space: Space, decision: OperationDecision | TopologyDecision) -> str:
    if isinstance(decision, TopologyDecision):
        return f"{decision.cell_type} node {decision.node} keeps {', '.join(decision.kept_names)}"
    text = f"{decision.cell_type} edge {decision.edge_name} keeps {decision.chosen}"
    if decision.probes:
        if decision.criterion == "loss":
            without = ", ".join(f"{p.operation} {p.loss:.3f}" for p in decision.probes)
            text += f" (loss without each: {without})"
        else:
            without = ", ".join(f"{p.operation} {100 * p.accuracy:.2f}" for p in decision.probes)
            text += f" (accuracy without each, %: {without})"
    if decision.measured is not None:
        importance = ", ".join(f"{name} {value:.3g}" for name, value in decision.measured.importance.items())
        text += f" ({decision.criterion}: {importance})"
    if decision.refused:
        text += f"; over the budget: {', '.join(decision.refused)}"
    if decision.chosen == "none" and not space.none_in_genotype:
        # The release's parser then takes the edge for one of weight zero; so does `derive`.
        text += "; a genotype of this space may not hold none, so this edge loses to every other"
    return text
