"""Differentiable neural architecture search in TensorFlow, with perturbation-based selection."""

__version__ = "0.1.0"
