"""Reads exported models where tf_darts is not, asks them for their answers, and times them.

Run as a program, it is the fresh process of `check.py`: it imports nothing of tf_darts, and sees to it that
nothing that it reads does (`imports` names what a Keras file with a user's own operation needs).

    python -P reload.py FOLDER

FOLDER/job.json says what is asked, FOLDER/images.npy holds the images; the answers are FOLDER/NAME.npz for
each model, and FOLDER/latency.json.
"""

import contextlib
import importlib
import json
import os
import pathlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

Answers = tuple[np.ndarray, np.ndarray]  # probabilities float32 [N, classes], class int64 [N]
Model = Callable[[np.ndarray], Answers]  # of uint8 [N, H, W, C]

SIGNATURE = "classify"
BATCH = 100  # images that a model is given at a time
WARM_UP, REPEATS, SECONDS = 3, 50, 2.0  # calls before timing; calls timed, fewer where they take too long


def load(path: str | pathlib.Path) -> Model:
    """Load the model of a Keras or TFLite file or of a SavedModel's folder, by its name.

    Raises:
      OSError, ValueError: it cannot be read.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _saved_model(path)
    return _tflite(path) if path.suffix == ".tflite" else _keras(path)


def _keras(path: pathlib.Path) -> Model:
    import keras

    model = keras.models.load_model(path)

    def answer(images: np.ndarray) -> Answers:
        probabilities = model.predict_on_batch(images)
        return probabilities, probabilities.argmax(-1)

    return answer


def _saved_model(path: pathlib.Path) -> Model:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    classify = loaded.signatures[SIGNATURE]

    def answer(images: np.ndarray, keep=loaded) -> Answers:  # its variables go with it
        answers = classify(images=tf.constant(images))
        return answers["probabilities"].numpy(), answers["class"].numpy()

    return answer


def _tflite(path: pathlib.Path) -> Model:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where its interpreter will move to
        interpreter = tf.lite.Interpreter(str(path), num_threads=_cores())
    (images_in,) = interpreter.get_input_details()
    outputs = interpreter.get_signature_runner().get_output_details()
    places = [outputs[name]["index"] for name in ("probabilities", "class")]
    size = None

    def answer(images: np.ndarray) -> Answers:
        nonlocal size
        if len(images) != size:
            interpreter.resize_tensor_input(images_in["index"], images.shape)
            interpreter.allocate_tensors()
            size = len(images)
        interpreter.set_tensor(images_in["index"], images)
        interpreter.invoke()
        return tuple(interpreter.get_tensor(place) for place in places)

    return answer


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answers_of(model: Model, images: np.ndarray) -> Answers:
    """Return a model's answers on any number of images."""
    parts = [model(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    probabilities, classes = zip(*parts, strict=True)
    return np.concatenate(probabilities), np.concatenate(classes)


def latency(model: Model, images: np.ndarray) -> dict[str, float]:
    """Return the median seconds that a call with these images takes, and how many calls it is of."""
    for _ in range(WARM_UP):
        model(images)
    taken, start = [], time.perf_counter()
    while len(taken) < REPEATS and (len(taken) < WARM_UP or time.perf_counter() - start < SECONDS):
        begun = time.perf_counter()
        model(images)
        taken.append(time.perf_counter() - begun)
    return {"median_seconds": statistics.median(taken), "calls": len(taken)}


def main(folder: pathlib.Path) -> None:
    """Do what FOLDER/job.json asks for."""
    job = json.loads((folder / "job.json").read_text())
    if not job["imports"]:
        sys.modules["tf_darts"] = None  # an import of it now fails, wherever it is installed
    for name in job["imports"]:
        importlib.import_module(name)
    if places := job.get("trusted"):
        importlib.import_module("tf_darts.trust").allow(*places)
    images = np.load(folder / "images.npy", allow_pickle=False)
    times = {}
    for name, path in job["models"].items():
        model = load(path)
        probabilities, classes = answers_of(model, images)
        np.savez(folder / f"{name}.npz", probabilities=probabilities, classes=classes)
        for size in job["latency_batches"]:
            batch = np.resize(images, (size, *images.shape[1:]))  # repeated where there are not so many
            times.setdefault(name, {})[size] = latency(model, batch)
    (folder / "latency.json").write_text(json.dumps(times))


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        main(pathlib.Path(sys.argv[1]))
