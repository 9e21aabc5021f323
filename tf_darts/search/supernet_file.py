"""A supernet in one .npz file: under PyTorch's names, with alpha and the state of alpha's optimiser.

    NAME                         every weight and running statistic, as `state_dict()` names it
    alpha/CELL                   alpha, [edges, operations], for every cell type: normal, reduce
    alpha/CELL/edges             alpha of the edges, [edges], where the search method has one
    adam/CELL[/edges]/step       number of Adam's steps; this and the next two may be left out
    adam/CELL[/edges]/exp_avg    Adam's first moment, of alpha's shape
    adam/CELL[/edges]/exp_avg_sq Adam's second moment

docs/import.md makes one of a checkpoint of the authors' release.
"""

import io
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.models import torch_weights
from tf_darts.search.bilevel import Bilevel
from tf_darts.workdir.files import write_atomically

ALPHA, ADAM = "alpha/", "adam/"
STEP, FIRST, SECOND = "step", "exp_avg", "exp_avg_sq"


def arrays_of(bilevel: Bilevel) -> dict[str, np.ndarray]:
    """Return the arrays of a supernet, its alpha and alpha's optimiser, by their names in the file."""
    arrays, adam = torch_weights.export(bilevel.supernet), bilevel.alpha_optimizer
    for name, variable in _alphas(bilevel).items():
        arrays[f"{ALPHA}{name}"] = variable.numpy()
    for name, first, second in zip(bilevel.alphas, adam.first, adam.second, strict=True):
        arrays[f"{ADAM}{name}/{STEP}"] = adam.step.numpy()
        arrays[f"{ADAM}{name}/{FIRST}"] = first.numpy()
        arrays[f"{ADAM}{name}/{SECOND}"] = second.numpy()
    return arrays


def write(path: str | os.PathLike, bilevel: Bilevel) -> None:
    """Write the file; it appears whole or not at all.

    Raises:
      UserError: it cannot be written.
    """
    buffer = io.BytesIO()
    arrays: dict[str, Any] = arrays_of(bilevel)  # NumPy has one more argument by name, allow_pickle
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def load(bilevel: Bilevel, arrays: Mapping[str, np.ndarray]) -> None:
    """Set a supernet, its alpha and alpha's optimiser.

    Raises:
      UserError: an array is missing, is left over, or has another shape; then nothing is changed.
    """
    values = _alpha_values(bilevel, arrays) + _adam_values(bilevel, arrays)
    state = {n: v for n, v in arrays.items() if not n.startswith((ALPHA, ADAM))}
    torch_weights.load(bilevel.supernet, state)
    for variable, value in values:
        variable.assign(value)


def _alphas(bilevel: Bilevel) -> dict[str, tf.Variable]:
    """All of alpha, that of cell types too that the supernet has no cell of."""
    return bilevel.architecture.parameters(bilevel.supernet.space.cell_types)


def _alpha_values(bilevel: Bilevel, arrays: Mapping[str, np.ndarray]) -> list[tuple[tf.Variable, np.ndarray]]:
    alphas = {f"{ALPHA}{name}": variable for name, variable in _alphas(bilevel).items()}
    _refuse_others(arrays, ALPHA, alphas)
    return [(variable, _value(arrays, name, variable.shape)) for name, variable in alphas.items()]


def _adam_values(bilevel: Bilevel, arrays: Mapping[str, np.ndarray]) -> list[tuple[tf.Variable, np.ndarray]]:
    """Values for what is trained; the release has Adam's state of cell types too that no cell is of."""
    parts = (STEP, FIRST, SECOND)
    _refuse_others(arrays, ADAM, [f"{ADAM}{n}/{part}" for n in _alphas(bilevel) for part in parts])
    if not any(name.startswith(ADAM) for name in arrays):
        return []
    adam, values = bilevel.alpha_optimizer, []
    steps: dict[str, int] = {}
    for name, *moments in zip(bilevel.alphas, adam.first, adam.second, strict=True):
        steps[name] = int(_value(arrays, f"{ADAM}{name}/{STEP}", ()))
        for part, variable in zip((FIRST, SECOND), moments, strict=True):
            values.append((variable, _value(arrays, f"{ADAM}{name}/{part}", variable.shape)))
    if len(set(steps.values())) > 1:
        raise UserError(f"file: {ADAM}.../{STEP} are {steps}; allowed: one number, the steps of alpha")
    return [*values, (adam.step, np.array(next(iter(steps.values()))))]


def _refuse_others(arrays: Mapping[str, np.ndarray], prefix: str, allowed: Collection[str]) -> None:
    left = sorted(name for name in arrays if name.startswith(prefix) and name not in allowed)
    if left:
        raise UserError(f"file: {left[0]} has no place; allowed under {prefix}: {', '.join(allowed)}")


def _value(arrays: Mapping[str, np.ndarray], name: str, wanted: Sequence[int]) -> np.ndarray:
    if name not in arrays:
        raise UserError(f"file: the array {name} is missing")
    value, shape = arrays[name], tuple(wanted)
    if value.shape != shape or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        raise UserError(
            f"file: {name} has shape {value.shape} and type {value.dtype}; allowed: finite numbers of shape"
            f" {shape}"
        )
    return value
