"""Differentiable neural architecture search in TensorFlow, with perturbation-based selection.

In Python, `tf_darts.api` has the functions `search`, `select` and `train`. `tf_darts.extend` has what you
build parts of your own from. Both are imported when asked for.
"""

import importlib
import os
import sys
from typing import Any

__version__ = "1.0.0"

# TensorFlow reads this when it is imported. Left to itself it uses oneDNN on some processors only; on the
# others convolutions take half as long again or more, and results differ in more than their last bits.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


class _Moved:
    """Finds modules under their names of version 1.0; Python asks it last, for what nothing else finds."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        table = "tf_darts.runtime.moved"
        if not name.startswith("tf_darts.") or table.startswith(name):  # of a broken installation
            return None
        return importlib.import_module(table).find_spec(name)


sys.meta_path.append(_Moved)


def __getattr__(name: str) -> Any:
    if name in ("api", "extend"):
        return importlib.import_module(f"tf_darts.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
