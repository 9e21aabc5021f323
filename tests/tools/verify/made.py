"""Reference files as the README of the real ones describes them, computed with our own models."""

import numpy as np
import tensorflow as tf

from tf_darts import config
from tf_darts.models import torch_weights
from tf_darts.models.architecture import Architecture
from tf_darts.models.network import Network, count_parameters
from tf_darts.models.supernet import Supernet
from tf_darts.search.bilevel import Bilevel
from tf_darts.selection import magnitude
from tf_darts.training.step import network_loss

QUANTITIES_OF_A_SUPERNET = {
    "logits",
    "probe logits",
    "loss",
    "alpha gradients",
    "weight gradients",
    "gradient norm",
    "alpha after steps",
    "weights after 3 steps",
    "running statistics",
    "logits after 3 steps",
    "genotype by magnitude",
}


def save(folder, arrays) -> str:
    path = folder / "reference.npz"
    np.savez(path, **arrays)
    return str(path)


def arrays_of(path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def images_and_labels(classes: int, size: int = 8, batch: int = 6, channels: int = 3, seed: int = 0):
    random = np.random.default_rng(seed)
    images = random.normal(size=(batch, size, size, channels)).astype(np.float32)
    return images, random.integers(0, classes, batch)


def stored_state(model) -> dict[str, np.ndarray]:
    """Return a model's state with what PyTorch has besides: a counter for each batch norm."""
    state = torch_weights.export(model)
    counters = {
        name.replace("running_mean", "num_batches_tracked"): np.array(0)
        for name in state
        if name.endswith("running_mean")
    }
    return {f"state/{name}": value for name, value in {**state, **counters}.items()}


def torch_gradients(model, gradients) -> dict[str, np.ndarray]:
    if isinstance(model, Supernet):
        pairs = model.packed.parts(gradients)
    else:
        pairs = zip(model.trainable_variables, gradients, strict=True)
    by_variable = {id(v): gradient.numpy() for v, gradient in pairs}
    return {
        name: layout.to_torch(by_variable[id(variable)])
        for variable, name, layout in torch_weights.names(model)
        if id(variable) in by_variable
    }


def supernet_reference(space, channels, cells, classes, channels_in=3, probes=()):
    """Compute what the README of the reference files says of a supernet, with ours step by step."""
    model = Supernet(space, channels, cells, classes, channels_in=channels_in, seed=3)
    architecture = Architecture(space, alpha_scale=0.3, seed=5)
    single = len(space.cell_types) == 1
    alpha_names = {t: "alpha" if single else f"alphas_{t}" for t in space.cell_types}
    alpha = {alpha_names[t]: v.numpy() for t, v in architecture.alpha.items()}
    bilevel = Bilevel.create(model, architecture, config.default().search)
    valid = images_and_labels(classes, channels=channels_in, seed=1)
    train = images_and_labels(classes, channels=channels_in, seed=2)
    file = {
        **stored_state(model),
        **{f"alpha/{name}": value for name, value in alpha.items()},
        "x_valid": valid[0].transpose(0, 3, 1, 2),
        "y_valid": valid[1],
        "x_train": train[0].transpose(0, 3, 1, 2),
        "y_train": train[1],
        "logits_valid": bilevel.forward(valid[0], training=True).numpy(),
    }
    for cell_type, edge, operation in probes:
        weights = architecture.current_weights()
        weights[cell_type][edge, operation] = 0.0
        prefix = "" if single else f"{cell_type}/"
        before = torch_weights.export(model)
        logits = model(valid[0], {t: tf.constant(w) for t, w in weights.items()}, training=True)
        if space.stacking.name == "darts":  # the release has not computed the operation
            cells = [i for i, block in enumerate(model.body.layout) if block.cell_type == cell_type]
            there = tuple(f"cells.{i}._ops.{edge}._ops.{operation}." for i in cells)
            kept = {name: value for name, value in before.items() if name.startswith(there)}
            torch_weights.load(model, torch_weights.export(model) | kept)
        file[f"probe/{prefix}edge{edge}/op{operation}/logits"] = logits.numpy()
    for step in range(3):
        evaluated = bilevel.alpha_step(valid, len(valid[1]))
        trained, norm = bilevel.weight_step(train, len(train[1]), 0.025)
        if step == 0:
            file["loss_valid"], file["loss_train"] = evaluated.loss.numpy(), trained.loss.numpy()
            file["logits_train"] = trained.logits.numpy()
            for cell_type, gradient in zip(bilevel.alphas, evaluated.gradients, strict=True):
                file[f"alpha_grad/{alpha_names[cell_type]}"] = gradient.numpy()
            for name, gradient in torch_gradients(model, trained.gradients).items():
                file[f"weight_grad/{name}"] = gradient
        file[f"grad_norm/step{step}"] = norm.numpy()
        for cell_type, name in alpha_names.items():
            file[f"after_step{step + 1}/alpha/{name}"] = architecture.alpha[cell_type].numpy()
    for cell_type in alpha_names.keys() - bilevel.alphas.keys():  # no gradient, no update: as PyTorch's Adam
        assert (architecture.alpha[cell_type].numpy() == alpha[alpha_names[cell_type]]).all()
    file.update({f"after_step3/{name}": value for name, value in stored_state(model).items()})
    file["after_step3/logits_valid"] = bilevel.forward(valid[0], training=True).numpy()
    file["genotype"] = np.array(magnitude.select(architecture).genotype.to_text(space))
    return file


def network_reference(space, genotype, channels, cells, classes, size=8, auxiliary=False):
    """Compute what the README of the reference files says of a network, with ours."""
    model = Network(space, genotype, channels, cells, classes, auxiliary=auxiliary, seed=3)
    images, labels = images_and_labels(classes, size)
    file = {
        **stored_state(model),
        "genotype": np.array(genotype.to_text(space)),
        "x": images.transpose(0, 3, 1, 2),
        "y": labels,
        "parameters": np.array(count_parameters(model)),
    }
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        logits, auxiliary_logits = model(images, training=True)
        loss = network_loss(logits, auxiliary_logits, labels, len(labels), 0.4)
    zero = tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(loss, variables, unconnected_gradients=zero)
    file["train_logits"], file["train_loss"] = logits.numpy(), loss.numpy()
    if auxiliary:
        file["train_aux_logits"] = auxiliary_logits.numpy()
    for name, gradient in torch_gradients(model, gradients).items():
        file[f"weight_grad/{name}"] = gradient
    for name, value in stored_state(model).items():
        if "running" in name:
            file[name.replace("state/", "after_forward/")] = value
    file["eval_logits_after_one_train_forward"] = model(images, training=False)[0].numpy()
    return file


def beyond(comparisons) -> list[str]:
    return [comparison.key for comparison in comparisons if not comparison.passed]
