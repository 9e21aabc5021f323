"""Differentiable neural architecture search in TensorFlow, with perturbation-based selection."""

import os

__version__ = "0.1.0"

# TensorFlow reads this when it is imported. Left to itself it uses oneDNN on some processors only; on the
# others convolutions take half as long again or more, and results differ in more than their last bits.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
