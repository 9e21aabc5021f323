"""Selection by perturbation: deciding and fine-tuning in turn (paper, algorithm 1)."""

import pathlib
from collections.abc import Sequence

from tf_darts import open_state
from tf_darts.data.passes import PassSteps
from tf_darts.derive import read_genotype
from tf_darts.errors import UserError
from tf_darts.genotype import Genotype
from tf_darts.open_state import State
from tf_darts.report import decisions, panels
from tf_darts.report.cell_diagram import figure_to_png_bytes
from tf_darts.runtime.checkpoints import Checkpoints
from tf_darts.runtime.metrics import Metrics
from tf_darts.runtime.profiler import Profiler
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.workdir import JsonLines
from tf_darts.search import pictures
from tf_darts.search.describe import likely
from tf_darts.search.setup import Setup
from tf_darts.selection import budget as budget_lib
from tf_darts.selection import finetuning, schedule
from tf_darts.selection.criteria import MAGNITUDE
from tf_darts.selection.perturbation import Decider
from tf_darts.selection.pictures import show
from tf_darts.selection.probing import Prober
from tf_darts.selection.schedule import Planned
from tf_darts.spaces import Space


def run(setup: Setup, folder: pathlib.Path) -> Genotype:
    """Selects; leaves decisions.jsonl and metrics.jsonl, and continues what the folder holds."""
    config, selection, space, bilevel = setup.config, setup.config.selection, setup.space, setup.bilevel
    architecture = bilevel.architecture
    searched = State.of(architecture)
    budget = budget_lib.of_setup(setup)
    if budget is not None:
        budget.check(searched)
    planned, epochs = _plan(setup)
    with setup.strategy.scope():
        bilevel.weight_optimizer = finetuning.optimizer(setup)
    counters = ("decisions", "step")
    checkpoints = Checkpoints(folder, config.runtime.checkpoint_minutes, counters, **setup.state())
    done, step = (checkpoints.restore()[name] for name in counters)
    lines = JsonLines(folder / "decisions.jsonl", keep=lambda row: row["number"] < done)
    made = [] if selection.one_shot else lines.rows  # one-shot: all are applied at the end
    if len(lines.rows) != done or not open_state.agree(architecture, made, searched):
        raise UserError(f"{lines.path} and the checkpoint beside it disagree; remove {folder} to start again")

    metrics = Metrics(folder, step, config.runtime.tensorboard, "selection", {"decisions": done})
    panels.begin(metrics, config, with_config=False)
    images = setup.probe_images()

    def compiled() -> tuple[Decider, PassSteps]:
        """What probes and fine-tunes, computing only what is still open if the config says so."""
        if selection.compact:
            architecture.compact()
        decider = Decider(
            architecture,
            Prober(setup, images),
            selection.criterion,
            selection.racing_confidence,
            criteria(selection)[1],
            at_once=selection.one_shot,
            rows=lines.rows,
            budget=budget,
            measures_whole=selection.measure_whole,
        )
        return decider, finetuning.steps(setup)

    decider, finetune = compiled()
    total = epochs * finetune.per_pass
    costs = [
        0 if criterion == MAGNITUDE else -(-images.size // setup.probe_batch) * passes
        for criterion, passes in _passes(setup, planned)
    ]
    work = Work(costs, total, done, step)
    pictured = pictures.moments(len(planned), total) if planned else set()
    profiler = Profiler(folder, config.runtime.profile_steps)
    if done + step:
        work.progress.say(f"select: continuing after {done} of {len(planned)} decisions")
    for epoch in range(step // finetune.per_pass, max(epochs, 1)):
        while done < len(planned) and planned[done].epoch == epoch:
            # Passes are numbered so that every round of every decision sees an order of its own.
            row = decider.decide(planned[done], done * len(space.edges), work.probed)
            lines.append({"number": done, **row})
            done += 1
            _show(setup, metrics, row, done, done - 1 in pictured)
            checkpoints.save(decisions=done, step=step)
            work.decided()
            sentence = _sentence(space, row)
            work.progress.say(f"select: decision {done}/{len(planned)}: {sentence}")
            work.progress.note("last decision", sentence.partition(" (")[0])
            work.progress.note("genotype so far", likely(architecture))
            event_is_over = done == len(planned) or planned[done].event != planned[done - 1].event
            more = done < len(planned) or step < total
            if selection.compact and not selection.one_shot and event_is_over and more:
                decider, finetune = compiled()
        while step < min((epoch + 1) * finetune.per_pass, total):
            with profiler.call(step):
                columns, count = finetune(step)
            if profiler.done(count):
                work.progress.say(f"select: the trace is in {folder / 'plugins/profile'}")
            metrics.steps(step, columns, epoch)
            step += count
            accuracy = 100 * columns["train_accuracy"].mean()
            work.finetuned(count, f"fine-tuning epoch {epoch + 1}/{epochs}, accuracy {accuracy:.1f} %")
            if step % finetune.per_pass:
                checkpoints.save_if_due(decisions=done, step=step)
            else:
                checkpoints.save(decisions=done, step=step)
    if selection.one_shot:
        for row in lines.rows:
            open_state.apply(architecture, row)
    weights = {t: w.numpy() for t, w in architecture.mixing_weights().items()}
    genotype = read_genotype(space, weights)
    profiler.close()
    show(setup, metrics, genotype, step)
    return genotype


def _show(setup: Setup, metrics: Metrics, row: dict, number: int, with_cells: bool) -> None:
    """A decision (its number is from 1) in TensorBoard: as numbers, as a bar chart, and in its cell."""
    if not metrics.shown:
        return
    decision = decisions.read(setup.space, [row])[0].numbered(number)
    metrics.scalars("decisions", decisions.scalars(decision), number)
    chart = figure_to_png_bytes(decisions.draw(setup.space, decision))
    metrics.image(f"effects/{decision.cell_type}", chart, number, "decisions")
    if with_cells:
        architecture = setup.bilevel.architecture
        pictures.pictures(metrics, architecture, number, f"after decision {number}", "decisions")


def criteria(selection) -> tuple[str, str]:
    """The criteria of operations and of topology."""
    topology = selection.topology_criterion
    return selection.criterion, selection.criterion if topology == "same" else topology


def _plan(setup: Setup) -> tuple[list[Planned], int]:
    """All decisions in order, and the epochs of fine-tuning."""
    config, architecture, space = setup.config, setup.bilevel.architecture, setup.space
    pick = {
        "random": lambda: schedule.at_random(config.seed),
        "index": lambda: schedule.by_index,
        "least_certain": lambda: schedule.least_certain(
            space, {t: p.numpy() for t, p in architecture.probabilities().items()}
        ),
    }[config.selection.order]()
    undecided = {t: architecture.undecided_edges(t) for t in space.cell_types}
    nodes = {t: architecture.undecided_nodes(t) for t in space.cell_types}
    interval = 0 if config.selection.one_shot else config.selection.interval
    return schedule.plan(space, undecided, interval, pick, nodes)


def _passes(setup: Setup, planned: Sequence[Planned]) -> list[tuple[str, int]]:
    """For each decision its criterion, and the passes over the validation images that probes need."""
    selection = setup.config.selection
    by_kind = dict(zip(("operation", "topology"), criteria(selection), strict=True))
    more = {"operation": int(selection.measure_whole), "topology": 0}
    return [(by_kind[p.kind], p.passes(setup.space, selection.one_shot) + more[p.kind]) for p in planned]


class Work:
    """Progress of a selection, in batches passed forward: a step of fine-tuning costs as much as six.

    Args:
      costs: batches that the probes of each decision need.
      steps: of fine-tuning in all.
      done: decisions made before.
      step: steps done before.
    """

    STEP = 6  # two forward and two backward passes, a backward pass taken as two forward ones

    def __init__(self, costs: list[int], steps: int, done: int, step: int):
        self._costs = costs
        self._decisions, self._probed = done, 0
        self._done = sum(self._costs[:done]) + self.STEP * step
        self.progress = Progress("select", sum(self._costs) + self.STEP * steps, self._done)

    def probed(self, batches: int) -> None:
        """So many more batches of the next decision's probes are done."""
        self._probed += batches
        share = 100 * self._probed / self._costs[self._decisions]
        self.progress.update(self._done + self._probed, f"probing, {share:.0f} % of the decision's batches")

    def decided(self) -> None:
        """The decision is made, perhaps with fewer batches than planned."""
        self._done += self._costs[self._decisions]
        self._decisions, self._probed = self._decisions + 1, 0

    def finetuned(self, steps: int, text: str) -> None:
        """So many more steps are done."""
        self._done += self.STEP * steps
        self.progress.update(self._done, text)


def _sentence(space: Space, row: dict) -> str:
    if row["kind"] == "topology":
        return f"{row['cell_type']} node {row['node']} keeps {', '.join(row['kept_names'])}"
    text = f"{row['cell_type']} edge {row['edge_name']} keeps {row['chosen']}"
    if "probes" in row:
        without = ", ".join(f"{p['operation']} {100 * p['accuracy']:.2f}" for p in row["probes"])
        text += f" (accuracy without each, %: {without})"
    if row.get("refused"):
        text += f"; over the budget: {', '.join(row['refused'])}"
    if row["chosen"] == "none" and not space.none_in_genotype:
        # The release's parser then takes the edge for one of weight zero; so does `derive`.
        text += "; a genotype of this space holds no none, so that the edge loses to every other"
    return text
