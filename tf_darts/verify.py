"""Compares our supernets and networks with values computed by the authors' PyTorch release.

A reference file is an `.npz` whose keys are paths: `state/NAME` (every parameter and buffer), for a
supernet `alpha/...`, `x_train, y_train, x_valid, y_valid`, `logits_valid`, `probe/...`, `alpha_grad/...`,
`weight_grad/...`, `after_stepK/...`; for a network `genotype`, `x`, `y`, `train_logits`,
`weight_grad/...` and so on. Channels, depth and classes are read off the arrays' shapes.

A ReLU or a max pooling may stand so near its kink that rounding decides its side, and then gradients
differ by far more than rounding although both are right. So, where something is beyond its tolerance,
everything is computed again a few times from weights and images that differ by a millionth, and a
difference counts only if it is larger than what that does to our own values.
"""

import collections
import dataclasses
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts import genotype as genotype_lib
from tf_darts import interop
from tf_darts.architecture import Architecture
from tf_darts.errors import UserError
from tf_darts.genotype import Genotype
from tf_darts.layers.body import Cell
from tf_darts.layers.edges import MixedEdge
from tf_darts.layers.operations import Noise
from tf_darts.network import Network, check_auxiliary, count_parameters
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import magnitude
from tf_darts.spaces import Space
from tf_darts.supernet import Supernet
from tf_darts.training.step import network_loss

# Largest relative error by what a quantity is: float32 on two frameworks, and how far steps amplify it.
OUTPUT, GRADIENT, AFTER_STEPS = 1e-5, 1e-4, 1e-3
NUDGE, NUDGES = 1e-6, 6  # relative size of the changes, and how often they are tried
ALLOWED_MOVES = 2.0  # a difference may be so many times what the nudges do: both sides have rounded


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One array of the file against ours.

    Attributes:
      quantity: the group that it is reported in.
      key: its key in the file.
      error: largest difference, relative to the largest value; for gradients and weights, of arrays much
        smaller than the others of the quantity, relative to a thousandth of the largest there.
      tolerance: largest error accepted.
      moved: how far our own value moves when weights and images change by a millionth, measured as the
        error is; 0 if not tried.
    """

    quantity: str
    key: str
    error: float
    tolerance: float
    moved: float = 0.0

    @property
    def within(self) -> bool:
        """Whether the error is within the tolerance."""
        return bool(self.error <= self.tolerance)  # False for NaN

    @property
    def passed(self) -> bool:
        """Whether the values agree: within the tolerance, or as far apart as rounding may bring them."""
        return self.within or bool(self.error <= ALLOWED_MOVES * self.moved < float("inf"))


class Reference(Mapping):
    """The arrays of a reference file, and what was compared with them so far.

    Attributes:
      comparisons: in the order made.
      ours: our value for every key compared.
      scale: what its error is relative to.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = dict(arrays)
        self.comparisons: list[Comparison] = []
        self.ours: dict[str, np.ndarray] = {}
        self.scale: dict[str, float] = {}

    @classmethod
    def read(cls, path: str) -> "Reference":
        """Reads a file.

        Raises:
          UserError: it cannot be read.
        """
        try:
            file = np.load(path, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            with file:
                return cls({key: np.asarray(file[key]) for key in file.files})
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"file: {path!r} cannot be read as .npz: {error}") from None

    def nudged(self, seed: int) -> "Reference":
        """The same with weights and images changed at random by about a millionth."""
        random = np.random.default_rng(seed)
        inputs = re.compile(r"x(_train|_valid)?|state/.*\.(weight|bias)")
        return Reference(
            {
                key: value * (1 + NUDGE * random.standard_normal(value.shape))
                if inputs.fullmatch(key)
                else value
                for key, value in self._arrays.items()
            }
        )

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._arrays:
            raise UserError(f"file: the array {key!r} is missing")
        return self._arrays[key]

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays whose key starts with `prefix`, by the rest of the key."""
        return {k[len(prefix) :]: v for k, v in self._arrays.items() if k.startswith(prefix)}

    def batch(self, images_key: str, labels_key: str, model: Supernet | Network) -> tuple:
        """Images as float32 NHWC and labels as int32, checked to be what the model takes."""
        images, labels = self[images_key], self[labels_key]
        channels = model.body.stem.conv.shape[2]
        multiple = 2 ** sum(block.reduction for block in model.body.layout)
        if images.ndim != 4 or images.shape[1] != channels or any(n % multiple for n in images.shape[2:]):
            raise UserError(
                f"file: {images_key} has shape {images.shape}; allowed: [batch, {channels}, height, width]"
                f" with sides divisible by {multiple}"
            )
        classes = model.head.classifier.units
        if labels.shape != images.shape[:1] or not np.isin(labels, np.arange(classes)).all():
            raise UserError(
                f"file: {labels_key} of shape {labels.shape} has to hold {len(images)} labels,"
                f" integers from 0 to {classes - 1}"
            )
        return images.transpose(0, 2, 3, 1).astype(np.float32), labels.astype(np.int32)

    def genotype(self, space: Space) -> Genotype:
        """The genotype, which is stored as text."""
        text = self["genotype"]
        if text.size != 1 or text.dtype.kind not in "US":
            raise UserError(f"file: genotype has shape {text.shape} and type {text.dtype}; allowed: one text")
        text = text.item()
        return genotype_lib.from_text(
            text.decode("utf-8", "replace") if isinstance(text, bytes) else text, space
        )

    def compare(self, quantity: str, prefix: str, ours: Mapping[str, np.ndarray], tolerance: float) -> None:
        """Compares each array under `prefix` that the file has and `ours` names.

        Raises:
          UserError: an array has another shape than ours.
        """
        theirs = {k: v for k, v in self.under(prefix).items() if k in ours}
        largest = max((np.abs(v).max() for v in theirs.values()), default=0.0)
        for name, value in theirs.items():
            if value.shape != np.shape(ours[name]):
                raise UserError(f"file: {prefix}{name} has shape {value.shape}; ours: {np.shape(ours[name])}")
            scale = max(np.abs(value).max(), 1e-3 * largest, 1e-30)
            self.ours[prefix + name] = np.asarray(ours[name], np.float64)
            self.scale[prefix + name] = scale
            difference = np.abs(self.ours[prefix + name] - value).max()
            self.comparisons.append(Comparison(quantity, prefix + name, difference / scale, tolerance))

    def equal(self, quantity: str, key: str, theirs, ours) -> None:
        """Compares what has to be the same, stored under `key`."""
        error = 0.0 if theirs == ours else float("inf")
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
    reference = Reference.read(path)
    if reference.under("alpha/"):
        compute = _verify_supernet
    elif "genotype" in reference:
        compute = _verify_network
    else:
        raise UserError(f"file: {path!r} has neither alpha/... (a supernet) nor genotype (a network)")
    compute(reference, space)
    if not reference.comparisons:
        raise UserError(f"file: {path!r} holds nothing to compare")
    beyond = {c.key for c in reference.comparisons if not c.within and np.isfinite(c.error)}
    moved = dict.fromkeys(beyond, 0.0)
    for seed in range(NUDGES if beyond else 0):
        nudged = reference.nudged(seed)
        compute(nudged, space)
        for key in beyond:
            distance = np.abs(nudged.ours[key] - reference.ours[key]).max() / reference.scale[key]
            moved[key] = max(moved[key], distance)
    return [dataclasses.replace(c, moved=moved.get(c.key, 0.0)) for c in reference.comparisons]


def shape_of(state: Mapping[str, np.ndarray], space: Space) -> dict[str, int]:
    """Initial channels, depth, classes and image channels of a PyTorch state."""
    for name, rank in (("stem.0.weight", 4), ("classifier.weight", 2)):
        if name not in state:
            raise UserError(f"file: the array state/{name} is missing")
        if state[name].ndim != rank:
            raise UserError(f"file: state/{name} has shape {state[name].shape}; allowed: {rank} dimensions")
    found = [m for name in state if (m := re.match(r"cells\.(\d{1,3})\.(conv_a\.)?", name))]
    least = max((int(m[1]) + 1 for m in found), default=0)
    residual = {int(m[1]) for m in found if m[2]}
    # Cells without parameters cannot show themselves, not even the last; residual blocks always do.
    for depth in range(1, least + 1):
        blocks = space.stacking.blocks(depth)
        if len(blocks) >= least and residual == {i for i, b in enumerate(blocks) if b.cell_type is None}:
            break
    else:
        raise UserError(f"file: state/cells... are not those of a network of space {space.name!r}")
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


def _refuse_noise(model: Supernet | Network) -> None:
    """Raises UserError if the model draws noise: no two programs draw the same."""
    edges = [edge for cell in model.body.blocks if isinstance(cell, Cell) for edge in cell.edge_layers]
    for edge in edges:
        candidates = edge.operations if isinstance(edge, MixedEdge) else [edge.operation]
        if any(isinstance(operation, Noise) for operation in candidates):
            raise UserError(
                f"file: a {model.name} of space {model.space.name!r} with the operation noise has no values"
                " to compare with: they differ from draw to draw"
            )


def _verify_supernet(reference: Reference, space: Space) -> None:
    state = reference.under("state/")
    model = Supernet(space, **shape_of(state, space))
    _refuse_noise(model)
    interop.load(model, state)
    selected = reference.genotype(space) if "genotype" in reference else None
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
    train = reference.batch("x_train", "y_train", model)
    valid = reference.batch("x_valid", "y_valid", model)
    learning_rate = config_lib.default().search.learning_rate

    def forward() -> tf.Tensor:
        return bilevel.forward(valid[0], training=True)

    if len(reference.under("probe/")) > 8:  # compiling takes as long as some eight passes
        forward = tf.function(forward)
    # A network of one or two cells has no normal cell. PyTorch's Adam passes over an alpha that no
    # gradient reaches; ours lets it decay.
    idle = architecture.alpha.keys() - {block.cell_type for block in model.body.layout}
    idle = {cell_type: architecture.alpha[cell_type].numpy() for cell_type in idle}

    # Every forward pass in training mode moves the running statistics, so their number and order are
    # those of the reference: one, one per probe, then an alpha step and a weight step three times.
    reference.compare("logits", "", {"logits_valid": forward().numpy()}, OUTPUT)
    _compare_probes(reference, architecture, forward)
    for step in range(3):
        evaluated = bilevel.alpha_step(valid, len(valid[1]))
        for cell_type, alpha in idle.items():
            architecture.alpha[cell_type].assign(alpha)
        if step == 0:
            reference.compare("loss", "", {"loss_valid": evaluated.loss.numpy()}, OUTPUT)
            gradients = {
                names[t]: g.numpy() for t, g in zip(architecture.alpha, evaluated.gradients, strict=True)
            }
            reference.compare("alpha gradients", "alpha_grad/", gradients, GRADIENT)
        evaluated, norm = bilevel.weight_step(train, len(train[1]), learning_rate)
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
    if selected is not None:
        reference.equal(
            "genotype by magnitude", "genotype", selected, magnitude.select(architecture).genotype
        )


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
    shape = shape_of(state, space)
    auxiliary = any(name.startswith("auxiliary_head.") for name in state)
    model = Network(space, reference.genotype(space), **shape, auxiliary=auxiliary)
    _refuse_noise(model)
    interop.load(model, state)
    images, labels = reference.batch("x", "y", model)
    if auxiliary:
        check_auxiliary(space, shape["cells"], images.shape[1:])
    weights = [v.value for v in model.trainable_variables]

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        logits, auxiliary_logits = model(images, training=True)
        loss = network_loss(logits, auxiliary_logits, labels, len(labels), auxiliary_weight=0.4)
    # A weight behind an edge `none` has no gradient.
    gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    reference.compare("training logits", "", {"train_logits": logits.numpy()}, OUTPUT)
    if auxiliary_logits is not None:
        reference.compare("auxiliary logits", "", {"train_aux_logits": auxiliary_logits.numpy()}, OUTPUT)
    reference.compare("loss", "", {"train_loss": loss.numpy()}, OUTPUT)
    reference.compare(
        "weight gradients", "weight_grad/", _torch_gradients(model, weights, gradients), GRADIENT
    )
    reference.compare("running statistics", "after_forward/", interop.export(model), OUTPUT)
    reference.compare(
        "evaluation logits",
        "",
        {"eval_logits_after_one_train_forward": model(images, training=False)[0].numpy()},
        OUTPUT,
    )
    if "parameters" in reference:
        total = sum(v.shape.num_elements() for v in model.trainable_variables)
        own = count_parameters(model)
        given = reference["parameters"].tolist()
        # Published counts leave the auxiliary head out; a count of everything is accepted too.
        reference.equal("parameters", "parameters", given, total if given == total else own)


def report(comparisons: list[Comparison]) -> str:
    """A table: for every quantity the number of arrays, the largest error, its key, and the verdict."""
    groups = collections.defaultdict(list)
    for comparison in comparisons:
        groups[comparison.quantity].append(comparison)
    lines = [f"{'quantity':<24}{'arrays':>7}{'largest error':>15}{'tolerance':>11}  verdict  where"]
    for quantity, members in groups.items():
        worst = max(members, key=lambda c: (not c.passed, c.error))
        verdict = "BEYOND" if not worst.passed else "ok" if worst.within else "ok (*)"
        lines.append(
            f"{quantity:<24}{len(members):>7}{worst.error:>15.2e}{worst.tolerance:>11.0e}  {verdict:<7}"
            f"  {worst.key}"
        )
    rounded = sum(c.passed and not c.within for c in comparisons)
    if rounded:
        lines.append(
            f"(*) {rounded} arrays are beyond the tolerance, but no further than our own values move when"
            f" weights and images change by {NUDGE:g}:\n    a ReLU or max pooling is at its kink."
        )
    return "\n".join(lines)
