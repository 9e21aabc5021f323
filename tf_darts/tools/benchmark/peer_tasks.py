"""The peer's side of the benchmark: the tasks of `measure.py`, with the model of `peer_pytorch.py`.

Batches are made beforehand: the peer's data loading and augmentation are left out of its times, ours are in.
On a machine with a GPU everything is on the first one, as ours is, with TF32 where TensorFlow has it.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tf_darts.runtime import host
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.spaces import Space
from tf_darts.tools.benchmark.cases import BenchmarkCase, program_config
from tf_darts.tools.benchmark.machine import CPU
from tf_darts.tools.benchmark.peer_pytorch import TorchModel, count_parameters
from tf_darts.tools.benchmark.whole import plan_of

Answer = dict[str, Any]
Batch = tuple[torch.Tensor, torch.Tensor]  # images float32 [B, 3, H, W], labels int64 [B]


DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def peak_memory() -> int:
    """Return the peak memory in bytes: of the GPU, or of the process where there is no GPU."""
    return torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else host.peak_memory()


def finish() -> None:
    """Wait for what a GPU still has to do, so that it is timed too."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def precision(name: str) -> torch.autocast:
    """Return a context for the activations' type: float32, or bfloat16 for `mixed_bfloat16`."""
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=name == "mixed_bfloat16")


class PeerArchitecture:
    """Alpha, the decisions, and the mixing weights made of them as in `tf_darts.models.architecture`.

    Args:
      space: the search space.
      scale: standard deviation of alpha's start.
    """

    def __init__(self, space: Space, scale: float):
        shape = len(space.edges), space.num_operations
        self.alpha, self._exists, self.decided, self.rows, self.mask = {}, {}, {}, {}, {}
        for cell_type, rows in space.candidates.items():
            self.alpha[cell_type] = (scale * torch.randn(shape)).requires_grad_()
            widths = torch.tensor([len(row) for row in rows])
            self._exists[cell_type] = torch.arange(shape[1])[None] < widths[:, None]
            self.decided[cell_type] = torch.zeros(shape[0], 1, dtype=torch.bool)
            self.rows[cell_type] = torch.zeros(shape)
            self.mask[cell_type] = torch.ones(shape)

    def mixing_weights(self) -> dict[str, torch.Tensor]:
        """Return the mixing weights, [edges, operations] per cell type."""
        weights = {}
        for cell_type, alpha in self.alpha.items():
            p = functional.softmax(alpha.masked_fill(~self._exists[cell_type], -1e9), -1)
            p = torch.where(self.decided[cell_type], self.rows[cell_type], p)
            weights[cell_type] = p * self.mask[cell_type]
        return weights

    def decide(self, row: dict) -> None:
        """Make a decision (a row of decisions.jsonl)."""
        cell_type = row["cell_type"]
        edges = [row["edge"]] if row["kind"] == "operation" else row["removed"]
        self.decided[cell_type][edges] = True
        self.rows[cell_type][edges] = 0.0
        if row["kind"] == "operation":
            self.rows[cell_type][row["edge"], row["operation"]] = 1.0


class PeerBilevel:
    """A supernet with its architecture and the optimisers of both: first-order DARTS as usually written.

    Args:
      model: the supernet.
      architecture: alpha and the decisions.
      config: the programs' config.
      learning_rate: of the weights.
    """

    def __init__(self, model: TorchModel, architecture: PeerArchitecture, config: Any, learning_rate: float):
        search, self._precision = config.search, config.runtime.precision
        self.model, self.architecture, self._clip_norm = model, architecture, search.clip_norm
        present = {block.cell_type for block in model.layout}
        self.alphas = [alpha for t, alpha in architecture.alpha.items() if t in present]
        self.weight_optimizer = torch.optim.SGD(
            model.parameters(), learning_rate, search.momentum, weight_decay=search.weight_decay
        )
        self.alpha_optimizer = torch.optim.Adam(
            self.alphas,
            search.alpha_learning_rate,
            (search.alpha_beta1, search.alpha_beta2),
            search.alpha_epsilon,
            search.alpha_weight_decay,
        )

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy of a batch, in training mode."""
        images, labels = batch
        with precision(self._precision):
            logits, _ = self.model(images, self.architecture.mixing_weights())
            return functional.cross_entropy(logits, labels)

    def alpha_step(self, batch: Batch, alpha_gradients: str = "usual") -> None:
        """Update alpha on a validation batch.

        Args:
          batch: the validation batch.
          alpha_gradients: "usual": `loss.backward()`, as the release and its followers do, which computes the
            gradients of all weights too and throws them away; "lean": the gradients of alpha only.
        """
        self.alpha_optimizer.zero_grad()
        loss = self.loss(batch)
        if alpha_gradients == "usual":
            loss.backward()
        else:
            for alpha, gradient in zip(self.alphas, torch.autograd.grad(loss, self.alphas), strict=True):
                alpha.grad = gradient
        self.alpha_optimizer.step()

    def weight_step(self, batch: Batch) -> None:
        """Update the weights on a training batch."""
        self.weight_optimizer.zero_grad()
        self.loss(batch).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self._clip_norm)
        self.weight_optimizer.step()

    @torch.no_grad()
    def probe(self, cell_type: str, edge: int, operation: int | None, batches: list[Batch]) -> int:
        """Count correct images without one operation (None: the edge); batch statistics, no gradients."""
        mask = self.architecture.mask[cell_type]
        mask[edge, slice(None) if operation is None else operation] = 0.0
        weights, correct = self.architecture.mixing_weights(), 0
        for images, labels in batches:
            with precision(self._precision):
                logits, _ = self.model(images, weights)
            correct += (logits.argmax(1) == labels).sum()
        mask.fill_(1.0)
        return int(correct)


def training_step(model: TorchModel, optimizer: torch.optim.Optimizer, config: Any, batch: Batch) -> None:
    """Update a network once, with half of the final drop-path probability."""
    (images, labels), training = batch, config.training
    edges = {t: [training.drop_path / 2] * len(cell) for t, cell in model.genotype.cells.items()}
    optimizer.zero_grad()
    with precision(config.runtime.precision):
        logits, auxiliary = model(images, edges)
        loss = functional.cross_entropy(logits, labels)
        if auxiliary is not None:
            loss = loss + training.auxiliary_weight * functional.cross_entropy(auxiliary, labels)
    loss.backward()
    if training.clip_norm:
        nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
    optimizer.step()


class PeerTask:
    """What the tasks share.

    Args:
      case: what is measured.
      settings: the benchmark's config as a plain dictionary.
    """

    def __init__(self, case: BenchmarkCase, settings: dict[str, Any]):
        if settings["intra_op_threads"]:
            torch.set_num_threads(settings["intra_op_threads"])
        if settings["inter_op_threads"]:
            torch.set_num_interop_threads(settings["inter_op_threads"])
        torch.set_default_device(DEVICE)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.deterministic = settings["deterministic"]
        torch.backends.cudnn.benchmark = not settings["deterministic"]  # as the release has it
        torch.manual_seed(settings["seed"])
        self.case, self.settings = case, settings
        self.config = program_config(case, settings)
        self.space = case.search_space()

    def _batches(self, size: int, count: int) -> list[Batch]:
        draw = np.random.default_rng(0)
        shape = (size, 3, self.case.image_size, self.case.image_size)
        return [
            (
                torch.from_numpy(draw.standard_normal(shape, np.float32)).to(DEVICE),
                torch.from_numpy(draw.integers(0, self.case.classes, size)).to(DEVICE),
            )
            for _ in range(count)
        ]

    def _bilevel(self, learning_rate: float) -> PeerBilevel:
        search = self.config.search
        model = TorchModel(self.space, search.channels, search.cells, self.case.classes).train()
        return PeerBilevel(
            model, PeerArchitecture(self.space, search.alpha_scale), self.config, learning_rate
        )

    def _probe_batches(self) -> list[Batch]:
        return self._batches(self.case.batch_size, self.settings["probe_batches"])

    def _steps(self, bilevel: PeerBilevel, count: int, alpha_gradients: str) -> Answer:
        for _ in range(count):
            bilevel.alpha_step(self._valid, alpha_gradients)
            bilevel.weight_step(self._train)
        finish()
        return {"count": count}

    @staticmethod
    def about() -> Answer:
        """Return the threads that torch uses, and the device's name: "CPU", or the GPU's."""
        threads = {"intra_op": torch.get_num_threads(), "inter_op": torch.get_num_interop_threads()}
        if DEVICE.type == "cpu":
            return {"threads": threads, "device": CPU}
        return {"threads": threads, "device": torch.cuda.get_device_name(), "import_memory": 0}


class PeerSearch(PeerTask):
    """Building, bilevel steps, probe batches and perturbation events."""

    def build(self) -> Answer:
        """Make the supernet, its optimisers and the batches; return its number of parameters."""
        self._few = self._probe_batches()
        self._train, self._valid = self._batches(self.case.batch_size, 2)
        self.bilevel = self._bilevel(self.config.search.learning_rate)
        self._planned, _ = plan_of(self.space, self.settings["interval"], self.settings["seed"])
        return {"parameters": count_parameters(self.bilevel.model)}

    def step(self, count: int, alpha_gradients: str = "usual") -> Answer:
        """Run so many bilevel steps."""
        return self._steps(self.bilevel, count, alpha_gradients)

    def probe(self) -> Answer:
        """Run one probe, of the first operation of the first edge, over the few validation batches."""
        self.bilevel.probe(self._planned[0].cell_type, 0, 0, self._few)
        return {"count": len(self._few)}

    def event(self) -> Answer:
        """Run all probes of the first event over the few validation batches."""
        event = [p for p in self._planned if p.event == 0]
        return {"count": sum(self._decision(p) for p in event)}

    def _decision(self, planned: PlannedDecision) -> int:
        """Probe every operation of an edge (the first event decides operations); count the batches."""
        operations = range(len(self.space.candidates[planned.cell_type][planned.place]))
        scores = [self.bilevel.probe(planned.cell_type, planned.place, o, self._few) for o in operations]
        return len(scores) * len(self._few)


class PeerTraining(PeerTask):
    """Steps of training a network from scratch."""

    def build(self) -> Answer:
        """Make the network, its optimiser and a batch; return its number of parameters."""
        training = self.config.training
        self._model = TorchModel(
            self.space,
            training.channels,
            training.cells,
            self.case.classes,
            self.case.to_genotype(),
            bool(training.auxiliary_weight),
        ).train()
        self._optimizer = torch.optim.SGD(
            self._model.parameters(),
            training.learning_rate,
            training.momentum,
            weight_decay=training.weight_decay,
        )
        (self._batch,) = self._batches(training.batch_size, 1)
        return {"parameters": count_parameters(self._model)}

    def step(self, count: int) -> Answer:
        """Run so many steps."""
        for _ in range(count):
            training_step(self._model, self._optimizer, self.config, self._batch)
        finish()
        return {"count": count}


class PeerSelection(PeerTask):
    """Fine-tuning steps and probes at stages of a selection: with some decisions made."""

    def build(self) -> Answer:
        """Make the supernet."""
        self._few = self._probe_batches()
        self._train, self._valid = self._batches(self.case.batch_size, 2)
        self.bilevel = self._bilevel(self.config.selection.learning_rate)
        return {"parameters": count_parameters(self.bilevel.model)}

    def stage(self, decisions: list[dict]) -> Answer:
        """Make further decisions."""
        for row in decisions:
            self.bilevel.architecture.decide(row)
        return {"made_anew": False}

    def step(self, count: int, alpha_gradients: str = "usual") -> Answer:
        """Run so many steps of fine-tuning."""
        return self._steps(self.bilevel, count, alpha_gradients)

    def probe(self, cell_type: str, edge: int, operation: int | None) -> Answer:
        """Run one probe over the few validation batches."""
        self.bilevel.probe(cell_type, edge, operation, self._few)
        return {"count": len(self._few)}


# By the name that a worker is told.
TASKS = {"search": PeerSearch, "training": PeerTraining, "selection": PeerSelection}
