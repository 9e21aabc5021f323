"""What does not grow: thirty small runs in one process; and what is large: classes, rows, images."""

import gc
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorflow.python.eager import context

from tf_darts import api
from tf_darts import config as config_lib
from tf_darts.data import sources
from tf_darts.report import workdir_contents, workdir_page

pytestmark = pytest.mark.slow

CONFIG = {
    "space": "nas_bench_201",
    "data": {"crop_padding": 0, "flip": False},
    "search": {"channels": 4, "cells": 1, "epochs": 1, "batch_size": 8},
    "selection": {"interval": 0},
    "training": {
        "channels": 4, "cells": 1, "epochs": 1, "batch_size": 8, "auxiliary_weight": 0.0, "cutout_length": 0,
        "drop_path": 0.0,
    },
    "runtime": {"tensorboard": True},
}  # fmt: skip


def held() -> dict[str, int]:
    """Return what this process holds now: memory in use (bytes), open files, threads, traced functions."""
    gc.collect()
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    functions = len(context.context().list_function_names())
    return {
        "memory": memory,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "functions": functions,
    }


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_thirty_runs_in_one_process_hold_no_more_than_the_first(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 8, 8, 3), np.uint8), np.arange(60) % 3
    seen, most = [], 0
    for run in range(30):
        searched = api.search((images, labels), config=CONFIG | {"seed": run}, workdir=tmp_path / str(run))
        trained = api.train(api.select(searched, "perturbation" if run % 2 else "magnitude"))
        assert trained.predict(images[:3]).shape == (3, 3)
        most = max(most, held()["functions"])
        del searched, trained
        seen.append(held())
        print(run, seen[-1], flush=True)
    early, late = seen[5], seen[-1]  # the first few fill TensorFlow's caches
    assert late["files"] <= early["files"] and late["threads"] <= early["threads"]
    assert late["functions"] <= early["functions"] < most
    # What TensorFlow's C++ keeps of a function that is gone is not all given back: so much a run at most.
    assert (late["memory"] - early["memory"]) / (len(seen) - 6) < 4e6


def test_ten_thousand_classes(tmp_path):
    classes = 10_000
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2 * classes, 4, 4, 3), np.uint8), np.arange(2 * classes) % classes
    names = [f"class {k}" for k in range(classes)]
    config = CONFIG | {"search": CONFIG["search"] | {"batch_size": 500}, "selection.method": "magnitude"}
    config |= {"training": CONFIG["training"] | {"batch_size": 500}}
    test = (images[:classes], labels[:classes])
    searched = api.search((images, labels), test, config=config, workdir=tmp_path / "run", class_names=names)
    trained = api.train(api.select(searched))
    assert trained.result["test_images"] == classes and "test_top_5_accuracy" in trained.result
    assert trained.predict(images[:2]).shape == (2, classes)
    card = trained.export(formats=["keras", "tflite"], check_images=200)
    assert (
        all(entry["agrees"] for entry in card["formats"].values()) and len(card["data"]["classes"]) == classes
    )
    page = workdir_page.make(workdir_contents.read(tmp_path / "run"))
    assert len(page) < 3_000_000
    for path in (tmp_path / "run").rglob("*"):
        assert path.stat().st_size < 20_000_000, path


def test_two_hundred_thousand_tiny_images(tmp_path):
    """As files: read into memory, streamed, and known again."""
    folder, count = tmp_path / "images", 200_000
    rng = np.random.default_rng(0)
    encoded = []
    for k in range(64):
        path = tmp_path / f"{k}.png"
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).save(path)
        encoded.append(path.read_bytes())
    for k in range(10):
        (folder / str(k)).mkdir(parents=True)
    for i in range(count):
        (folder / str(i % 10) / f"{i:06}.png").write_bytes(encoded[i % 64])
    config = config_lib.default()
    config.data.source, config.data.path, config.data.image_size = "folder", str(folder), 4
    config.data.crop_padding = 0
    found = {}
    for stream in (False, True):
        config.data.stream = stream
        if stream:
            config.data.test_resize = 4
        data = sources.load(config_lib.validate(config).data, 0)
        found[stream] = data.record
        assert sources.load(config.data, 0).record.changes(data.record) == []
        assert data.record.train.images + data.record.test.images == count
    assert found[False].train.of_class == found[True].train.of_class
    images = data.train.read(None, 0).take(2).as_numpy_iterator()
    assert [len(content) > 50 for content, _ in images] == [True, True]
