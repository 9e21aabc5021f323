"""Compares our supernets and networks with values computed by the authors' PyTorch release.

A reference file is an `.npz` whose keys are paths: `state/NAME` (every parameter and buffer), for a
supernet `alpha/...`, `x_train, y_train, x_valid, y_valid`, `logits_valid`, `probe/...`, `alpha_grad/...`,
`weight_grad/...`, `after_stepK/...`; for a network `genotype`, `x`, `y`, `train_logits`,
`weight_grad/...` and so on. Channels, depth and classes are read off the arrays' shapes.

A ReLU or a max pooling may stand so near its kink that rounding decides its side, and then gradients
differ by far more than rounding although both are right. So, where something is beyond its tolerance,
everything is computed again a few times from weights and images that differ by a millionth, and a
difference counts only if it is larger than what that does to our own values. Not in float64
(`runtime.precision`), where no kink is that near: there the tolerances are 1e-9, 1e-7 after three steps, and
they hold.
"""

import dataclasses
import re
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.layers.cell import Cell
from tf_darts.layers.operations import Noise
from tf_darts.models import torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import Network, check_auxiliary, count_parameters
from tf_darts.models.supernet import Supernet
from tf_darts.optim.losses import Batch
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import magnitude
from tf_darts.selection.probe_pass import mask_without
from tf_darts.spaces import Space
from tf_darts.tools.reference_file import AFTER_STEPS, GRADIENT, NUDGES, OUTPUT, Comparison, ReferenceFile
from tf_darts.training.step import network_loss


def verify(path: str, space: Space) -> list[Comparison]:
    """Compute every quantity of a reference file and compare it with the file's.

    Args:
      path: the `.npz` file.
      space: the search space that it was computed in.

    Returns:
      One comparison per array, in the order of computation.

    Raises:
      UserError: the file cannot be read, is not of this space, or holds values of float32 where ours are
        computed in float64.
    """
    reference, in_float64 = ReferenceFile.read(path), keras.config.floatx() == "float64"
    for key in ("logits_valid", "train_logits"):
        if in_float64 and key in reference and reference[key].dtype != np.float64:
            raise UserError(
                f"file: {key} of {path!r} is {reference[key].dtype}; allowed with --precision=float64: a file"
                " whose values were computed in float64"
            )
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
    for seed in range(NUDGES if beyond and not in_float64 else 0):
        nudged = reference.nudged(seed)
        compute(nudged, space)
        for key in beyond:
            moved[key] = max(moved[key], reference.distance(key, nudged.ours[key]))
    found = [dataclasses.replace(c, moved=moved.get(c.key, 0.0)) for c in reference.comparisons]
    exact = None if in_float64 else reference.exact(path)
    return found if exact is None else [_beside_exact(c, reference, exact) for c in found]


def _beside_exact(comparison: Comparison, reference: ReferenceFile, exact: ReferenceFile) -> Comparison:
    """Return a comparison with how far both values are from the one in float64, if that is there."""
    key = comparison.key
    if key not in reference.ours or key not in exact or exact[key].shape != reference[key].shape:
        return comparison
    theirs = float(np.abs(reference[key] - exact[key]).max() / reference.scale[key])
    return dataclasses.replace(
        comparison, ours_from_exact=reference.distance(key, exact[key]), file_from_exact=theirs
    )


def _by_cell_type(arrays: Mapping[str, np.ndarray], space: Space) -> dict[str, str]:
    """Return the file's name of each cell type's array: `alphas_normal`, `normal`, or the only one."""
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
    """Raise a UserError if the model draws noise: no two programs draw the same."""
    cells = [block for block in model.body.blocks if isinstance(block, Cell)]
    if any(isinstance(operation, Noise) for cell in cells for operation in cell.operations):
        raise UserError(
            f"file: a {model.name} of space {model.space.name!r} with the operation noise has no values"
            " to compare with: they differ from draw to draw"
        )


def _verify_supernet(reference: ReferenceFile, space: Space) -> None:
    state = reference.under("state/")
    model = Supernet(space, **torch_weights.shape_of(state, space, "state/"))
    _refuse_noise(model)
    torch_weights.load(model, state)
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

    def forward(mixing_weights: dict[str, tf.Tensor]) -> tf.Tensor:
        return bilevel.forward(valid[0], training=True, mixing_weights=mixing_weights)

    if len(reference.under("probe/")) > 8:  # compiling takes as long as some eight passes
        forward = tf.function(forward)

    # Every forward pass in training mode moves the running statistics, so their number and order are
    # those of the reference: one, one per probe, then an alpha step and a weight step three times.
    reference.compare(
        "logits",
        "",
        {"logits_valid": forward(architecture.mixing_weights()).numpy()},
        OUTPUT,
    )
    probed = _compare_probes(reference, architecture, forward)
    _compare_steps(reference, bilevel, names, train, valid)
    trained = torch_weights.export(model)
    weights = {name: value for name, value in trained.items() if "running" not in name}
    reference.compare("weights after 3 steps", "after_step3/state/", weights, AFTER_STEPS)
    # The release does not evaluate an operation of the DARTS spaces whose mixing weight is zero, so that the
    # statistics of one that a probe leaves out have missed that pass there.
    missed = tuple(
        f"cells.{i}._ops.{edge}._ops.{operation}."
        for cell_type, edge, operation in probed
        for i, block in enumerate(model.body.layout)
        if block.cell_type == cell_type
    )
    running = {n: v for n, v in trained.items() if "running" in n and not n.startswith(missed)}
    reference.compare("running statistics", "after_step3/state/", running, AFTER_STEPS)
    reference.compare(
        "logits after 3 steps",
        "after_step3/",
        {"logits_valid": forward(architecture.mixing_weights()).numpy()},
        AFTER_STEPS,
    )
    if selected is not None:
        reference.equal(
            "genotype by magnitude", "genotype", selected, magnitude.select(architecture).genotype
        )


def _compare_steps(
    reference: ReferenceFile, bilevel: Bilevel, names: Mapping[str, str], train: Batch, valid: Batch
) -> None:
    """Compare three bilevel steps: losses and gradients of the first, norms and alpha of all.

    Args:
      reference: what is compared with.
      bilevel: as it is before the first of them.
      names: the reference's name of each cell type's alpha.
      train: the batch of every weight step.
      valid: that of every alpha step.
    """
    learning_rate = config_lib.default().search.learning_rate
    for step in range(3):
        evaluated = bilevel.alpha_step(valid, len(valid[1]))
        if step == 0:
            reference.compare("loss", "", {"loss_valid": evaluated.loss.numpy()}, OUTPUT)
            gradients = {
                names[t]: g.numpy() for t, g in zip(bilevel.alphas, evaluated.gradients, strict=True)
            }
            reference.compare("alpha gradients", "alpha_grad/", gradients, GRADIENT)
        evaluated, norm = bilevel.weight_step(train, len(train[1]), learning_rate)
        if step == 0:
            reference.compare("logits", "", {"logits_train": evaluated.logits.numpy()}, OUTPUT)
            reference.compare("loss", "", {"loss_train": evaluated.loss.numpy()}, OUTPUT)
            gradients = _torch_gradients(bilevel.supernet, evaluated.gradients)
            reference.compare("weight gradients", "weight_grad/", gradients, GRADIENT)
        reference.compare("gradient norm", "grad_norm/", {f"step{step}": norm.numpy()}, AFTER_STEPS)
        reference.compare(
            "alpha after steps",
            f"after_step{step + 1}/alpha/",
            {name: bilevel.architecture.alpha[cell_type].numpy() for cell_type, name in names.items()},
            AFTER_STEPS,
        )


def _compare_probes(
    reference: ReferenceFile, architecture: Architecture, forward
) -> list[tuple[str, int, int]]:
    """Compare each probe: the same forward pass with one mixing weight set to zero.

    Returns:
      Cell type, edge and operation of each.
    """
    space, probed = architecture.space, []
    for key in reference.under("probe/"):
        match = re.fullmatch(r"(?:(\w+)/)?edge(\d+)/op(\d+)/logits", key)
        cell_type = (match and match[1]) or space.cell_types[0]
        if match is None or cell_type not in space.cell_types:
            raise UserError(f"file: probe/{key} names no probe; expected probe/[CELL/]edgeE/opO/logits")
        edge, operation = int(match[2]), int(match[3])
        rows = space.candidates[cell_type]
        if edge >= len(rows) or operation >= len(rows[edge]):
            raise UserError(f"file: probe/{key}: space {space.name!r} has no such edge or operation")
        weights = architecture.mixing_weights()
        weights[cell_type] *= mask_without(architecture, cell_type, edge, operation)
        reference.compare("probe logits", "probe/", {key: forward(weights).numpy()}, OUTPUT)
        probed.append((cell_type, edge, operation))
    return probed


def _torch_gradients(model, gradients) -> dict[str, np.ndarray]:
    """Return gradients of a model's trainable variables by PyTorch name, in PyTorch's layout."""
    named = {id(v): (name, layout) for v, name, layout in torch_weights.names(model)}
    if isinstance(model, Supernet):
        pairs = model.packed.parts(gradients)
    else:
        pairs = zip(model.trainable_variables, gradients, strict=True)
    return {named[id(v)][0]: named[id(v)][1].to_torch(np.asarray(gradient)) for v, gradient in pairs}


def _verify_network(reference: ReferenceFile, space: Space) -> None:
    state = reference.under("state/")
    shape = torch_weights.shape_of(state, space, "state/")
    auxiliary = any(name.startswith("auxiliary_head.") for name in state)
    model = Network(space, reference.genotype(space), **shape, auxiliary=auxiliary)
    _refuse_noise(model)
    torch_weights.load(model, state)
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
        reference.compare(
            "auxiliary logits",
            "",
            {"train_aux_logits": auxiliary_logits.numpy()},
            OUTPUT,
        )
    reference.compare("loss", "", {"train_loss": loss.numpy()}, OUTPUT)
    reference.compare("weight gradients", "weight_grad/", _torch_gradients(model, gradients), GRADIENT)
    reference.compare("running statistics", "after_forward/", torch_weights.export(model), OUTPUT)
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
