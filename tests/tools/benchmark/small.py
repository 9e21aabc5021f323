"""Sizes for the benchmark's tests, and PyTorch where it is installed."""

import dataclasses

import numpy as np
import pytest

from tf_darts import spaces
from tf_darts.models.supernet import Supernet
from tf_darts.tools.benchmark import cases, settings

NETWORKS = {"darts": "darts_pt_s5_0", "s1": "darts_pt_s1_1", "s4": "darts_pt_s4_1"}
SPACES = ("darts", "s1", "s2", "s3", "s4", "nas_bench_201")


def torch():
    """Return PyTorch, or skip the test."""
    return pytest.importorskip("torch", reason="PyTorch is not installed: the extra peer")


def case(name: str) -> cases.BenchmarkCase:
    """Return the smallest case of a space."""
    depth = 1 if name == "nas_bench_201" else 3
    return dataclasses.replace(
        cases.get(name), channels=4, cells=depth, batch_size=4, image_size=16, training_batch_size=4
    )


def chosen(**changes) -> dict:
    """Return valid settings with few rounds and images."""
    config = settings.default()
    config.images, config.rounds, config.event_rounds, config.stage_rounds = 32, 1, 1, 1
    config.update(changes)
    return config.to_dict()


def supernet(name: str) -> Supernet:
    made = case(name)
    return Supernet(spaces.get(name), made.channels, made.cells, made.classes, seed=1)


def images(count: int = 4, seed: int = 0) -> np.ndarray:
    """Draw images, float32 [count, 16, 16, 3]."""
    return np.random.default_rng(seed).normal(size=(count, 16, 16, 3)).astype(np.float32)


def to_torch(array: np.ndarray):
    """Return NHWC images as a tensor NCHW."""
    return torch().from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
