"""Training a genotype's network from scratch, and its test accuracy (paper, section 6; DARTS)."""

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import ml_collections
import tensorflow as tf

from tf_darts.data.image_data import ImageData
from tf_darts.data.image_set import ImageSet
from tf_darts.data.pass_steps import PassSteps, over
from tf_darts.models.evaluator import Evaluator
from tf_darts.models.network import count_parameters
from tf_darts.optim.losses import Batch
from tf_darts.runtime import guard
from tf_darts.runtime.progress import Progress
from tf_darts.runtime.seeds import draw_seed, fold
from tf_darts.search import collapse
from tf_darts.training import mistakes, schedule
from tf_darts.training import step as step_lib
from tf_darts.training.callbacks import Callbacks
from tf_darts.training.setup import TrainingSetup
from tf_darts.workdir import data_record, tensorboard_texts
from tf_darts.workdir.records import as_json, finish, read_json
from tf_darts.workdir.stage_run import StageRun
from tf_darts.workdir.warnings import Warnings

MANY_CLASSES = 100  # from so many on, whether the label is among the five largest logits is counted too


def training_steps(setup: TrainingSetup) -> PassSteps:
    """Return the compiled steps: shuffled passes over the training set, the last short batch kept."""
    training, replicas = setup.config.training, setup.strategy.num_replicas_in_sync
    batch_size, seed = training.batch_size, fold(setup.config.seed, "training")

    def make_step(count: int) -> Callable[..., dict[str, tf.Tensor]]:
        def step(number: tf.Tensor, replica: tf.Tensor, batch: Batch) -> dict[str, tf.Tensor]:
            epoch = number // steps.per_pass
            learning_rate = schedule.learning_rate(training, epoch)
            keep = None
            if training.drop_path:
                # Linear over the epochs: 0 in the first, never quite the final value.
                probability = training.drop_path * tf.cast(epoch, keras.config.floatx()) / training.epochs
                share = count // replicas
                keep = step_lib.drop_path_factors(
                    draw_seed(seed, "training/drop_path", number),
                    probability,
                    setup.network.num_edges,
                    count,
                    share,
                    replica * share,
                )
            metrics = step_lib.training_step(
                setup.network, setup.optimizer, training, batch, count, learning_rate, keep
            )
            return {**metrics, "learning_rate": learning_rate / replicas}

        return step

    metrics = ("train_loss", "train_accuracy", "gradient_norm", "learning_rate")
    steps = over(
        setup.strategy,
        setup.train,
        "training/train",
        True,
        batch_size,
        make_step,
        metrics,
        setup.config.runtime.steps_per_call,
        guard=setup.guard(),
    )
    return steps


def run(
    setup: TrainingSetup, folder: pathlib.Path, name: str, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> dict[str, Any]:
    """Train, continuing what the folder holds; write result.json and return its content.

    Args:
      setup: from `make`.
      folder: where results go.
      name: what the network is called in the progress line.
      callbacks: told of epochs; with `model.stop_training` they end the training after one.
    """
    training, network = setup.config.training, setup.network
    steps = training_steps(setup)
    evaluate = evaluation(setup)
    stage = StageRun(folder, setup.config, "training", setup.state())
    total = training.epochs * steps.per_pass
    stage.begin(Progress(f"train {name}", total, stage.step))
    stage.metrics.text("genotype", tensorboard_texts.genotype_text(network.genotype, network.space))
    if 0 < stage.step < total:
        stage.progress.say(f"train {name}: continuing at step {stage.step} of {total}")
    told = Callbacks(callbacks, network, training.epochs, steps.per_pass)
    told.begin()
    tested = ""  # the test accuracy that was last measured
    while stage.step < total and not told.stopped:
        epoch = stage.step // steps.per_pass
        told.in_epoch(epoch)
        columns = stage.do(steps, epoch)
        text = f"epoch {epoch + 1}/{training.epochs}, loss {columns['train_loss'].mean():.3f}"
        text += f", accuracy {100 * columns['train_accuracy'].mean():.1f} % of the last images"
        if stage.step % steps.per_pass:
            stage.progress.update(stage.step, text + tested)
            stage.save_if_due()
            continue
        due = (epoch + 1) % training.evaluate_every == 0 or stage.step == total
        if due:
            stage.metrics.epoch(stage.step, epoch, row := evaluate())
            tested = f", test accuracy {100 * row['test_accuracy']:.1f} %"
        stage.progress.update(stage.step, text + tested)
        told.epoch_ends(functools.partial(stage.metrics.of_epoch, epoch))
        if told.stopped and not due:
            stage.metrics.epoch(stage.step, epoch, evaluate())
        stage.save()
    told.end()
    concluded = (folder / "result.json").exists()
    if not concluded:
        _conclude(setup, stage, name)
    if not (concluded and finished(folder, setup.config)):
        _show(setup, stage, name, read_json(folder / "result.json"))
    stage.close()
    return read_json(folder / "result.json")


def finished(folder: pathlib.Path, config: ml_collections.ConfigDict) -> bool:
    """Return whether nothing of a training is left to do: its result is there, and what is shown of it.

    The result comes first: neither a picture that cannot be drawn nor a kill meanwhile takes it away.

    Args:
      folder: of the training.
      config: the whole config.
    """
    # Version 1.0, which kept no record of the data, wrote the result last.
    before = not (folder / data_record.NAME).exists()
    shown = config.data.stream or before or (folder / mistakes.NAME).exists()
    return shown and (folder / "result.json").exists()


def _conclude(setup: TrainingSetup, stage: StageRun, name: str) -> None:
    """Warn of a collapse, and leave result.json."""
    epochs, folder = stage.metrics.epochs, stage.folder
    signs = collapse.of_accuracy(epochs[-1], "test_accuracy", setup.test.size, setup.classes)
    Warnings(f"train {name}").keep(folder, signs)
    content = _result(setup, epochs) | guard.counted(stage.metrics.skipped)
    finish(folder / "result.json", as_json(content))


def evaluation(setup: TrainingSetup) -> Callable[[], dict[str, float]]:
    """Return what measures the network, with running statistics, on the test set."""
    evaluate = Evaluator(
        setup.strategy,
        setup.test,
        setup.config.training.batch_size,
        lambda images: setup.network(images, training=False)[0],
        "training/test",
        augment=False,
        steps_per_call=setup.config.runtime.steps_per_call,
        top_5=setup.classes >= MANY_CLASSES,
    )

    def measured() -> dict[str, float]:
        score = evaluate()
        row = {"test_accuracy": score.accuracy, "test_loss": score.loss}
        if score.in_top_5 is not None:
            row["test_top_5_accuracy"] = score.in_top_5 / score.images
        return row

    return measured


def _show(setup: TrainingSetup, stage: StageRun, name: str, result: dict[str, Any]) -> None:
    """Leave what the trained network gets wrong, and show it and the final figures in TensorBoard."""
    metrics, step = stage.metrics, stage.step

    def show(pictures: dict[str, bytes]) -> None:
        if metrics.shown:
            for kind, png in pictures.items():
                metrics.image(kind, png, step)
            metrics.scalars("final", tensorboard_texts.final(result), step)
            metrics.plugin(*tensorboard_texts.compare(setup.config, name, result))

    # What is streamed is too much to look back at.
    if isinstance(setup.data, ImageData) and isinstance(setup.test, ImageSet):
        predictions = mistakes.predict(
            setup.strategy,
            setup.test,
            setup.config.training.batch_size,
            lambda images: setup.network(images, training=False)[0],
            setup.config.runtime.steps_per_call,
        )
        mistakes.leave(stage.folder, predictions, setup.data.x_test, setup.data.class_names, show)
    else:
        show({})


def _result(setup: TrainingSetup, epochs: list[dict[str, float]]) -> dict[str, Any]:
    network, last = setup.network, epochs[-1]
    best = max(epochs, key=lambda row: row["test_accuracy"])  # the first of several
    return {
        "genotype": network.genotype.to_text(network.space),
        "space": network.space.name,
        "parameters": count_parameters(network),
        "test_accuracy": last["test_accuracy"],
        **{name: last[name] for name in ("test_loss", "test_top_5_accuracy") if name in last},
        "test_images": setup.test.size,
        "best_test_accuracy": best["test_accuracy"],
        "best_epoch": best["finished_epoch"],
        "epochs": last["finished_epoch"] + 1,
        "seed": setup.config.seed,
    }
