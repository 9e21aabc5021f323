"""Differentiable neural architecture search in TensorFlow, with perturbation-based selection.

In Python, `tf_darts.api` has the functions `search`, `select` and `train`; it is imported when asked for.
"""

import importlib
import os
from typing import Any

__version__ = "1.0.0"

# TensorFlow reads this when it is imported. Left to itself it uses oneDNN on some processors only; on the
# others convolutions take half as long again or more, and results differ in more than their last bits.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def __getattr__(name: str) -> Any:
    if name == "api":
        return importlib.import_module("tf_darts.api")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
