"""A trained network as a folder of files, each checked, with a model card."""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_darts import spaces, trust
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError
from tf_darts.export import FILES, INT8, card, check, latency, sample
from tf_darts.export.formats import WRITERS, on_cpu
from tf_darts.export.functional import functional
from tf_darts.export.operation_layer import OperationLayer
from tf_darts.export.reload import BATCH
from tf_darts.export.sample import Data
from tf_darts.models import cost, genotype_costs, latency_table
from tf_darts.models.network import Network, count_parameters
from tf_darts.runtime import host
from tf_darts.training.trained_network import TrainedNetwork
from tf_darts.workdir.data_record import DataRecord
from tf_darts.workdir.records import write_json
from tf_darts.workdir.stage_folder import versions

TFLITE = "tflite"  # the format that latency is said of
MADE = 1000  # images that are made where there are none and all of them are asked for


def probabilities(network: Network, seen: DataRecord, images: np.ndarray) -> np.ndarray:
    """Return a trained network's answers, float32 [N, classes], on images uint8 [N, H, W, C].

    Args:
      network: the network.
      seen: what it was trained on.
      images: the images.
    """
    transform = Transform(seen.mean, seen.std)

    @tf.function(reduce_retracing=True)
    def answer(batch: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(network(transform.test(batch), training=False)[0])

    batches = range(0, len(images), BATCH)
    return np.concatenate([answer(tf.constant(images[i : i + BATCH])).numpy() for i in batches])


def export(
    trained: TrainedNetwork,
    data: Data | None,
    folder: pathlib.Path,
    names: Sequence[str] = tuple(FILES),
    check_images: int = 1000,
    representative_images: int = 200,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Write files of a trained network, check them in a fresh process, and write the model card.

    All of it appears at once and replaces an earlier export.

    Args:
      trained: what is exported.
      data: the images that it was trained on. Test images are what files are compared on, training images
        what int8 is quantised by. None: files are compared on made images, and none of them is int8.
      folder: where to.
      names: of FILES.
      check_images: so many test images are compared; 0: all.
      representative_images: so many training images are shown to the quantiser.
      say: told what is being done.

    Returns:
      The content of model_card.json.

    Raises:
      UserError: the folder is something else, the network cannot be exported, int8 is wanted without images,
        or a fresh process cannot read what was written.
    """
    check_folder(folder)
    seen = trained.images
    if data is None:
        if INT8 in names:
            raise UserError(f"--formats: {INT8} needs training images; allowed without them: the other files")
        images, examples = sample.made(seen, check_images or MADE), np.zeros((0, *seen.image_shape), np.uint8)
    else:
        images, labels = sample.of_test(data, check_images)
        examples = sample.of_train(data, representative_images)
    with on_cpu():
        network = trained.network()
        model = functional(network, seen.image_shape, seen.mean, seen.std)
        expected = probabilities(network, seen, images)
    if data is None:
        labels = expected.argmax(-1)  # what a file has to find

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
    what = "made" if data is None else "test"
    say(f"comparing the answers to {len(images)} {what} images in a fresh process")
    findings = check.compare(paths, imports, images, labels, expected, _places(model))
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
        "kind": what,
        "accuracy": float((expected.argmax(-1) == labels).mean()),
        "representative_images": len(examples),
    }
    content = {
        **card.about(trained),
        "network": _size(trained, network),
        "latency": _latency(trained, paths),
        "checked": checked,
        "formats": formats,
        "machine": host.about(),
        "versions": versions(),
    }
    write_json(new / card.JSON, content)
    (new / card.TEXT).write_text(card.text(content), encoding="utf-8", errors="replace")
    _replace(folder, new)
    return content


def keras_model(trained: TrainedNetwork) -> keras.Model:
    """Return the model of the Keras file: uint8 images [B, H, W, C] -> probabilities float32 [B, classes]."""
    seen = trained.images
    with on_cpu():
        return functional(trained.network(), seen.image_shape, seen.mean, seen.std)


def _places(model: keras.Model) -> list[str]:
    """Return where the code of the model's own operations is; this process has loaded it."""
    layers = [layer for layer in model.layers if isinstance(layer, OperationLayer)]
    return sorted({trust.place_of(layer.reference) for layer in layers if layer.reference is not None})


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


def _size(trained: TrainedNetwork, network: Network) -> dict[str, int]:
    """Return the network's size, for the model card."""
    return {
        "channels": trained.config.training.channels,
        "cells": trained.config.training.cells,
        "parameters": count_parameters(network),
        "multiply_adds": cost.multiply_adds(network, trained.images.image_shape),
    }


def _latency(trained: TrainedNetwork, paths: dict[str, pathlib.Path]) -> dict[str, Any] | None:
    """Return the latency that a table predicted for the TFLite file, and what it is here.

    None where there was no limit of latency, or where the table, or the file, is missing.
    """
    config, seen = trained.config, trained.images
    limit, given = config.selection.max_latency_ms, config.selection.latency_table
    file = pathlib.Path(given).expanduser() if given else trained.folder.parents[1] / latency_table.NAME
    if not (limit and file.exists() and TFLITE in paths):
        return None
    training, table = config.training, latency_table.read(file)
    space = spaces.with_stem(trained.space, training.stem)
    size = (training.channels, training.cells, seen.num_classes, seen.image_shape)
    try:
        costs = genotype_costs.count(space, *size, table)
    except UserError:  # of a network of another size, or of other parts
        return None
    taken = latency.seconds_of([paths[TFLITE].read_bytes()], table.threads)[0]
    return {
        "limit_ms": limit,
        "predicted_ms": costs.of(trained.genotype).nanoseconds / 1e6,
        "predicted_for": table.about.get("processor", ""),
        "measured_ms": 1000 * taken,
        "threads": table.threads,
    }


def _bytes(path: pathlib.Path) -> int:
    """Return the size of a file, or of all files of a folder, bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _replace(folder: pathlib.Path, new: pathlib.Path) -> None:
    """Replace a folder by another; a kill leaves one of them whole."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
