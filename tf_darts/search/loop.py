"""Bilevel search: from a new supernet to a trained one, with its alpha (paper, section 2; DARTS)."""

import bisect
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_darts.data.batches import Batches, steps_over
from tf_darts.models import memory
from tf_darts.models.architecture import Computed
from tf_darts.optim.losses import Batch
from tf_darts.optim.schedules import cosine
from tf_darts.runtime import guard, host
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.seeds import fold
from tf_darts.runtime.steps import Steps
from tf_darts.search import collapse, early_stopping, pictures
from tf_darts.search.alpha_summary import describe, likely
from tf_darts.search.now import Now
from tf_darts.search.plan import Epoch, plan
from tf_darts.search.setup import SearchSetup
from tf_darts.workdir import decisions
from tf_darts.workdir.decisions import Decision, DecisionsFile
from tf_darts.workdir.records import as_json, finish, write_json
from tf_darts.workdir.stage_run import Columns, StageRun
from tf_darts.workdir.warnings import Warnings


def run(setup: SearchSetup, folder: pathlib.Path, stop: Callable[[], bool] = lambda: False) -> None:
    """Search, continuing what the folder holds; leave a checkpoint, metrics.jsonl and result.json.

    Args:
      setup: supernet and data; weights and alpha are changed.
      folder: where results go.
      stop: asked after each epoch whether there is no time left; the search then ends as by early stopping.
    """
    method, architecture = setup.method, setup.bilevel.architecture
    epochs = plan(method, setup.train.size, setup.strategy.num_replicas_in_sync)
    total = epochs[-1].end
    stopping = early_stopping.make(setup, folder)
    stage = StageRun(folder, setup.config, "search", setup.state())
    architecture.compact()  # what a progressive method has decided by now
    stage.begin(Progress(folder.name, total, stage.step))
    if 0 < stage.step < total:
        stage.progress.say(f"{folder.name}: continuing at step {stage.step} of {total}")
    if stage.step < total:
        needed = memory.gigabytes(setup.needed_memory)
        stage.progress.say(f"{folder.name}: a step needs about {needed} of memory")
    compiled = _Compiled(setup, epochs)
    evaluate, warnings = evaluation(setup), Warnings("search")
    pictured = pictures.moments(len(epochs), total)

    for number, epoch in enumerate(epochs):
        rows = stage.metrics.epochs
        if stopping.stops(rows):
            break
        if rows and stage.step < total and stop():
            stage.progress.say(f"{folder.name}: there is no time for more than {len(rows)} epochs")
            break
        if stage.step >= epoch.end:
            continue  # an earlier run did it
        while stage.step < epoch.end:
            columns = stage.do(functools.partial(compiled, epoch), number)
            stage.progress.update(stage.step, f"epoch {number + 1}/{len(epochs)}, {_summary(columns)}")
            if stage.step < epoch.end:
                stage.save_if_due()
        # The epoch is over: measure, show, decide, save.
        values = describe(architecture) | stopping.measure()
        every = setup.config.search.evaluate_every
        if every and ((number + 1) % every == 0 or stage.step == total):
            values |= evaluate()
        stage.metrics.epoch(stage.step, number, values)
        if method.alpha_metrics:  # else alpha is never trained, and says nothing
            stage.progress.note("by magnitude so far", likely(architecture))
        warnings.say(_signs(setup, number, stage.metrics.epochs))
        pictures.histograms(stage.metrics, architecture, stage.step)
        if number in pictured:
            title = f"epoch {number + 1} of {len(epochs)}"
            pictures.pictures(stage.metrics, architecture, stage.step, title)
        decided = method.decide(setup, number, stage.metrics.epochs)
        if decided:  # those of an epoch that is done again are replaced
            DecisionsFile(folder, keep=functools.partial(_made_before, number)).append(*decided)
        architecture.compact()
        stopping.save(stage.step)
        stage.save()

    stage.close()
    if not (folder / "result.json").exists():
        _conclude(setup, stage, stopping, warnings)


def search_steps(setup: SearchSetup, epochs: Sequence[Epoch], epoch: Epoch, count: int) -> Steps:
    """Return the compiled steps of an epoch, and of every other one that differs only in its place.

    Training batches are fresh random draws at every step, independent of the other steps, or, where the
    method says so or images are on disk, passes over the training half; so are validation batches.

    Args:
      setup: supernet and data.
      epochs: all epochs.
      epoch: the epoch.
      count: images in the global training batch.
    """
    search, method = setup.config.search, setup.method
    replicas, batch = setup.strategy.num_replicas_in_sync, epoch.batch
    starts = [e.first for e in epochs]

    def place_of(number: Any) -> tuple[Any, Any]:
        if isinstance(number, int):
            place = bisect.bisect_right(starts, number) - 1
            return place, number - starts[place]
        place = tf.searchsorted(starts, number[None], side="right")[0] - 1
        return place, number - tf.gather(starts, place)

    train, valid, cut = setup.train, setup.valid, search.cutout_length
    if cut:
        train, valid = train.with_cutout(cut), valid.with_cutout(cut)

    # Batches are numbered by their size: passes of other sizes need another purpose.
    train_batches = (
        Batches(train, f"search/train/{batch}", batch, replicas, count, place_of)
        if method.whole_passes
        else Batches(train, "search/train", batch, replicas)
    )
    valid_batches = Batches(valid, "search/valid", batch, replicas)

    # Schedules go over all stages of the search.
    before, whole = method.stage * search.epochs, method.searches * search.epochs

    def step(number: tf.Tensor, replica: tf.Tensor, train: Batch, valid: Batch) -> dict[str, tf.Tensor]:
        del replica
        place, _ = place_of(number)
        now = Now(
            number=number,
            progress=tf.cast(before + place, keras.config.floatx()) / float(whole),
            learning_rate=cosine(search.learning_rate, search.learning_rate_min, before + place, whole),
            train_total=count,
            valid_total=batch,
            trains_alpha=epoch.trains_alpha,
            seed=fold(setup.config.seed, "search/method"),
        )
        values = method.step(setup.bilevel, train, valid, now)
        return {**values, "learning_rate": now.learning_rate / replicas}

    measured = method.metrics + (method.alpha_metrics if epoch.trains_alpha else ())
    kinds = (train_batches, valid_batches)
    return steps_over(kinds, setup.strategy, step, (*measured, "learning_rate"), guard=setup.guard())


class _Compiled:
    """Calls of compiled steps, which are traced anew only where what their graph depends on changes."""

    def __init__(self, setup: SearchSetup, epochs: Sequence[Epoch]):
        self._setup, self._epochs = setup, epochs
        self._key: tuple[int, bool, Computed] | None = None
        self._steps: dict[int, Steps] = {}

    def __call__(self, epoch: Epoch, step: int) -> tuple[Columns, int]:
        """Run some steps of an epoch from this one on; return their metrics and how many they are."""
        short = epoch.last_batch != epoch.batch  # the last step has another shape
        last = short and step == epoch.end - 1
        left = 1 if last else epoch.end - short - step
        count = min(self._setup.config.runtime.steps_per_call, left)
        return self._of(epoch, epoch.last_batch if last else epoch.batch)(step, count), count

    def _of(self, epoch: Epoch, images: int) -> Steps:
        key = (epoch.batch, epoch.trains_alpha, self._setup.bilevel.architecture.computed)
        if key != self._key:
            self._key, self._steps = key, {}
        if images not in self._steps:
            self._steps[images] = search_steps(self._setup, self._epochs, epoch, images)
        return self._steps[images]


def _made_before(epoch: int, decision: Decision) -> bool:
    """Return whether a search decided before an epoch."""
    return getattr(decision, "epoch", epoch) < epoch


def _summary(columns: Columns) -> str:
    text = f"loss {columns['train_loss'].mean():.3f}, accuracy {100 * columns['train_accuracy'].mean():.1f} %"
    if "valid_accuracy" in columns:
        text += f", valid {100 * columns['valid_accuracy'].mean():.1f} %"
    return text


def _signs(setup: SearchSetup, epoch: int, epochs: list[dict]) -> dict[str, str]:
    """Return the signs of a collapse after an epoch, by the rows so far."""
    found = collapse.of_alpha(setup.bilevel.architecture, epochs[-1]["skip_share"])
    if 2 * epoch >= setup.config.search.epochs:  # before, running statistics and weights are hardly settled
        name = "evaluation/test_accuracy"
        found |= collapse.of_accuracy(epochs[-1], name, setup.test.size, setup.classes)
    return found


def evaluation(setup: SearchSetup) -> Callable[[], dict[str, float]]:
    """Return what measures the supernet, with running statistics, on the validation half and the test set."""
    valid = setup.evaluator(setup.valid, "search/evaluate", training=False, augment=False)
    test = setup.evaluator(setup.test, "search/test", training=False, augment=False)

    def evaluate() -> dict[str, float]:
        scores = {"valid": valid(), "test": test()}
        accuracies = {f"evaluation/{name}_accuracy": score.accuracy for name, score in scores.items()}
        return accuracies | {f"evaluation/{name}_loss": score.loss for name, score in scores.items()}

    return evaluate


def _conclude(
    setup: SearchSetup, stage: StageRun, stopping: early_stopping.Never, warnings: Warnings
) -> None:
    """Write what the search found, once."""
    folder, epochs = stage.folder, stage.metrics.epochs
    taken = stopping.go_back(epochs)
    if taken is not None:
        setup.bilevel.architecture.compact()  # it may be more than what was open at last
        decisions.undo_after(folder, taken)
        stage.save()  # the newest checkpoint is the one that selection reads
    warnings.keep(folder, _signs(setup, setup.method.epochs, epochs))
    # Apart from result.json, which is the same however often the search was interrupted.
    needed, peak = round(setup.needed_memory), host.peak_memory()
    write_json(folder / "memory.json", {"estimated_bytes": needed, "peak_bytes": peak})
    content = result(setup, stage.step, epochs, taken) | guard.counted(stage.metrics.skipped)
    finish(folder / "result.json", as_json(content))


def result(setup: SearchSetup, step: int, epochs: list[dict], taken: int | None) -> dict:
    """Return what result.json says.

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
