"""Reference files as the README of the real ones describes them, by PyTorch: the peer of `bin/benchmark`.

    python -m tests.tools.verify.by_torch OUTPUT.npz SPACE CHANNELS CELLS CLASSES [GENOTYPE]

Weights, alpha and batches are float32, everything is computed in float64. A process of its own, without
TensorFlow.
"""

import re
import sys

import numpy as np
import torch
from torch.nn import functional

from tf_darts import spaces
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.tools.benchmark import peer_pytorch as peer

STEPS, LEARNING_RATE = 3, 0.025


def release_name(model, name: str) -> str:
    """Return the release's name of a parameter or buffer of the peer."""
    if model.genotype is not None:
        member = "layers" if model.space.stacking.name == "nas_bench_201" else "_ops"
        return re.sub(r"\._ops\.(\d+)\.op\.", rf".{member}.\1.", name)
    if model.space.stacking.name == "nas_bench_201":
        edges = [str(edge) for edge in model.space.edges]
        return re.sub(r"\._ops\.(\d+)\._ops\.", lambda m: f".edges.{edges[int(m[1])]}.", name)
    return name


def named(prefix: str, model, tensors) -> dict[str, np.ndarray]:
    return {
        f"{prefix}{release_name(model, name)}": tensor.detach().numpy().copy() for name, tensor in tensors
    }


def gradients(model):
    """Return the gradients by name, zeros where a weight has none."""
    return [(n, torch.zeros_like(p) if p.grad is None else p.grad) for n, p in model.named_parameters()]


def batch(classes: int, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw six images, of which float32 holds every number, and their labels."""
    random = np.random.default_rng(seed)
    images = random.normal(size=(6, 3, size, size)).astype(np.float32)
    return torch.from_numpy(images).double(), torch.from_numpy(random.integers(0, classes, 6))


def made(space, channels, cells, classes, genotype=None, auxiliary=False):
    """Return a model in training mode and its state; scales and running statistics are not 1 and 0."""
    model = peer.TorchModel(space, channels, cells, classes, genotype, auxiliary)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias)
    state = named("state/", model, model.state_dict().items())
    return model.double().train(), state


def supernet(space, channels, cells, classes, probes, size=8) -> dict[str, np.ndarray]:
    """Compute what a file holds of a supernet; `probes` as (cell type, edge, operation)."""
    model, file = made(space, channels, cells, classes)
    single, shape = len(space.cell_types) == 1, (len(space.edges), space.num_operations)
    names = {t: "alpha" if single else f"alphas_{t}" for t in space.cell_types}
    alphas = {t: (0.3 * torch.randn(shape)).double().requires_grad_() for t in space.cell_types}
    valid, train = batch(classes, size, 1), batch(classes, size, 2)
    for half, (images, labels) in {"valid": valid, "train": train}.items():
        file |= {f"x_{half}": images.float().numpy(), f"y_{half}": labels.numpy()}
    file |= {f"alpha/{names[t]}": a.detach().float().numpy() for t, a in alphas.items()}

    def weights() -> dict[str, torch.Tensor]:
        rows = {}
        for t, alpha in alphas.items():
            count = torch.tensor([len(row) for row in space.candidates[t]])
            there = torch.arange(shape[1])[None] < count[:, None]
            rows[t] = torch.softmax(alpha.masked_fill(~there, -torch.inf), -1)
        return rows

    def after(step: int) -> dict[str, np.ndarray]:
        return {f"after_step{step}/alpha/{names[t]}": a.detach().numpy().copy() for t, a in alphas.items()}

    file["logits_valid"] = model(valid[0], weights())[0].detach().numpy()
    for cell_type, edge, operation in probes:
        rows = {t: w.detach().clone() for t, w in weights().items()}
        rows[cell_type][edge, operation] = 0.0
        key = f"probe/{'' if single else cell_type + '/'}edge{edge}/op{operation}/logits"
        file[key] = model(valid[0], rows)[0].detach().numpy()
    of_weights = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=0.9, weight_decay=3e-4)
    of_alpha = torch.optim.Adam(alphas.values(), 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    for step in range(STEPS):
        of_alpha.zero_grad()
        loss = functional.cross_entropy(model(valid[0], weights())[0], valid[1])
        loss.backward()
        if step == 0:
            file["loss_valid"] = loss.detach().numpy()
            for t, alpha in alphas.items():
                if alpha.grad is not None:
                    file[f"alpha_grad/{names[t]}"] = alpha.grad.numpy().copy()
        of_alpha.step()
        of_weights.zero_grad()
        logits = model(train[0], weights())[0]
        loss = functional.cross_entropy(logits, train[1])
        loss.backward()
        if step == 0:
            file |= {"logits_train": logits.detach().numpy(), "loss_train": loss.detach().numpy()}
            file |= named("weight_grad/", model, gradients(model))
        file[f"grad_norm/step{step}"] = torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0).numpy()
        of_weights.step()
        file |= after(step + 1)
    file |= named(f"after_step{STEPS}/state/", model, model.state_dict().items())
    file[f"after_step{STEPS}/logits_valid"] = model(valid[0], weights())[0].detach().numpy()
    return file


def network(space, channels, cells, classes, genotype, size=8) -> dict[str, np.ndarray]:
    """Compute what a file holds of a network; with an auxiliary head where images are of 32 pixels."""
    model, file = made(space, channels, cells, classes, genotype, auxiliary=size == 32)
    images, labels = batch(classes, size, 0)
    file |= {"genotype": np.array(genotype.to_text(space)), "x": images.float().numpy(), "y": labels.numpy()}
    file["parameters"] = np.array(peer.count_parameters(model))
    arguments = {t: [0.0] * len(genotype.cells[t]) for t in space.cell_types}
    logits, of_auxiliary = model(images, arguments)
    loss = functional.cross_entropy(logits, labels)
    if of_auxiliary is not None:
        loss = loss + 0.4 * functional.cross_entropy(of_auxiliary, labels)
        file["train_aux_logits"] = of_auxiliary.detach().numpy()
    loss.backward()
    file |= {"train_logits": logits.detach().numpy(), "train_loss": loss.detach().numpy()}
    file |= named("weight_grad/", model, gradients(model))
    running = [(name, value) for name, value in model.state_dict().items() if "running" in name]
    file |= named("after_forward/", model, running)
    with torch.no_grad():
        logits = model.eval()(images, arguments)[0]
    file["eval_logits_after_one_train_forward"] = logits.numpy()
    return file


def main() -> None:
    """Write the file that the arguments describe."""
    path, name, *sizes = sys.argv[1:6]
    space, (channels, cells, classes) = spaces.get(name), map(int, sizes)
    torch.manual_seed(0)
    if len(sys.argv) > 6:
        genotype = genotype_lib.from_text(sys.argv[6], space)
        size = 32 if name != "nas_bench_201" and cells >= 3 else 8
        np.savez(path, **network(space, channels, cells, classes, genotype, size))
        return
    last = space.cell_types[-1]
    probes = [(space.cell_types[0], 0, 1), (last, len(space.edges) - 1, 0), (last, 1, 1)]
    np.savez(path, **supernet(space, channels, cells, classes, probes))


if __name__ == "__main__":
    main()
