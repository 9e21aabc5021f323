"""Compares our supernets and networks with values computed by the authors' PyTorch release.

A reference file is an `.npz` whose keys are paths: `state/NAME` (every parameter and buffer), for a
supernet `alpha/...`, `x_train, y_train, x_valid, y_valid`, `logits_valid`, `probe/...`, `alpha_grad/...`,
`weight_grad/...`, `after_stepK/...`; for a network `genotype`, `x`, `y`, `train_logits`,
`weight_grad/...` and so on. Channels, depth and classes are read off the arrays' shapes.
"""

import collections
import dataclasses
import re
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts import genotype as genotype_lib
from tf_darts import interop
from tf_darts.architecture import Architecture
from tf_darts.errors import UserError
from tf_darts.network import Network, count_parameters
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import magnitude
from tf_darts.spaces import Space
from tf_darts.supernet import Supernet
from tf_darts.training.step import network_loss

# Largest relative error by what a quantity is: float32 on two frameworks, and how far steps amplify it.
OUTPUT, GRADIENT, AFTER_STEPS = 1e-5, 1e-4, 1e-3


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One array of the file against ours.

    Attributes:
      quantity: the group that it is reported in.
      key: its key in the file.
      error: largest difference, relative to the largest value; for gradients and weights, of arrays much
        smaller than the others of the quantity, relative to a thousandth of the largest there.
      tolerance: largest error accepted.
    """

    quantity: str
    key: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return bool(self.error <= self.tolerance)  # False for NaN


class Reference(Mapping):
    """A reference file, and the comparisons made with it so far."""

    def __init__(self, path: str):
        try:
            with np.load(path, allow_pickle=False) as file:
                self._arrays = {key: file[key] for key in file.files}
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise UserError(f"file: {path!r} cannot be read as .npz: {error}") from None
        self.comparisons: list[Comparison] = []

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._arrays:
            raise UserError(f"file: the array {key!r} is missing")
        return self._arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays whose key starts with `prefix`, by the rest of the key."""
        return {k[len(prefix) :]: v for k, v in self._arrays.items() if k.startswith(prefix)}

    def images(self, key: str) -> np.ndarray:
        """Images as NHWC."""
        return self[key].transpose(0, 2, 3, 1)

    def labels(self, key: str) -> np.ndarray:
        """Labels as int32."""
        return self[key].astype(np.int32)

    def compare(self, quantity: str, prefix: str, ours: Mapping[str, np.ndarray], tolerance: float) -> None:
        """Compares each array under `prefix` that the file has and `ours` names."""
        theirs = {k: v for k, v in self.under(prefix).items() if k in ours}
        largest = max((np.abs(v).max() for v in theirs.values()), default=0.0)
        for name, value in theirs.items():
            scale = max(np.abs(value).max(), 1e-3 * largest, 1e-30)
            difference = np.abs(np.asarray(ours[name], np.float64) - value).max()
            self.comparisons.append(Comparison(quantity, prefix + name, difference / scale, tolerance))

    def equal(self, quantity: str, key: str, ours) -> None:
        """Compares a text or a number that has to be the same."""
        error = 0.0 if self[key] == ours else float("inf")
        self.comparisons.append(Comparison(quantity, key, error, 0.0))


def verify(path: str, space: Space) -> list[Comparison]:
    """Computes every quantity of a reference file.

    Args:
      path: the `.npz` file.
      space: the search space that it was computed in.

    Returns:
      One comparison per array, in the order of computation.

    Raises:
      UserError: the file cannot be read or is not of this space.
    """
    reference = Reference(path)
    if reference.under("alpha/"):
        _verify_supernet(reference, space)
    elif "genotype" in reference:
        _verify_network(reference, space)
    else:
        raise UserError(f"file: {path!r} has neither alpha/... (a supernet) nor genotype (a network)")
    if not reference.comparisons:
        raise UserError(f"file: {path!r} holds nothing to compare")
    return reference.comparisons


def shape_of(state: Mapping[str, np.ndarray], space: Space) -> dict[str, int]:
    """Initial channels, depth, classes and image channels of a PyTorch state."""
    for name in ("stem.0.weight", "classifier.weight"):
        if name not in state:
            raise UserError(f"file: the array state/{name} is missing")
    blocks = {int(m[1]) for name in state if (m := re.match(r"cells\.(\d+)\.", name))}
    wanted = (max(blocks) + 1) if blocks else 0
    # The depth whose body has so many blocks; a last cell without parameters cannot show itself.
    depth = next((n for n in range(1, wanted + 1) if len(space.stacking.blocks(n)) >= wanted), 0)
    if not depth:
        raise UserError("file: state/cells.... are missing")
    stem = state["stem.0.weight"]
    return {
        "channels": stem.shape[0] // space.stacking.stem_multiplier,
        "cells": depth,
        "classes": state["classifier.weight"].shape[0],
        "channels_in": stem.shape[1],
    }


def _by_cell_type(arrays: Mapping[str, np.ndarray], space: Space) -> dict[str, str]:
    """The file's name of each cell type's array: `alphas_normal`, `normal`, or the only one there is."""
    found = {}
    for cell_type in space.cell_types:
        names = [n for n in arrays if n.endswith(cell_type)] if len(space.cell_types) > 1 else list(arrays)
        if len(names) != 1:
            raise UserError(
                f"file: alpha/... has {len(names)} arrays for cell type {cell_type!r}; allowed: 1"
            )
        found[cell_type] = names[0]
    return found


def _verify_supernet(reference: Reference, space: Space) -> None:
    state = reference.under("state/")
    model = Supernet(space, **shape_of(state, space))
    interop.load(model, state)
    architecture = Architecture(space)
    names = _by_cell_type(reference.under("alpha/"), space)
    for cell_type, name in names.items():
        alpha, given = architecture.alpha[cell_type], reference[f"alpha/{name}"]
        if given.shape != tuple(alpha.shape):
            raise UserError(
                f"file: alpha/{name} has shape {given.shape}; space {space.name!r} has {tuple(alpha.shape)}"
            )
        alpha.assign(given)
    bilevel = Bilevel.create(model, architecture, config_lib.default().search)
    train = (reference.images("x_train"), reference.labels("y_train"))
    valid = (reference.images("x_valid"), reference.labels("y_valid"))
    learning_rate = config_lib.default().search.learning_rate
    forward = tf.function(lambda: bilevel.forward(valid[0], training=True))
    alpha_step = tf.function(lambda: bilevel.alpha_step(valid, len(valid[1])))
    weight_step = tf.function(lambda: bilevel.weight_step(train, len(train[1]), learning_rate))

    # Every forward pass in training mode moves the running statistics, so their number and order are
    # those of the reference: one, one per probe, then an alpha step and a weight step three times.
    reference.compare("logits", "", {"logits_valid": forward().numpy()}, OUTPUT)
    _compare_probes(reference, architecture, forward)
    for step in range(3):
        evaluated = alpha_step()
        if step == 0:
            reference.compare("loss", "", {"loss_valid": evaluated.loss.numpy()}, OUTPUT)
            gradients = {
                names[t]: g.numpy() for t, g in zip(architecture.alpha, evaluated.gradients, strict=True)
            }
            reference.compare("alpha gradients", "alpha_grad/", gradients, GRADIENT)
        evaluated, norm = weight_step()
        if step == 0:
            reference.compare("logits", "", {"logits_train": evaluated.logits.numpy()}, OUTPUT)
            reference.compare("loss", "", {"loss_train": evaluated.loss.numpy()}, OUTPUT)
            gradients = _torch_gradients(model, bilevel.weights, evaluated.gradients)
            reference.compare("weight gradients", "weight_grad/", gradients, GRADIENT)
        reference.compare("gradient norm", "grad_norm/", {f"step{step}": norm.numpy()}, AFTER_STEPS)
        reference.compare(
            "alpha after steps",
            f"after_step{step + 1}/alpha/",
            {name: architecture.alpha[cell_type].numpy() for cell_type, name in names.items()},
            AFTER_STEPS,
        )
    trained = interop.export(model)
    weights = {name: value for name, value in trained.items() if "running" not in name}
    reference.compare("weights after 3 steps", "after_step3/state/", weights, AFTER_STEPS)
    # The release does not evaluate an operation whose mixing weight is zero, so that only statistics
    # outside the mixed edges have seen every pass there.
    running = {n: v for n, v in trained.items() if "running" in n and not re.search(r"edges\.|_ops\.", n)}
    reference.compare("running statistics", "after_step3/state/", running, AFTER_STEPS)
    reference.compare(
        "logits after 3 steps", "after_step3/", {"logits_valid": forward().numpy()}, AFTER_STEPS
    )
    if "genotype" in reference:
        chosen = magnitude.select(architecture).genotype
        reference.equal("genotype by magnitude", "genotype", chosen.to_text(space))


def _compare_probes(reference: Reference, architecture: Architecture, forward) -> None:
    """Each probe: the same forward with one mixing weight set to zero."""
    space = architecture.space
    for key in reference.under("probe/"):
        match = re.fullmatch(r"(?:(\w+)/)?edge(\d+)/op(\d+)/logits", key)
        cell_type = (match and match[1]) or space.cell_types[0]
        if match is None or cell_type not in space.cell_types:
            raise UserError(f"file: probe/{key} names no probe; expected probe/[CELL/]edgeE/opO/logits")
        edge, operation = int(match[2]), int(match[3])
        rows = space.candidates[cell_type]
        if edge >= len(rows) or operation >= len(rows[edge]):
            raise UserError(f"file: probe/{key}: space {space.name!r} has no such edge or operation")
        architecture.probe(cell_type, edge, operation)
        reference.compare("probe logits", "probe/", {key: forward().numpy()}, OUTPUT)
    architecture.end_probe()


def _torch_gradients(model, variables, gradients) -> dict[str, np.ndarray]:
    """Gradients by PyTorch name, in PyTorch's layout."""
    named = {id(v.value): (name, layout) for v, name, layout in interop.names(model)}
    pairs = ((named[id(v)], g.numpy()) for v, g in zip(variables, gradients, strict=True))
    return {name: layout.to_torch(gradient) for (name, layout), gradient in pairs}


def _verify_network(reference: Reference, space: Space) -> None:
    state = reference.under("state/")
    genotype = genotype_lib.from_text(str(reference["genotype"]), space)
    auxiliary = any(name.startswith("auxiliary_head.") for name in state)
    model = Network(space, genotype, **shape_of(state, space), auxiliary=auxiliary)
    interop.load(model, state)
    images, labels = reference.images("x"), reference.labels("y")
    weights = [v.value for v in model.trainable_variables]

    @tf.function
    def train():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            logits, auxiliary_logits = model(images, training=True)
            loss = network_loss(logits, auxiliary_logits, labels, len(labels), auxiliary_weight=0.4)
        return logits, auxiliary_logits, loss, tape.gradient(loss, weights)

    logits, auxiliary_logits, loss, gradients = train()
    reference.compare("training logits", "", {"train_logits": logits.numpy()}, OUTPUT)
    if auxiliary_logits is not None:
        reference.compare("auxiliary logits", "", {"train_aux_logits": auxiliary_logits.numpy()}, OUTPUT)
    reference.compare("loss", "", {"train_loss": loss.numpy()}, OUTPUT)
    reference.compare(
        "weight gradients", "weight_grad/", _torch_gradients(model, weights, gradients), GRADIENT
    )
    reference.compare("running statistics", "after_forward/", interop.export(model), OUTPUT)
    evaluate = tf.function(lambda: model(images, training=False)[0])
    reference.compare(
        "evaluation logits", "", {"eval_logits_after_one_train_forward": evaluate().numpy()}, OUTPUT
    )
    if "parameters" in reference:
        total = sum(v.shape.num_elements() for v in model.trainable_variables)
        own = count_parameters(model)
        given = int(reference["parameters"])
        # Published counts leave the auxiliary head out; a count of everything is accepted too.
        reference.equal("parameters", "parameters", given if given in (own, total) else own)


def report(comparisons: list[Comparison]) -> str:
    """A table: for every quantity the number of arrays, the largest error, its key, and the verdict."""
    groups = collections.defaultdict(list)
    for comparison in comparisons:
        groups[comparison.quantity].append(comparison)
    lines = [f"{'quantity':<24}{'arrays':>7}{'largest error':>15}{'tolerance':>11}  verdict  where"]
    for quantity, members in groups.items():
        worst = max(members, key=lambda c: (not c.passed, c.error))
        verdict = "ok     " if all(c.passed for c in members) else "BEYOND "
        lines.append(
            f"{quantity:<24}{len(members):>7}{worst.error:>15.2e}{worst.tolerance:>11.0e}  {verdict}  {worst.key}"
        )
    return "\n".join(lines)
