"""Selection by perturbation: deciding and fine-tuning in turn (paper, algorithm 1)."""

import pathlib
from collections.abc import Sequence

from tf_darts.errors import UserError
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models import budget as budget_lib
from tf_darts.models import decision_state
from tf_darts.models.decision_state import DecisionState
from tf_darts.plots import decisions
from tf_darts.plots.cell_diagram import figure_to_png_bytes
from tf_darts.registry import MAGNITUDE
from tf_darts.runtime.progress import Progress
from tf_darts.search import pictures
from tf_darts.search.alpha_summary import likely
from tf_darts.search.setup import SearchSetup
from tf_darts.selection import finetune, schedule
from tf_darts.selection.decide import Decider
from tf_darts.selection.pictures import show
from tf_darts.selection.pooled_prober import PooledProber
from tf_darts.selection.probe import Prober, Scorer
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.spaces import Space
from tf_darts.workdir import tensorboard_texts
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.metrics import Metrics
from tf_darts.workdir.profiler import Profiler
from tf_darts.workdir.records import JsonLines


def run(setup: SearchSetup, folder: pathlib.Path) -> Genotype:
    """Selects; leaves decisions.jsonl and metrics.jsonl, and continues what the folder holds."""
    selection = _Selection(setup, folder)
    for epoch in selection.epochs_left():
        selection.decide(epoch)
        selection.finetune(epoch)
    return selection.conclude()


class _Selection:
    """A selection on its way: what is decided, and how far fine-tuning is.

    Args:
      setup: the searched supernet; its masks and weights are changed.
      folder: where results go; what it holds is continued.

    Raises:
      UserError: the folder's decisions are not those of its checkpoint, or no genotype fits the budget.
    """

    def __init__(self, setup: SearchSetup, folder: pathlib.Path):
        config, self._architecture = setup.config, setup.bilevel.architecture
        self._selection = config.selection
        self._setup, self._folder = setup, folder
        searched = DecisionState.of(self._architecture)
        self._budget = budget_lib.of_setup(setup)
        if self._budget is not None:
            self._budget.check(searched)
        self._planned, self._epochs = _plan(setup)
        with setup.strategy.scope():
            setup.bilevel.weight_optimizer = finetune.optimizer(setup)
        counters = ("decisions", "step")
        self._checkpoints = Checkpoints(folder, config.runtime.checkpoint_minutes, counters, **setup.state())
        restored = self._checkpoints.restore()
        self._done, self._step = restored["decisions"], restored["step"]
        self._lines = JsonLines(
            folder / "decisions.jsonl", keep=lambda row: row["number"] < restored["decisions"]
        )
        made = [] if self._selection.one_shot else self._lines.rows  # one-shot: all are applied at the end
        if len(self._lines.rows) != self._done or not decision_state.agree(
            self._architecture, made, searched
        ):
            raise UserError(
                f"{self._lines.path} and the checkpoint beside it disagree; remove {folder} to start again"
            )
        counts = {"decisions": self._done}
        self._metrics = Metrics(folder, self._step, config.runtime.tensorboard, "selection", counts)
        tensorboard_texts.begin(self._metrics, config, with_config=False)
        self._images = setup.probe_images()
        self._compile()
        self._total = self._epochs * self._steps.per_pass
        batches = -(-self._images.size // setup.probe_batch) * (1 + len(setup.others))
        costs = [
            0 if criterion == MAGNITUDE else batches * passes
            for criterion, passes in _passes(setup, self._planned)
        ]
        self._work = SelectionProgress(costs, self._total, self._done, self._step)
        self._pictured = pictures.moments(len(self._planned), self._total) if self._planned else set()
        self._profiler = Profiler(folder, config.runtime.profile_steps, self._work.progress.say)
        if self._done + self._step:
            self._work.progress.say(
                f"select: continuing after {self._done} of {len(self._planned)} decisions"
            )

    def _compile(self) -> None:
        """Makes what probes and fine-tunes, computing only what is still open if the config says so."""
        if self._selection.compact:
            self._architecture.compact()
        self._decider = Decider(
            self._architecture,
            self._prober(),
            self._selection.criterion,
            self._selection.racing_confidence,
            criteria(self._selection)[1],
            at_once=self._selection.one_shot,
            rows=self._lines.rows,
            budget=self._budget,
            measures_whole=self._selection.measure_whole,
        )
        self._steps = finetune.steps(self._setup)

    def _prober(self) -> Scorer:
        """What probes the supernet, or it and the others beside it."""
        if not self._setup.others:
            return Prober(self._setup, self._images)
        others = self._setup.others.values()
        if self._selection.compact:
            for other in others:
                other.bilevel.architecture.compact()
        rest = [Prober(other, other.probe_images()) for other in others]
        return PooledProber([Prober(self._setup, self._images), *rest])

    def epochs_left(self) -> range:
        """Epochs of fine-tuning that are not over, each after the decisions that come before it."""
        return range(self._step // self._steps.per_pass, max(self._epochs, 1))

    def decide(self, epoch: int) -> None:
        """Makes the decisions that are planned before an epoch."""
        planned, space, work = self._planned, self._setup.space, self._work
        while self._done < len(planned) and planned[self._done].epoch == epoch:
            # Passes are numbered so that every round of every decision sees an order of its own.
            number = self._done
            row = self._decider.decide(planned[number], number * len(space.edges), work.probed)
            self._lines.append({"number": number, **row})
            self._done += 1
            _show(self._setup, self._metrics, row, self._done, number in self._pictured)
            self._checkpoints.save(decisions=self._done, step=self._step)
            work.decided()
            sentence = _sentence(space, row)
            work.progress.say(f"select: decision {self._done}/{len(planned)}: {sentence}")
            work.progress.note("last decision", sentence.partition(" (")[0])
            work.progress.note("genotype so far", likely(self._architecture))
            event_is_over = self._done == len(planned) or planned[self._done].event != planned[number].event
            if self._selection.compact and not self._selection.one_shot and event_is_over:
                self._compile()

    def finetune(self, epoch: int) -> None:
        """Does the steps of an epoch that are left."""
        per_pass = self._steps.per_pass
        while self._step < min((epoch + 1) * per_pass, self._total):
            with self._profiler.call(self._step):
                columns, count = self._steps(self._step)
            self._profiler.done(count)
            self._metrics.steps(self._step, columns, epoch)
            self._step += count
            accuracy = 100 * columns["train_accuracy"].mean()
            text = f"fine-tuning epoch {epoch + 1}/{self._epochs}, accuracy {accuracy:.1f} %"
            self._work.finetuned(count, text)
            save = self._checkpoints.save_if_due if self._step % per_pass else self._checkpoints.save
            save(decisions=self._done, step=self._step)

    def conclude(self) -> Genotype:
        """The genotype, which is shown too."""
        if self._selection.one_shot:
            for row in self._lines.rows:
                decision_state.apply(self._architecture, row)
        weights = self._architecture.current_weights()
        genotype = read_genotype(self._setup.space, weights)
        self._profiler.close()
        show(self._setup, self._metrics, genotype, self._step)
        return genotype


def _show(setup: SearchSetup, metrics: Metrics, row: dict, number: int, with_cells: bool) -> None:
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


def _plan(setup: SearchSetup) -> tuple[list[PlannedDecision], int]:
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


def _passes(setup: SearchSetup, planned: Sequence[PlannedDecision]) -> list[tuple[str, int]]:
    """For each decision its criterion, and the passes over the validation images that probes need."""
    selection = setup.config.selection
    by_kind = dict(zip(("operation", "topology"), criteria(selection), strict=True))
    more = {"operation": int(selection.measure_whole), "topology": 0}
    return [(by_kind[p.kind], p.passes(setup.space, selection.one_shot) + more[p.kind]) for p in planned]


class SelectionProgress:
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
