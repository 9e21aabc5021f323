"""Bilevel search: from a new supernet to a trained one, with its alpha (paper, section 2; DARTS)."""

import pathlib
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_darts.models import memory
from tf_darts.optim import schedules
from tf_darts.runtime import guard, host
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.seeds import fold
from tf_darts.runtime.steps import Steps
from tf_darts.search import collapse, early_stopping, pictures
from tf_darts.search.alpha_summary import describe, likely
from tf_darts.search.methods.method import Now
from tf_darts.search.plan import Epoch, plan
from tf_darts.search.setup import SearchSetup
from tf_darts.workdir import tensorboard_texts
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.metrics import Metrics
from tf_darts.workdir.profiler import Profiler
from tf_darts.workdir.records import JsonLines, as_json, finish, read_lines, write_json, write_lines
from tf_darts.workdir.warnings import Warnings


def search_steps(setup: SearchSetup, epochs: Sequence[Epoch], epoch: Epoch, count: int) -> Steps:
    """The compiled steps of an epoch and of every other one that differs only in its place.

    Training batches are fresh random draws at every step, independent of the other steps, or, where the
    method says so, passes over the training half; validation batches are fresh draws.

    Args:
      setup: supernet and data.
      epochs: all epochs.
      epoch: the epoch.
      count: images in the global training batch.
    """
    search, method = setup.config.search, setup.method
    replicas, batch = setup.strategy.num_replicas_in_sync, epoch.batch
    starts = [e.first for e in epochs]

    def step(number: tf.Tensor, replica: tf.Tensor) -> dict[str, tf.Tensor]:
        place = tf.searchsorted(starts, number[None], side="right")[0] - 1
        if method.whole_passes:
            within = number - tf.gather(starts, place)
            # Batches are numbered by their size: passes of other sizes need another purpose.
            purpose = f"search/train/{batch}"
            train = setup.train.pass_batch(
                purpose, place, within, batch, count, replicas=replicas, replica=replica
            )
        else:
            train = setup.train.fresh_batch("search/train", number, batch, replicas, replica)
        valid = setup.valid.fresh_batch("search/valid", number, batch, replicas, replica)
        now = Now(
            number=number,
            progress=tf.cast(place, tf.float32) / float(search.epochs),
            learning_rate=schedules.cosine(
                search.learning_rate, search.learning_rate_min, place, search.epochs
            ),
            train_total=count,
            valid_total=batch,
            trains_alpha=epoch.trains_alpha,
            seed=fold(setup.config.seed, "search/method"),
        )
        values = method.step(setup.bilevel, train, valid, now)
        return {**values, "learning_rate": now.learning_rate / replicas}

    measured = method.metrics + (method.alpha_metrics if epoch.trains_alpha else ())
    return Steps(setup.strategy, step, (*measured, "learning_rate"), guard=setup.guard())


class _Compiled:
    """Steps by what their graph depends on; traced anew only where that changes."""

    def __init__(self, setup: SearchSetup, epochs: Sequence[Epoch]):
        self._setup, self._epochs = setup, epochs
        self._key, self._steps = None, {}

    def __call__(self, epoch: Epoch, count: int) -> Steps:
        key = (epoch.batch, epoch.trains_alpha, self._setup.bilevel.architecture.computed)
        if key != self._key:
            self._key, self._steps = key, {}
        if count not in self._steps:
            self._steps[count] = search_steps(self._setup, self._epochs, epoch, count)
        return self._steps[count]


def run(setup: SearchSetup, folder: pathlib.Path) -> None:
    """Searches, continuing what the folder holds; leaves a checkpoint, metrics.jsonl and result.json."""
    search = _Search(setup, folder)
    for number, epoch in enumerate(search.epochs):
        if search.stops():
            break
        search.fit(number, epoch)
    search.conclude()


class _Search:
    """A search on its way.

    Args:
      setup: supernet and data; weights and alpha are changed.
      folder: where results go; what it holds is continued.

    Attributes:
      epochs: all of them.
    """

    def __init__(self, setup: SearchSetup, folder: pathlib.Path):
        config, self._setup, self._folder = setup.config, setup, folder
        self._architecture = setup.bilevel.architecture
        self.epochs = plan(setup.method, setup.train.size, setup.strategy.num_replicas_in_sync)
        self._total = total = self.epochs[-1].end
        self._stopping = early_stopping.make(setup, folder)
        self._checkpoints = Checkpoints(folder, config.runtime.checkpoint_minutes, ("step",), **setup.state())
        self._step = step = self._checkpoints.restore()["step"]
        self._architecture.compact()  # what a progressive method has decided by now
        self._metrics = Metrics(folder, step, config.runtime.tensorboard, "search")
        tensorboard_texts.begin(self._metrics, config)
        self._pictured = pictures.moments(len(self.epochs), total)
        self._evaluate = evaluation(setup)
        self._warnings = Warnings("search")
        self._compiled = _Compiled(setup, self.epochs)
        self._progress = Progress(folder.name, total, step)
        self._profiler = Profiler(folder, config.runtime.profile_steps, self._progress.say)
        if 0 < step < total:
            self._progress.say(f"{folder.name}: continuing at step {step} of {total}")
        if step < total:
            needed = memory.gigabytes(setup.needed_memory)
            self._progress.say(f"{folder.name}: a step needs about {needed} of memory")

    def stops(self) -> bool:
        """Whether the search ends before its next epoch."""
        return self._stopping.stops(self._metrics.epochs)

    def fit(self, number: int, epoch: Epoch) -> None:
        """Does the steps of an epoch that are left, and what comes at its end."""
        short = epoch.last_batch != epoch.batch  # the last step has another shape
        while self._step < epoch.end:
            last = short and self._step == epoch.end - 1
            left = 1 if last else epoch.end - short - self._step
            count = min(self._setup.config.runtime.steps_per_call, left)
            with self._profiler.call(self._step):
                steps = self._compiled(epoch, epoch.last_batch if last else epoch.batch)
                columns = steps(self._step, count)
            self._profiler.done(count)
            self._metrics.steps(self._step, columns, number)
            self._step += count
            self._progress.update(self._step, f"epoch {number + 1}/{len(self.epochs)}, {_summary(columns)}")
            if self._step < epoch.end:
                self._checkpoints.save_if_due(step=self._step)
            else:
                self._end(number)

    def _end(self, number: int) -> None:
        """Measures, shows, decides and saves at the end of an epoch."""
        setup, step, architecture, metrics = self._setup, self._step, self._architecture, self._metrics
        values = describe(architecture) | self._stopping.measure()
        every = setup.config.search.evaluate_every
        if every and ((number + 1) % every == 0 or step == self._total):
            values |= self._evaluate()
        metrics.epoch(step, number, values)
        if setup.method.alpha_metrics:  # else alpha is never trained, and says nothing
            self._progress.note("by magnitude so far", likely(architecture))
        self._warnings.say(_signs(setup, number, metrics.epochs))
        pictures.histograms(metrics, architecture, step)
        if number in self._pictured:
            pictures.pictures(metrics, architecture, step, f"epoch {number + 1} of {len(self.epochs)}")
        _record(self._folder, number, setup.method.decide(setup, number, metrics.epochs))
        architecture.compact()
        self._stopping.save(step)
        self._checkpoints.save(step=step)

    def conclude(self) -> None:
        """Writes what the search found, once."""
        self._metrics.close()
        self._profiler.close()
        setup, folder, epochs = self._setup, self._folder, self._metrics.epochs
        if (folder / "result.json").exists():
            return
        taken = self._stopping.go_back(epochs)
        if taken is not None:
            self._architecture.compact()  # it may be more than what was open at last
            _undo(folder, taken)
            self._checkpoints.save(step=self._step)  # the newest checkpoint is the one that selection reads
        self._warnings.keep(folder, _signs(setup, len(self.epochs), epochs))
        # Apart from result.json, which is the same however often the search was interrupted.
        needed, peak = round(setup.needed_memory), host.peak_memory()
        write_json(folder / "memory.json", {"estimated_bytes": needed, "peak_bytes": peak})
        content = result(setup, self._step, epochs, taken) | guard.counted(self._metrics.skipped)
        finish(folder / "result.json", as_json(content))


def _signs(setup: SearchSetup, epoch: int, epochs: list[dict]) -> dict[str, str]:
    """Signs of a collapse after an epoch, by the rows so far."""
    found = collapse.of_alpha(setup.bilevel.architecture, epochs[-1]["skip_share"])
    if 2 * epoch >= setup.config.search.epochs:  # before, running statistics and weights are hardly settled
        name = "evaluation/test_accuracy"
        found |= collapse.of_accuracy(epochs[-1], name, setup.test.size, setup.classes)
    return found


def evaluation(setup: SearchSetup) -> Callable[[], dict[str, float]]:
    """What measures the supernet, with running statistics, on the validation half and the test set."""
    valid = setup.evaluator(setup.valid, "search/evaluate", training=False, augment=False)
    test = setup.evaluator(setup.test, "search/test", training=False, augment=False)

    def evaluate() -> dict[str, float]:
        scores = {"valid": valid(), "test": test()}
        accuracies = {f"evaluation/{name}_accuracy": score.accuracy for name, score in scores.items()}
        return accuracies | {f"evaluation/{name}_loss": score.loss for name, score in scores.items()}

    return evaluate


def _record(folder: pathlib.Path, epoch: int, rows: list[dict]) -> None:
    """Adds an epoch's decisions to decisions.jsonl; those of an epoch that is done again are replaced."""
    if rows:
        JsonLines(folder / "decisions.jsonl", keep=lambda row: row["epoch"] < epoch).append(*rows)


def _undo(folder: pathlib.Path, taken: int) -> None:
    """Marks the decisions that the supernet of epoch `taken` does not have, in decisions.jsonl, as undone."""
    path = folder / "decisions.jsonl"
    rows = read_lines(path)
    if rows:
        write_lines(path, [{**row, "undone": True} if row["epoch"] > taken else row for row in rows])


def _summary(columns) -> str:
    text = f"loss {columns['train_loss'].mean():.3f}, accuracy {100 * columns['train_accuracy'].mean():.1f} %"
    if "valid_accuracy" in columns:
        text += f", valid {100 * columns['valid_accuracy'].mean():.1f} %"
    return text


def result(setup: SearchSetup, step: int, epochs: list[dict], taken: int | None) -> dict:
    """What result.json says.

    Args:
      setup: the supernet and its alpha.
      step: steps done.
      epochs: rows of metrics.jsonl of finished epochs.
      taken: the epoch that early stopping went back to, or None.
    """
    architecture = setup.bilevel.architecture
    edges = {t: a.numpy().tolist() for t, a in architecture.edge_alpha.items()}
    return {
        "space": setup.space.name,
        "steps": step,
        **({} if taken is None else {"taken_from_epoch": taken}),
        "last_epoch": epochs[-1],
        "alpha": {t: a.numpy().tolist() for t, a in architecture.alpha.items()},
        **({"edge_alpha": edges} if edges else {}),
        "mixing_weights": {t: p.numpy().tolist() for t, p in architecture.probabilities().items()},
    }
