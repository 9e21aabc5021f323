"""A whole run on own images at the smallest size: digits, a cell of two candidate operations, few epochs."""

import numpy as np
from sklearn import datasets

_DIGITS = datasets.load_digits()
IMAGES, LABELS = (_DIGITS.images[:160] / 16).astype(np.float32), _DIGITS.target[:160]
BUDGET = "900, 50 ms"
CONFIG = {
    "space": "custom",
    "custom_space": {"stacking": "nas_bench_201", "nodes": 2, "candidates": ("skip_connect", "nor_conv_1x1")},
    "data": {"flip": False, "test_fraction": 0.5},
    "search": {"channels": 2, "evaluate_every": 0, "epochs": 1},
    "selection": {"interval": 0},
    "training": {"epochs": 3, "evaluate_every": 1},
    "runtime": {"tensorboard": False},
}  # fmt: skip
