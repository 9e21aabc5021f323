"""Weights of the authors' PyTorch release (and of code that follows it), to and from our models.

PyTorch names a parameter by its place in the module tree (`cells.1._ops.4._ops.3.op.1.weight`) and keeps
convolution kernels as OIHW. `names(model)` yields, for every variable of a supernet or network of any
space, width and depth, its PyTorch name and the change of layout; `load` and `export` use it.

The NAS-Bench-201 stand-alone network follows the names of the benchmark's own code
(`cells.0.layers.3.op.1.weight`).
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np

from tf_darts.errors import UserError
from tf_darts.layers import operations as ops
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.cell import Cell
from tf_darts.layers.chosen_op import ChosenOp
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.layers.pooled_block import PooledBlock
from tf_darts.layers.residual_block import ResidualBlock
from tf_darts.layers.row import set_values
from tf_darts.layers.stem import ImageNetStem, PooledStem, Stem
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.spaces import Space


@dataclasses.dataclass(frozen=True)
class Layout:
    """A change of layout between PyTorch and TensorFlow."""

    from_torch: Callable[[np.ndarray], np.ndarray]
    to_torch: Callable[[np.ndarray], np.ndarray]


KERNEL = Layout(lambda a: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1))  # OIHW, HWIO
DEPTHWISE = Layout(lambda a: a.transpose(2, 3, 0, 1), lambda a: a.transpose(2, 3, 0, 1))  # C1HW, HWC1
DENSE = Layout(np.transpose, np.transpose)
VECTOR = Layout(lambda a: a, lambda a: a)

# Where the parts of an operation stand in its PyTorch module: attribute of ours -> their name.
PARTS: dict[type, dict[str, str]] = {
    ops.ReluConvBN: {"conv": "op.1", "norm": "op.2"},
    ops.FactorizedReduce: {"conv_1": "conv_1", "conv_2": "conv_2", "norm": "bn"},
    ops.SeparableConv: {
        "depthwise_1": "op.1",
        "pointwise_1": "op.2",
        "norm_1": "op.3",
        "depthwise_2": "op.5",
        "pointwise_2": "op.6",
        "norm_2": "op.7",
    },
    ops.DilatedConv: {"depthwise": "op.1", "pointwise": "op.2", "norm": "op.3"},
    ops.Conv1x7And7x1: {"conv_1x7": "1", "conv_7x1": "2", "norm": "3"},
    ResidualBlock: {"conv_a": "conv_a", "conv_b": "conv_b", "shortcut": "downsample.1"},
    PooledBlock: {"conv": "conv"},
}

STEMS: dict[type, dict[str, str]] = {
    Stem: {"conv": "stem.0", "norm": "stem.1"},
    PooledStem: {"conv": "stem.0", "norm": "stem.1"},
    ImageNetStem: {
        "conv_1": "stem0.0",
        "norm_1": "stem0.1",
        "conv_2": "stem0.3",
        "norm_2": "stem0.4",
        "conv_3": "stem1.1",
        "norm_3": "stem1.2",
    },
}

Named = tuple[keras.Variable, str, Layout]


def operation_names(layer: keras.layers.Layer, prefix: str) -> Iterator[Named]:
    """Yield (variable, PyTorch name, layout) of every variable of an operation.

    The release has no name for the variables of an operation that is not in `PARTS`: they are numbered
    (`cells.0._ops.2._ops.1.own.0`) and keep their layout.
    """
    if type(layer) not in PARTS:
        yield from _numbered(layer, prefix)
    for attribute, name in PARTS.get(type(layer), {}).items():
        part = getattr(layer, attribute)
        if isinstance(part, BatchNorm):
            yield from _norm_names(part, f"{prefix}{name}")
        elif isinstance(part, keras.layers.Layer):
            yield from operation_names(part, f"{prefix}{name}.")
        else:
            layout = DEPTHWISE if attribute.startswith("depthwise") else KERNEL
            yield part, f"{prefix}{name}.weight", layout


def _numbered(layer: keras.layers.Layer, prefix: str) -> Iterator[Named]:
    # Counters of draws are the program's own.
    floats = [v for v in layer.variables if v.dtype == keras.config.floatx()]
    for i, variable in enumerate(floats):
        yield variable, f"{prefix}own.{i}", VECTOR


def _norm_names(layer: BatchNorm, prefix: str) -> Iterator[Named]:
    if layer.affine:
        yield layer.gamma, f"{prefix}.weight", VECTOR
        yield layer.beta, f"{prefix}.bias", VECTOR
    yield layer.moving_mean, f"{prefix}.running_mean", VECTOR
    yield layer.moving_variance, f"{prefix}.running_var", VECTOR


def _dense_names(layer: keras.layers.Dense, prefix: str) -> Iterator[Named]:
    yield layer.kernel, f"{prefix}.weight", DENSE
    yield layer.bias, f"{prefix}.bias", VECTOR


def _edge_prefix(space: Space, cell: Cell, index: int) -> str:
    target, source = cell.ends[index]
    chosen = isinstance(cell.edge_layers[index], ChosenOp)
    if space.stacking.name == "nas_bench_201":
        return f"layers.{index}." if chosen else f"edges.{target}<-{source}."
    return f"_ops.{index}." if chosen else f"_ops.{index}._ops."


def _edge_names(layer: MixedOp | ChosenOp, prefix: str) -> Iterator[Named]:
    if isinstance(layer, ChosenOp):
        yield from operation_names(layer.operation, prefix)
        return
    for i, (operation, norm) in enumerate(zip(layer.operations, layer.norms, strict=True)):
        yield from operation_names(operation, f"{prefix}{i}.")
        if norm is not None:  # PyTorch: Sequential(pooling, batch norm)
            yield from _norm_names(norm, f"{prefix}{i}.1")
    if layer.auxiliary is not None:  # the release has none
        yield from operation_names(layer.auxiliary, f"{prefix}auxiliary_skip.")


def names(model: Supernet | Network) -> Iterator[Named]:
    """Yield (variable, PyTorch name, layout) of every variable of a supernet or network."""
    body = model.body
    for attribute, name in STEMS[type(body.stem)].items():
        part = getattr(body.stem, attribute)
        if isinstance(part, BatchNorm):
            yield from _norm_names(part, name)
        else:
            yield part, f"{name}.weight", KERNEL
    for i, layer in enumerate(body.blocks):
        if not isinstance(layer, Cell):
            yield from operation_names(layer, f"cells.{i}.")
            continue
        for k, preprocess in enumerate(layer.preprocess):
            yield from operation_names(preprocess, f"cells.{i}.preprocess{k}.")
        for e, edge in enumerate(layer.edge_layers):
            yield from _edge_names(edge, f"cells.{i}.{_edge_prefix(model.space, layer, e)}")
    if model.head.norm is not None:
        yield from _norm_names(model.head.norm, "lastact.0")
    yield from _dense_names(model.head.classifier, "classifier")
    auxiliary = getattr(model, "auxiliary_head", None)
    if auxiliary is not None:
        yield auxiliary.conv_1, "auxiliary_head.features.2.weight", KERNEL
        yield from _norm_names(auxiliary.norm_1, "auxiliary_head.features.3")
        yield auxiliary.conv_2, "auxiliary_head.features.5.weight", KERNEL
        if auxiliary.norm_2 is not None:
            yield from _norm_names(auxiliary.norm_2, "auxiliary_head.features.6")
        yield from _dense_names(auxiliary.classifier, "auxiliary_head.classifier")


def shape_of(state: Mapping[str, np.ndarray], space: Space, prefix: str = "") -> dict[str, int]:
    """Return the sizes of the model of a PyTorch state, as arguments of `Supernet` and `Network`.

    They are `channels`, `cells`, `classes` and `channels_in`.

    Args:
      state: arrays by PyTorch name.
      space: the search space of the model.
      prefix: what stands before the names in the file, for messages.

    Raises:
      UserError: it is not the state of a model of the space.
    """
    for name, rank in (("stem.0.weight", 4), ("classifier.weight", 2)):
        if name not in state:
            raise UserError(f"file: the array {prefix}{name} is missing")
        if state[name].ndim != rank:
            raise UserError(f"file: {prefix}{name} has shape {state[name].shape}; allowed: {rank} dimensions")
    found = [m for name in state if (m := re.match(r"cells\.(\d{1,3})\.(conv_a\.)?", name))]
    least = max((int(m[1]) + 1 for m in found), default=0)
    residual = {int(m[1]) for m in found if m[2]}
    # Cells without parameters cannot show themselves, not even the last; residual blocks always do.
    for depth in range(1, least + 1):
        blocks = space.stacking.blocks(depth)
        if len(blocks) >= least and residual == {i for i, b in enumerate(blocks) if b.cell_type is None}:
            break
    else:
        raise UserError(f"file: {prefix}cells... are not those of a network of space {space.name!r}")
    stem = state["stem.0.weight"]
    return {
        "channels": stem.shape[0] // space.stacking.stem_multiplier,
        "cells": depth,
        "classes": state["classifier.weight"].shape[0],
        "channels_in": stem.shape[1],
    }


def load(model: Supernet | Network, state: Mapping[str, np.ndarray]) -> None:
    """Set every variable of a model from PyTorch arrays.

    Args:
      model: a supernet or network.
      state: arrays by PyTorch name, as `state_dict()` returns them; architecture parameters and
        `num_batches_tracked` are passed over.

    Raises:
      UserError: an array is missing, is left over, or has another shape; nothing was changed then.
    """
    values, used = [], set()
    for variable, name, layout in names(model):
        if name not in state:
            raise UserError(f"weights: {name} is missing")
        value = np.asarray(state[name])
        wanted = layout.to_torch(np.empty(variable.shape, np.bool_)).shape
        if value.shape != wanted or value.dtype.kind not in "fiu":
            raise UserError(
                f"weights: {name} has shape {value.shape} and type {value.dtype}; allowed: numbers of"
                f" shape {wanted}"
            )
        values.append((variable, layout.from_torch(value)))
        used.add(name)
    ignored = re.compile(r"(^|\.)(num_batches_tracked|alphas?(_normal|_reduce)?|_?arch_parameters)$")
    left = sorted(name for name in state if name not in used and not ignored.search(name))
    if left:
        raise UserError(f"weights: {len(left)} arrays have no place in the model, the first is {left[0]}")
    set_values(values)


def export(model: Supernet | Network) -> dict[str, np.ndarray]:
    """Return the variables of a model as PyTorch arrays, by PyTorch name."""
    return {name: layout.to_torch(variable.numpy()) for variable, name, layout in names(model)}
