"""Selection: from a searched supernet to a genotype, deciding and fine-tuning in turn."""

import pathlib
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_darts import genotype as genotype_lib
from tf_darts.derive import read_genotype
from tf_darts.errors import UserError
from tf_darts.genotype import Genotype
from tf_darts.optimizers import SGD
from tf_darts.report.cell_diagram import draw_genotypes, figure_to_png_bytes
from tf_darts.runtime import checkpoints as checkpoints_lib
from tf_darts.runtime.checkpoints import Checkpoints
from tf_darts.runtime.metrics import Metrics
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.steps import PassSteps
from tf_darts.runtime.workdir import JsonLines
from tf_darts.search.setup import Setup
from tf_darts.selection import magnitude, perturbation, schedule
from tf_darts.selection.probing import Prober
from tf_darts.selection.schedule import Planned
from tf_darts.spaces import Space


def run(setup: Setup, search_folder: pathlib.Path, folder: pathlib.Path) -> Genotype:
    """Selects by the config's method; leaves decisions.jsonl and genotype.json.

    Args:
      setup: as the search built it; weights, alpha and Adam's state are read from the search.
      search_folder: the searched supernet.
      folder: where results go; what it holds is continued.
    """
    bilevel = setup.bilevel
    checkpoints_lib.load_from(
        search_folder,
        supernet=bilevel.supernet,
        architecture=bilevel.architecture,
        alpha_optimizer=bilevel.alpha_optimizer,
    )
    genotype = SELECTIONS[setup.config.selection.method](setup, folder)
    genotype_lib.save(folder / "genotype.json", genotype, setup.space)
    return genotype


def _by_magnitude(setup: Setup, folder: pathlib.Path) -> Genotype:
    selected = magnitude.select(setup.bilevel.architecture)
    JsonLines(folder / "decisions.jsonl").append(*selected.decisions)
    metrics = Metrics(folder, 0, setup.config.runtime.tensorboard, "selection")
    _show(setup, metrics, selected.genotype, 0)
    return selected.genotype


def _by_perturbation(setup: Setup, folder: pathlib.Path) -> Genotype:
    config, space, bilevel = setup.config, setup.space, setup.bilevel
    architecture = bilevel.architecture
    undecided = {t: architecture.undecided_edges(t) for t in space.cell_types}
    planned, epochs = schedule.plan(space, undecided, config.selection.interval, config.seed)
    with setup.strategy.scope():
        bilevel.weight_optimizer = finetuning_optimizer(setup)
    counters = ("decisions", "step")
    checkpoints = Checkpoints(folder, config.runtime.checkpoint_minutes, counters, **setup.state())
    done, step = (checkpoints.restore()[name] for name in counters)
    lines = JsonLines(folder / "decisions.jsonl", keep=lambda row: row["number"] < done)
    if len(lines.rows) != done or not perturbation.agree(architecture, lines.rows):
        raise UserError(f"{lines.path} and the checkpoint beside it disagree; remove {folder} to start again")

    metrics = Metrics(folder, step, config.runtime.tensorboard, "selection")
    criterion, racing = config.selection.criterion, config.selection.racing_confidence
    images = (
        setup.valid.first(config.selection.probe_images) if config.selection.probe_images else setup.valid
    )

    def compiled() -> tuple[perturbation.Decider, PassSteps]:
        """What probes and fine-tunes, computing only what is still open if the config says so."""
        if config.selection.compact:
            architecture.compact()
        decider = perturbation.Decider(architecture, Prober(setup, images), criterion, racing)
        return decider, finetuning_steps(setup)

    decider, finetune = compiled()
    total = epochs * finetune.per_pass
    work = Work(space, planned, -(-images.size // config.search.batch_size), total, done, step)
    if done + step:
        work.progress.say(f"select: continuing after {done} of {len(planned)} decisions")
    for epoch in range(step // finetune.per_pass, max(epochs, 1)):
        while done < len(planned) and planned[done].epoch == epoch:
            # Passes are numbered so that every round of every decision sees an order of its own.
            row = decider.decide(planned[done], done * len(space.edges), work.probed)
            lines.append({"number": done, **row})
            done += 1
            checkpoints.save(decisions=done, step=step)
            work.decided()
            work.progress.say(f"select: decision {done}/{len(planned)}: {_sentence(space, row)}")
            event_is_over = done == len(planned) or planned[done].event != planned[done - 1].event
            if config.selection.compact and event_is_over and (done < len(planned) or step < total):
                decider, finetune = compiled()
        while step < min((epoch + 1) * finetune.per_pass, total):
            columns, count = finetune(step)
            metrics.steps(step, columns, epoch)
            step += count
            accuracy = 100 * columns["train_accuracy"].mean()
            work.finetuned(count, f"fine-tuning epoch {epoch + 1}/{epochs}, accuracy {accuracy:.1f} %")
            if step % finetune.per_pass:
                checkpoints.save_if_due(decisions=done, step=step)
            else:
                checkpoints.save(decisions=done, step=step)
    weights = {t: w.numpy() for t, w in architecture.mixing_weights().items()}
    genotype = read_genotype(space, weights)
    _show(setup, metrics, genotype, step)
    return genotype


class Work:
    """Progress of a selection, in batches passed forward: a step of fine-tuning costs as much as six."""

    STEP = 6  # two forward and two backward passes, a backward pass taken as two forward ones

    def __init__(
        self, space: Space, planned: Sequence[Planned], batches: int, steps: int, done: int, step: int
    ):
        self._costs = [batches * p.passes(space) for p in planned]
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


def finetuning_optimizer(setup: Setup) -> SGD:
    """A new optimiser: fine-tuning starts with empty momentum."""
    search = setup.config.search
    return SGD(setup.bilevel.weights, search.momentum, search.weight_decay, search.clip_norm)


def finetuning_steps(setup: Setup) -> PassSteps:
    """Steps of fine-tuning: passes over the training half, with a fresh validation batch at each step.

    Alpha goes on training between decisions; only undecided edges have a loss gradient.
    """
    config, batch = setup.config, setup.config.search.batch_size
    replicas = setup.strategy.num_replicas_in_sync

    def make_step(count: int):
        def step(number: tf.Tensor, replica: tf.Tensor) -> dict[str, tf.Tensor]:
            train = steps.batch(setup.train, "selection/train", number, count, replica)
            valid = setup.valid.fresh_batch("selection/valid", number, batch, replicas, replica)
            learning_rate = tf.constant(config.selection.learning_rate)
            return setup.method.step(setup.bilevel, train, valid, learning_rate, count, batch)

        return step

    steps = PassSteps(
        setup.strategy,
        setup.train.size,
        batch,
        make_step,
        setup.method.metrics,
        config.runtime.steps_per_call,
    )
    return steps


def _sentence(space: Space, row: dict) -> str:
    if row["kind"] == "topology":
        return f"{row['cell_type']} node {row['node']} keeps {', '.join(row['kept_names'])}"
    without = ", ".join(f"{p['operation']} {100 * p['accuracy']:.2f}" for p in row["probes"])
    text = f"{row['cell_type']} edge {row['edge_name']} keeps {row['chosen']}"
    text += f" (accuracy without each, %: {without})"
    if row["chosen"] == "none" and not space.none_in_genotype:
        # The release's parser then takes the edge for one of weight zero; so does `derive`.
        text += "; a genotype of this space holds no none, so that the edge loses to every other"
    return text


def _show(setup: Setup, metrics: Metrics, genotype: Genotype, step: int) -> None:
    """The selected cells as a picture in TensorBoard."""
    picture = draw_genotypes(setup.space, {setup.config.selection.method: genotype})
    metrics.image("genotype", figure_to_png_bytes(picture), step)
    metrics.close()


SELECTIONS: dict[str, Callable[[Setup, pathlib.Path], Genotype]] = {
    "magnitude": _by_magnitude,
    "perturbation": _by_perturbation,
}
