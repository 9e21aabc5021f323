"""What a reference file is checked for before anything is computed."""

import re
from collections.abc import Collection, Mapping

import keras
import numpy as np

from tf_darts.errors import UserError
from tf_darts.models import torch_weights
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.spaces import Space

# The shape of each array that can be compared, by key; None: any shape, of one value.
Results = Mapping[str, tuple[int, ...] | None]

# (cell type, edge, operation) of each probe, by the rest of its key.
Probes = Mapping[str, tuple[str, int, int]]

# What a file may hold, for messages; NAME stands for the name of a parameter or buffer in `state/`.
SUPERNET_KEYS = (
    "state/NAME, alpha/..., x_train, y_train, x_valid, y_valid, logits_valid, logits_train, loss_valid,"
    " loss_train, probe/[CELL/]edgeE/opO/logits, alpha_grad/..., weight_grad/NAME, grad_norm/step0 to step2,"
    " after_step1 to after_step3/alpha/..., after_step3/state/NAME, after_step3/logits_valid, genotype"
)
NETWORK_KEYS = (
    "state/NAME, genotype, x, y, train_logits, train_aux_logits (with an auxiliary head), train_loss,"
    " weight_grad/NAME, after_forward/NAME, eval_logits_after_one_train_forward, parameters"
)

_OURS = re.compile(
    r"(state|alpha|probe|alpha_grad|weight_grad|grad_norm|after_step\d|after_forward)/.+"
    r"|[xy](_train|_valid)?|(logits|loss)_(valid|train)|train_(logits|aux_logits|loss)"
    r"|eval_logits_after_one_train_forward|parameters"
)
_INPUTS = re.compile(r"(state|alpha)/.+|x(_train|_valid)?")
_COUNTERS = re.compile(r"(after_step3/state|after_forward)/(.+\.)?num_batches_tracked")


def check_contents(arrays: Mapping[str, np.ndarray], path: str) -> None:
    """Check that every array holds numbers, and those that are computed from finite ones.

    Args:
      arrays: of the file, by key; the genotype, a text, is passed over, and so is what no file of ours has.
      path: of the file.

    Raises:
      UserError: one does not.
    """
    for key, value in arrays.items():
        if not _OURS.fullmatch(key):
            continue
        if value.dtype.kind not in "biuf" or value.size == 0:
            raise UserError(
                f"file: {key} has shape {value.shape} and type {value.dtype} in {path!r}; allowed: numbers,"
                " at least one"
            )
        if _INPUTS.fullmatch(key) and not np.isfinite(value).all():
            first = value[~np.isfinite(value)].flat[0]
            raise UserError(f"file: {key} holds {first} in {path!r}; allowed: finite numbers")


def probes_of(keys: Collection[str], space: Space) -> Probes:
    """Return the probes that keys name.

    Args:
      keys: those under `probe/`, without this.
      space: the search space.

    Raises:
      UserError: one names no probe of the space.
    """
    probes = {}
    for key in keys:
        match = re.fullmatch(r"(?:(\w+)/)?edge([0-9]{1,3})/op([0-9]{1,3})/logits", key)
        cell_type = (match and match[1]) or space.cell_types[0]
        if match is None or cell_type not in space.cell_types:
            cells = " or ".join(space.cell_types)
            raise UserError(
                f"file: probe/{key} names no probe; expected probe/[CELL/]edgeE/opO/logits, where CELL is"
                f" {cells}"
            )
        edge, operation, rows = int(match[2]), int(match[3]), space.candidates[cell_type]
        operations = len(rows[edge]) if edge < len(rows) else space.num_operations
        if edge >= len(rows) or operation >= operations:
            raise UserError(
                f"file: probe/{key}: space {space.name!r} has no such edge or operation; allowed: edge 0 to"
                f" {len(rows) - 1}, op 0 to {operations - 1}"
            )
        probes[key] = (cell_type, edge, operation)
    return probes


def supernet_results(
    arrays: Mapping[str, np.ndarray], model: Supernet, alphas: Collection[str], probes: Probes
) -> Results:
    """Return what can be compared of a supernet's file.

    Args:
      arrays: of the file; those of `state/`, `alpha/` and the labels have been checked.
      model: the supernet.
      alphas: names of the arrays under `alpha/`.
      probes: those of the file.
    """
    results: dict[str, tuple[int, ...] | None] = {"genotype": None}
    logits = {half: (len(arrays[f"y_{half}"]), model.head.classifier.units) for half in ("valid", "train")}
    for half, shape in logits.items():
        results |= {f"logits_{half}": shape, f"loss_{half}": ()}
    results |= {f"probe/{key}": logits["valid"] for key in probes}
    for name in alphas:
        keys = (f"alpha_grad/{name}", *(f"after_step{step}/alpha/{name}" for step in (1, 2, 3)))
        results |= dict.fromkeys(keys, arrays[f"alpha/{name}"].shape)
    results |= {f"grad_norm/step{step}": () for step in range(3)}
    results["after_step3/logits_valid"] = logits["valid"]
    return results | _of_variables(arrays, model, "after_step3/state/")


def network_results(arrays: Mapping[str, np.ndarray], model: Network) -> Results:
    """Return what can be compared of a network's file; arguments as of `supernet_results`."""
    logits = (len(arrays["y"]), model.head.classifier.units)
    results: dict[str, tuple[int, ...] | None] = {"parameters": None, "train_loss": ()}
    results |= {"train_logits": logits, "eval_logits_after_one_train_forward": logits}
    if model.auxiliary_head is not None:
        results["train_aux_logits"] = logits
    return results | _of_variables(arrays, model, "after_forward/")


def _of_variables(
    arrays: Mapping[str, np.ndarray], model: Supernet | Network, after: str
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the values of all variables, below `after`, and of their gradients."""
    shapes = {}
    for variable, name, _ in torch_weights.names(model):
        shapes[f"{after}{name}"] = arrays[f"state/{name}"].shape
        if variable.trainable:
            shapes[f"weight_grad/{name}"] = arrays[f"state/{name}"].shape
    return shapes


def check_results(
    arrays: Mapping[str, np.ndarray], inputs: Collection[str], results: Results, allowed: str, path: str
) -> list[str]:
    """Check that what is to be compared has our shapes and precision; return the keys that are not known.

    Args:
      arrays: of the file.
      inputs: keys of what is computed from, besides `state/...`.
      results: what can be compared.
      allowed: all keys, for the message.
      path: of the file.

    Raises:
      UserError: an array cannot be compared, or holds values of float32 where ours are computed in float64;
        or there is nothing to compare.
    """
    known = {*inputs, *results}
    # A counter says nothing of what was computed; `state/` was checked where the model was loaded.
    unknown = [
        k for k in arrays if k not in known and not k.startswith("state/") and not _COUNTERS.fullmatch(k)
    ]
    compared = [key for key in arrays if key in results]
    if not compared:
        raise UserError(f"file: {path!r} holds nothing to compare; allowed: {allowed}")
    in_float64 = keras.config.floatx() == "float64"
    for key in compared:
        value, shape = arrays[key], results[key]
        if shape is None:
            if value.size != 1:
                raise UserError(f"file: {key} has shape {value.shape}; allowed: one value")
        elif value.shape != shape:
            raise UserError(f"file: {key} has shape {value.shape}; ours: {shape}")
        elif in_float64 and value.dtype in (np.float16, np.float32):
            raise UserError(
                f"file: {key} of {path!r} is {value.dtype}; allowed with --precision=float64: a file whose"
                " values were computed in float64"
            )
    return unknown
