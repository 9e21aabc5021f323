"""Differentiable neural architecture search in TensorFlow, with perturbation-based selection.

In Python, `tf_darts.api` has the functions `search`, `select` and `train`. `tf_darts.extend` has what you
build parts of your own from. Both are imported when asked for.
"""

import importlib
import os
import sys
from typing import Any

from tf_darts.runtime import moved

__version__ = "1.0.0"

# TensorFlow reads this when it is imported. Left to itself it uses oneDNN on some processors only; on the
# others convolutions take half as long again or more, and results differ in more than their last bits.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

sys.meta_path.append(moved.Finder())  # last: asked only for modules that nothing else finds


def __getattr__(name: str) -> Any:
    if name in ("api", "extend"):
        return importlib.import_module(f"tf_darts.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
