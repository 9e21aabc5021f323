"""Compares our supernets and networks with values computed by the authors' PyTorch release.

A reference file is an `.npz` whose keys are paths: `state/NAME` (every parameter and buffer), for a
supernet `alpha/...`, `x_train, y_train, x_valid, y_valid`, `logits_valid`, `probe/...`, `alpha_grad/...`,
`weight_grad/...`, `after_stepK/...`; for a network `genotype`, `x`, `y`, `train_logits`,
`weight_grad/...` and so on: `reference_checks` has them all. A file may hold less of what is compared; what
else it holds is named. Channels, depth and classes are read off the arrays' shapes.

A ReLU or a max pooling may stand so near its kink that rounding decides its side, and then gradients
differ by far more than rounding although both are right. So, where something is beyond its tolerance,
everything is computed again a few times from weights and images that differ by a millionth, and a
difference counts only if it is larger than what that does to our own values. Not in float64
(`runtime.precision`), where no kink is that near: there the tolerances are 1e-9, 1e-7 after three steps, and
they hold.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.layers.cell import Cell
from tf_darts.layers.operations import Noise
from tf_darts.layers.row import set_values
from tf_darts.models import torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import Network, auxiliary_block, check_auxiliary, count_parameters
from tf_darts.models.supernet import Supernet
from tf_darts.optim.losses import Batch
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import magnitude
from tf_darts.selection.probe_pass import mask_without
from tf_darts.spaces import Space
from tf_darts.tools import reference_checks
from tf_darts.tools.reference_checks import Probes
from tf_darts.tools.reference_file import AFTER_STEPS, GRADIENT, NUDGES, OUTPUT, Comparison, ReferenceFile
from tf_darts.training.step import network_loss

Prepared = tuple[Callable[[], None], list[str]]
"""What computes and compares everything of a file that was checked, and the keys that are not known."""


def verify(path: str, space: Space) -> list[Comparison]:
    """Compute every quantity of a reference file and compare it with the file's.

    Args:
      path: the `.npz` file.
      space: the search space that it was computed in.

    Returns:
      One comparison per array, in the order of computation.

    Raises:
      UserError: as `Verification`.
    """
    return Verification(path, space).run()


class Verification:
    """A reference file that was read and checked, with the model to compute its quantities with.

    Args:
      path: the `.npz` file.
      space: the search space that it was computed in.

    Attributes:
      unknown: keys of the file that are not known, and so not compared.

    Raises:
      UserError: the file, or that of the same in float64 beside it, cannot be read; it is not of this space,
        holds what cannot be computed with, or values of float32 where ours are computed in float64.
    """

    def __init__(self, path: str, space: Space):
        self._reference = ReferenceFile.read(path)
        if self._reference.under("alpha/"):
            prepare = _prepare_supernet
        elif "genotype" in self._reference:
            prepare = _prepare_network
        else:
            raise UserError(f"file: {path!r} has neither alpha/... (a supernet) nor genotype (a network)")
        self._prepare = functools.partial(prepare, space=space, path=path)
        self._compare, self.unknown = self._prepare(self._reference)
        self._in_float64 = keras.config.floatx() == "float64"
        self._exact = None if self._in_float64 else self._reference.exact(path)

    def run(self) -> list[Comparison]:
        """Compute every quantity and compare it; call it once: steps change the model.

        Returns:
          One comparison per array, in the order of computation.
        """
        reference, exact = self._reference, self._exact
        self._compare()
        beyond = {c.key for c in reference.comparisons if not c.within and np.isfinite(c.error)}
        moved = dict.fromkeys(beyond, 0.0)
        for seed in range(NUDGES if beyond and not self._in_float64 else 0):
            nudged = reference.nudged(seed)
            compare, _ = self._prepare(nudged)
            compare()
            for key in beyond:
                moved[key] = max(moved[key], reference.distance(key, nudged.ours[key]))
        found = [dataclasses.replace(c, moved=moved.get(c.key, 0.0)) for c in reference.comparisons]
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


def _shape_of(state: Mapping[str, np.ndarray], space: Space) -> dict[str, int]:
    """Return the arguments that a model of a state is made with."""
    shape = torch_weights.shape_of(state, space, "state/")
    if not shape["channels"]:  # a narrower stem would divide by no channels
        raise UserError(
            f"file: state/stem.0.weight has shape {state['stem.0.weight'].shape}; allowed: at least"
            f" {space.stacking.stem_multiplier} output channels"
        )
    return shape


def _prepare_supernet(reference: ReferenceFile, space: Space, path: str) -> Prepared:
    """Check a supernet's file."""
    state = reference.under("state/")
    model = Supernet(space, **_shape_of(state, space))
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
    train = reference.batch("x_train", "y_train", model)
    valid = reference.batch("x_valid", "y_valid", model)
    probes = reference_checks.probes_of(reference.under("probe/"), space)
    unknown = reference_checks.check_results(
        reference,
        ("x_train", "y_train", "x_valid", "y_valid", *(f"alpha/{name}" for name in names.values())),
        reference_checks.supernet_results(reference, model, names.values(), probes),
        reference_checks.SUPERNET_KEYS,
        path,
    )
    bilevel = Bilevel.create(model, architecture, config_lib.default().search)
    compare = functools.partial(_compare_supernet, reference, bilevel, names, train, valid, probes, selected)
    return compare, unknown


def _compare_supernet(
    reference: ReferenceFile,
    bilevel: Bilevel,
    names: Mapping[str, str],
    train: Batch,
    valid: Batch,
    probes: Probes,
    selected: Genotype | None,
) -> None:
    """Compare everything of a supernet.

    Args:
      reference: what is compared with.
      bilevel: as it is before anything is computed.
      names: the reference's name of each cell type's alpha.
      train: the batch of every weight step.
      valid: that of everything else.
      probes: those of the reference.
      selected: its genotype; None: it has none.
    """
    architecture, model = bilevel.architecture, bilevel.supernet
    # Every forward pass in training mode moves the running statistics, so their number and order are
    # those of the reference: one, one per probe, then an alpha step and a weight step three times.
    logits = bilevel.forward(valid[0], training=True)
    reference.compare("logits", "", {"logits_valid": logits.numpy()}, OUTPUT)
    _compare_probes(reference, bilevel, probes, valid[0])
    _compare_steps(reference, bilevel, names, train, valid)
    trained = torch_weights.export(model)
    weights = {name: value for name, value in trained.items() if "running" not in name}
    reference.compare("weights after 3 steps", "after_step3/state/", weights, AFTER_STEPS)
    running = {name: value for name, value in trained.items() if "running" in name}
    reference.compare("running statistics", "after_step3/state/", running, AFTER_STEPS)
    logits = bilevel.forward(valid[0], training=True)
    reference.compare("logits after 3 steps", "after_step3/", {"logits_valid": logits.numpy()}, AFTER_STEPS)
    if selected is not None:
        # No genotype can be read where alpha has become NaN; the other rows then say what went wrong first.
        finite = all(np.isfinite(weights).all() for weights in architecture.current_weights().values())
        ours = magnitude.select(architecture).genotype if finite else None
        reference.equal("genotype by magnitude", "genotype", selected, ours)


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
            # A cell type that the supernet does not have leaves its alpha without a gradient.
            gradients = {name: np.zeros(reference[f"alpha/{name}"].shape) for name in names.values()}
            for cell_type, gradient in zip(bilevel.alphas, evaluated.gradients, strict=True):
                gradients[names[cell_type]] = gradient.numpy()
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


def _compare_probes(reference: ReferenceFile, bilevel: Bilevel, probes: Probes, images: tf.Tensor) -> None:
    """Compare each probe: the same forward pass with one mixing weight set to zero.

    The release does not evaluate an operation of the DARTS spaces whose mixing weight is zero, so that its
    running statistics miss the pass; it does evaluate those of NAS-Bench-201.
    """
    architecture, model = bilevel.architecture, bilevel.supernet
    skips_zeros = architecture.space.stacking.name == "darts"
    running = [(v, name) for v, name, _ in torch_weights.names(model) if "running" in name]

    def forward(mixing_weights: dict[str, tf.Tensor]) -> tf.Tensor:
        return bilevel.forward(images, training=True, mixing_weights=mixing_weights)

    if len(probes) > 8:  # compiling takes as long as some eight passes
        forward = tf.function(forward)
    for key, (cell_type, edge, operation) in probes.items():
        weights = architecture.mixing_weights()
        weights[cell_type] *= mask_without(architecture, cell_type, edge, operation)
        cells = [i for i, block in enumerate(model.body.layout) if block.cell_type == cell_type]
        masked = tuple(f"cells.{i}._ops.{edge}._ops.{operation}." for i in cells if skips_zeros)
        kept = [(v, v.numpy()) for v, name in running if name.startswith(masked)]
        reference.compare("probe logits", "probe/", {key: forward(weights).numpy()}, OUTPUT)
        set_values(kept)


def _torch_gradients(model, gradients) -> dict[str, np.ndarray]:
    """Return gradients of a model's trainable variables by PyTorch name, in PyTorch's layout."""
    named = {id(v): (name, layout) for v, name, layout in torch_weights.names(model)}
    if isinstance(model, Supernet):
        pairs = model.packed.parts(gradients)
    else:
        pairs = zip(model.trainable_variables, gradients, strict=True)
    return {named[id(v)][0]: named[id(v)][1].to_torch(np.asarray(gradient)) for v, gradient in pairs}


def _prepare_network(reference: ReferenceFile, space: Space, path: str) -> Prepared:
    """Check a network's file."""
    state = reference.under("state/")
    shape = _shape_of(state, space)
    auxiliary = any(name.startswith("auxiliary_head.") for name in state)
    model = Network(space, reference.genotype(space), **shape, auxiliary=auxiliary)
    _refuse_noise(model)
    torch_weights.load(model, state)
    images, labels = reference.batch("x", "y", model)
    if auxiliary:
        try:
            check_auxiliary(space, shape["cells"], images.shape[1:])
        except UserError:  # it names a field of the config
            before = model.body.layout[: auxiliary_block(space, shape["cells"]) + 1]
            side = 8 * 2 ** sum(block.reduction for block in before)
            raise UserError(
                f"file: x has shape {reference['x'].shape}; allowed: {side}x{side} images, as it has an"
                " auxiliary head"
            ) from None
    unknown = reference_checks.check_results(
        reference,
        ("genotype", "x", "y"),
        reference_checks.network_results(reference, model),
        reference_checks.NETWORK_KEYS,
        path,
    )
    return functools.partial(_compare_network, reference, model, images, labels), unknown


def _compare_network(
    reference: ReferenceFile, model: Network, images: np.ndarray, labels: np.ndarray
) -> None:
    """Compare everything of a network, on a batch."""
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
        given = reference["parameters"].item()
        # Published counts leave the auxiliary head out; a count of everything is accepted too.
        reference.equal("parameters", "parameters", given, total if given == total else own)
