"""A trained network as a folder of files, each checked, with a model card."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_darts.data.transform import Transform
from tf_darts.errors import UserError
from tf_darts.export import FILES, card, check, sample
from tf_darts.export.formats import WRITERS
from tf_darts.export.functional import functional
from tf_darts.export.operation_layer import OperationLayer
from tf_darts.export.reload import BATCH
from tf_darts.export.sample import Data
from tf_darts.models import cost
from tf_darts.models.network import Network, count_parameters
from tf_darts.runtime import host
from tf_darts.training.trained_network import TrainedNetwork
from tf_darts.workdir.records import write_json
from tf_darts.workdir.stage_folder import versions


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Read and export networks on a CPU: its convolutions are of full float32 precision everywhere."""
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope(), tf.device("/cpu:0"):
        yield


def probabilities(network: Network, data: Data, images: np.ndarray) -> np.ndarray:
    """Return a trained network's answers, float32 [N, classes], on images uint8 [N, H, W, C]."""
    transform = Transform(data.mean, data.std)

    @tf.function(reduce_retracing=True)
    def answer(batch: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(network(transform.test(batch), training=False)[0])

    batches = range(0, len(images), BATCH)
    return np.concatenate([answer(tf.constant(images[i : i + BATCH])).numpy() for i in batches])


def export(
    trained: TrainedNetwork,
    data: Data,
    folder: pathlib.Path,
    names: Sequence[str] = tuple(FILES),
    check_images: int = 1000,
    representative_images: int = 200,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Write files of a trained network, check them in a fresh process, and write the model card.

    All of it appears at once, in the place of an earlier export.

    Args:
      trained: what is exported.
      data: what it was trained on. Test images are what files are compared on, training images what int8 is
        quantised by.
      folder: where to.
      names: of FILES.
      check_images: so many test images are compared; 0: all.
      representative_images: so many training images are shown to the quantiser.
      say: told what is being done.

    Returns:
      The content of model_card.json.

    Raises:
      UserError: the folder is something else, the network cannot be exported, or a fresh process cannot read
        what was written.
    """
    if trained.config.data.stream:
        raise UserError(
            "config: data.stream is True: files are compared on images in memory; allowed: False, with a set"
            " that fits there"
        )
    check_folder(folder)
    images, labels = sample.of_test(data, check_images)
    examples = sample.of_train(data, representative_images)
    with on_cpu():
        network = trained.network(data)
        model = functional(network, data.image_shape, data.mean, data.std)
        expected = probabilities(network, data, images)

    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    paths = {name: new / FILES[name] for name in names}
    for name, path in paths.items():
        say(f"writing {path.name}")
        with on_cpu():
            WRITERS[name](model, path, examples)
    own = any(isinstance(layer, OperationLayer) for layer in model.layers)
    imports = {name: ["tf_darts.export.operation_layer"] if own and name == "keras" else [] for name in names}
    say(f"comparing the answers to {len(images)} test images in a fresh process")
    findings = check.compare(paths, imports, images, labels, expected)
    formats = {
        name: {
            "file": path.name,
            "bytes": _bytes(path),
            "imports": imports[name],
            **dataclasses.asdict(findings[name]),
        }
        for name, path in paths.items()
    }
    checked = {
        "images": len(images),
        "accuracy": float((expected.argmax(-1) == labels).mean()),
        "representative_images": len(examples),
    }
    content = {
        **card.about(trained, data),
        "network": _size(trained, network, data),
        "checked": checked,
        "formats": formats,
        "machine": host.about(),
        "versions": versions(),
    }
    write_json(new / card.JSON, content)
    (new / card.TEXT).write_text(card.text(content), encoding="utf-8")
    _replace(folder, new)
    return content


def keras_model(trained: TrainedNetwork, data: Data) -> keras.Model:
    """Return the model of the Keras file: uint8 images [B, H, W, C] -> probabilities float32 [B, classes]."""
    with on_cpu():
        return functional(trained.network(data), data.image_shape, data.mean, data.std)


def check_folder(folder: pathlib.Path) -> None:
    """Check that an export may be put in a folder.

    Raises:
      UserError: something else is there.
    """
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not free and not (folder / card.JSON).exists():
        raise UserError(
            f"--output: {str(folder)!r} holds something else; allowed: a new folder, or an earlier export"
        )


def _size(trained: TrainedNetwork, network: Network, data: Data) -> dict[str, int]:
    """Return the network's size, for the model card."""
    return {
        "channels": trained.config.training.channels,
        "cells": trained.config.training.cells,
        "parameters": count_parameters(network),
        "multiply_adds": cost.multiply_adds(network, data.image_shape),
    }


def _bytes(path: pathlib.Path) -> int:
    """Return the size of a file, or of all files of a folder, bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _replace(folder: pathlib.Path, new: pathlib.Path) -> None:
    """Put a folder in the place of another; a kill leaves one of them whole."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
