"""Bilevel search: from a new supernet to a trained one, with its alpha (paper, section 2; DARTS)."""

import math
import pathlib

import tensorflow as tf

from tf_darts import memory, optimizers
from tf_darts.runtime import host
from tf_darts.runtime.checkpoints import Checkpoints
from tf_darts.runtime.metrics import Metrics
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.steps import Steps
from tf_darts.runtime.workdir import write_json
from tf_darts.search.describe import describe
from tf_darts.search.setup import Setup


def search_steps(setup: Setup) -> tuple[Steps, int]:
    """The compiled steps of the search, and how many make an epoch.

    Every step draws a fresh random batch from each half, independent of the other steps.
    """
    search = setup.config.search
    replicas = setup.strategy.num_replicas_in_sync
    batch = search.batch_size
    steps_per_epoch = math.ceil(setup.train.size / batch)

    def step(number: tf.Tensor, replica: tf.Tensor) -> dict[str, tf.Tensor]:
        train = setup.train.fresh_batch("search/train", number, batch, replicas, replica)
        valid = setup.valid.fresh_batch("search/valid", number, batch, replicas, replica)
        learning_rate = optimizers.cosine(
            search.learning_rate, search.learning_rate_min, number // steps_per_epoch, search.epochs
        )
        metrics = setup.method.step(setup.bilevel, train, valid, learning_rate, batch, batch)
        return {**metrics, "learning_rate": learning_rate / replicas}

    return Steps(setup.strategy, step, (*setup.method.metrics, "learning_rate")), steps_per_epoch


def run(setup: Setup, folder: pathlib.Path) -> None:
    """Searches, continuing what the folder holds; leaves a checkpoint, metrics.jsonl and result.json."""
    config, bilevel = setup.config, setup.bilevel
    steps, steps_per_epoch = search_steps(setup)
    checkpoints = Checkpoints(folder, config.runtime.checkpoint_minutes, ("step",), **setup.state())
    step = checkpoints.restore()["step"]
    metrics = Metrics(folder, step, config.runtime.tensorboard, "search")
    valid = setup.evaluator(setup.valid, "search/evaluate", training=False, augment=False)
    test = setup.evaluator(setup.test, "search/test", training=False, augment=False)
    total = config.search.epochs * steps_per_epoch
    progress = Progress("search", total, step)
    if 0 < step < total:
        progress.say(f"search: continuing at step {step} of {total}")
    if step < total:
        progress.say(f"search: a step needs about {memory.gigabytes(setup.needed_memory)} of memory")
    while step < total:
        epoch = step // steps_per_epoch
        count = min(config.runtime.steps_per_call, (epoch + 1) * steps_per_epoch - step)
        columns = steps(step, count)
        metrics.steps(step, columns, epoch)
        step += count
        progress.update(step, f"epoch {epoch + 1}/{config.search.epochs}, {_summary(columns)}")
        if step < (epoch + 1) * steps_per_epoch:
            checkpoints.save_if_due(step=step)
            continue
        values = describe(bilevel.architecture)
        every = config.search.evaluate_every
        if every and ((epoch + 1) % every == 0 or step == total):
            for name, evaluate in (("valid", valid), ("test", test)):
                score = evaluate()
                values |= {
                    f"evaluation/{name}_accuracy": score.accuracy,
                    f"evaluation/{name}_loss": score.loss,
                }
        metrics.epoch(step, epoch, values)
        checkpoints.save(step=step)
    metrics.close()
    if not (folder / "result.json").exists():
        # Apart from result.json, which is the same however often the search was interrupted.
        needed, peak = round(setup.needed_memory), host.peak_memory()
        write_json(folder / "memory.json", {"estimated_bytes": needed, "peak_bytes": peak})
        write_json(folder / "result.json", _result(setup, step, metrics.epochs[-1]))


def _summary(columns) -> str:
    text = f"loss {columns['train_loss'].mean():.3f}, accuracy {100 * columns['train_accuracy'].mean():.1f} %"
    if "valid_accuracy" in columns:
        text += f", valid {100 * columns['valid_accuracy'].mean():.1f} %"
    return text


def _result(setup: Setup, step: int, last_epoch: dict[str, float]) -> dict:
    architecture = setup.bilevel.architecture
    return {
        "space": setup.space.name,
        "steps": step,
        "last_epoch": last_epoch,
        "alpha": {t: a.numpy().tolist() for t, a in architecture.alpha.items()},
        "mixing_weights": {t: p.numpy().tolist() for t, p in architecture.probabilities().items()},
    }
