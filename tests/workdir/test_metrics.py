"""Rows of metrics and TensorBoard's events."""

import json

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tf_darts.workdir.metrics import Metrics


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def columns(*losses):
    return {"loss": np.float32(losses)}


def test_steps_are_numbered_from_one_and_epochs_follow_them(tmp_path):
    metrics = Metrics(tmp_path, 0, tensorboard=False, prefix="search")
    metrics.steps(0, columns(0.5, 0.25), epoch=0)
    metrics.epoch(2, 0, {"accuracy": 0.75})
    metrics.steps(2, columns(0.125), epoch=1)
    assert rows(tmp_path) == [
        {"step": 1, "epoch": 0, "loss": 0.5},
        {"step": 2, "epoch": 0, "loss": 0.25},
        {"step": 2, "finished_epoch": 0, "accuracy": 0.75},
        {"step": 3, "epoch": 1, "loss": 0.125},
    ]
    assert metrics.epochs == [{"step": 2, "finished_epoch": 0, "accuracy": 0.75}]


def test_rows_after_the_checkpoint_are_written_again(tmp_path):
    metrics = Metrics(tmp_path, 0, tensorboard=False, prefix="search")
    metrics.steps(0, columns(1, 2, 3), epoch=0)
    metrics.epoch(3, 0, {"accuracy": 0.5})
    metrics.steps(3, columns(4), epoch=1)

    at_the_epochs_end = Metrics(tmp_path, 3, tensorboard=False, prefix="search")
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 3] and len(at_the_epochs_end.epochs) == 1
    inside_it = Metrics(tmp_path, 2, tensorboard=False, prefix="search")
    assert [row["step"] for row in rows(tmp_path)] == [1, 2] and inside_it.epochs == []


def test_tensorboard_gets_means_of_steps_values_of_epochs_and_pictures(tmp_path):
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
        "53de0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
    )
    metrics = Metrics(tmp_path, 0, tensorboard=True, prefix="search")
    metrics.steps(0, columns(0.5, 0.25), epoch=0)
    metrics.epoch(2, 0, {"accuracy": 0.75})
    metrics.image("genotype", png, 2)
    metrics.close()
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    assert set(events.Tags()["tensors"]) == {"search/loss", "search/accuracy", "search/genotype"}
    (loss,) = events.Tensors("search/loss")
    assert loss.step == 2 and tf.make_ndarray(loss.tensor_proto) == 0.375


def test_without_tensorboard_there_are_no_events(tmp_path):
    metrics = Metrics(tmp_path, 0, tensorboard=False, prefix="search")
    metrics.image("genotype", b"", 0)
    metrics.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
