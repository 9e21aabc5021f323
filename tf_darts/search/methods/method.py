"""What a search method is."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import tensorflow as tf

from tf_darts.config import depends
from tf_darts.data.image_data import ImageData
from tf_darts.errors import UserError
from tf_darts.models.architecture import Architecture, Normalise, softmax
from tf_darts.models.budget import Budget
from tf_darts.optim.losses import Batch
from tf_darts.optim.optimizers import sum_over_replicas
from tf_darts.registry import PARTS
from tf_darts.search.bilevel import Bilevel, Evaluated, MixingWeights
from tf_darts.search.now import Now
from tf_darts.search.parts import search_part as part_lib
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import Decision

WEIGHT_METRICS = ("train_loss", "train_accuracy", "gradient_norm")
ALPHA_METRICS = ("valid_loss", "valid_accuracy")


class Method:
    """A search method; the loops of search and fine-tuning call it by name.

    A method changes as much of this as it needs to: the whole `step`, or one of its two halves.

    Args:
      config: the whole config, valid.
      space: the search space.

    Attributes:
      metrics: names of what a step measures of the training batch.
      alpha_metrics: and of the validation batch, where it trains alpha; empty: no step does.
      parts: what the steps do otherwise, by name: the method's own parts, then those of `search.parts`. A
        method with a step of its own has none.
      alpha_scale: name of the config's field for the standard deviation of alpha's start.
      normalise: makes probabilities of alpha.
      weighs_edges: whether edges have alpha of their own (`Architecture.weighs_edges`).
      partial_channels: as `Supernet.partial_channels`.
      auxiliary_skip: as `Supernet.auxiliary_skip`.
      differentiates_twice: whether it takes a gradient of a gradient through the supernet.
      whole_passes: whether training batches are passes over the training half, not fresh draws.
      alpha_passes: batches that a step of alpha passes forward and backward (`report.spent`).
      weight_passes: the same of a step of the weights.
      searches: stages that the search has, one after the other (`earlier`).
      stage: number of this one, from 0; the last, which selections see, but for those of `earlier`.
      operations: that an edge has in it at most; 0: all.
      budget: what a selected network has to keep to; None: no budget. The set-up sets it before `check`.
    """

    metrics: tuple[str, ...] = WEIGHT_METRICS
    alpha_metrics: tuple[str, ...] = ALPHA_METRICS
    alpha_scale = "alpha_scale"
    normalise: Normalise = staticmethod(softmax)
    weighs_edges = False
    partial_channels = 1
    auxiliary_skip = False
    differentiates_twice = False
    whole_passes = False
    alpha_passes: float = 1
    weight_passes: float = 1
    operations = 0
    budget: Budget | None = None

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        self.config, self.space = config, space
        self.parts = self._load_parts()
        for part in self.parts.values():
            self.normalise = part.normalise or self.normalise
            self.weighs_edges |= part.weighs_edges
            self.auxiliary_skip |= part.auxiliary_skip
            self.metrics += part.metrics
            self.weight_passes += part.weight_passes
        self.searches = max((part.searches for part in self.parts.values()), default=1)
        self._enter(self.searches - 1)

    def _enter(self, stage: int) -> None:
        """Be a stage of the search, from 0."""
        self.stage = stage
        for part in self.parts.values():
            part.enter(stage)
            if part.partial_channels > 1:  # of one part at most
                self.partial_channels = part.partial_channels
            self.operations = part.operations or self.operations

    def _load_parts(self) -> dict[str, part_lib.SearchPart]:
        """Make the parts.

        Raises:
          UserError: they may not stand together, or not beside this method.
        """
        names, method = depends.parts_of(self.config), self.config.search.method
        steps = ("step", "fit_alpha", "fit_weights")
        own = [name for name in steps if getattr(type(self), name) is not getattr(Method, name)]
        if names and own:
            raise UserError(
                f"config: search.parts is {names!r} with search.method {method!r}, which has a step of its"
                " own; allowed: (), or a method that has the step of DARTS, such as 'darts'"
            )
        made = {name: PARTS.load(name)(self.config, self.space) for name in names}
        part_lib.check(made, method, bool(self.alpha_metrics))
        return made

    def begin(self, bilevel: Bilevel) -> None:
        """Have the parts made ready for a supernet."""
        for part in self.parts.values():
            part.begin(bilevel)

    def part_states(self) -> dict[str, tf.Module]:
        """Return the variables of parts, or the method's own, which checkpoints hold, by name."""
        states = {f"part_{name}": part.state for name, part in self.parts.items()}
        return {name: state for name, state in states.items() if state is not None}

    def earlier(self) -> list["Method"]:
        """Return the methods of the stages that are searched before this one (`search.progressive`)."""
        found = [type(self)(self.config, self.space) for _ in range(self.stage)]
        for stage, method in enumerate(found):
            method._enter(stage)
        return found

    @property
    def epochs(self) -> int:
        """Epochs that are searched, of the `search.epochs` that schedules are made for."""
        return self.config.search.stop_after or self.config.search.epochs

    def step(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> dict[str, tf.Tensor]:
        """Do a step of alpha, then a step of the weights with the new alpha (DARTS, algorithm 1).

        Called in replica context.

        Returns:
          This replica's share of every metric.
        """
        values, now = {}, dataclasses.replace(now, valid=valid)
        if self.alpha_metrics and now.trains_alpha:
            evaluated = self.fit_alpha(bilevel, train, valid, now)
            values = _shares("valid", evaluated, now.valid_total)
            # The training batch waits for the new alpha: what does not depend on alpha would otherwise be
            # computed ahead, and be held in memory meanwhile.
            with tf.control_dependencies([alpha.read_value() for alpha in bilevel.alphas.values()]):
                train = tf.identity(train[0]), train[1]
        evaluated, norm = self.fit_weights(bilevel, train, now)
        replicas = float(tf.distribute.get_replica_context().num_replicas_in_sync)
        values |= _shares("train", evaluated, now.train_total)
        # The same on every replica, and metrics are summed over them.
        values["gradient_norm"] = norm / replicas
        for part in self.parts.values():
            values |= {name: value / replicas for name, value in part.measure().items()}
        return values

    def fit_alpha(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> Evaluated:
        """Do one update of alpha."""
        if not self.parts:
            return bilevel.alpha_step(valid, now.valid_total)
        evaluated = bilevel.alpha_gradients(
            valid, now.valid_total, lambda: self.mixing(bilevel, now, "valid")
        )
        gradients = sum_over_replicas(evaluated.gradients)
        bilevel.alpha_optimizer.apply(self._with_penalties(bilevel, now, gradients))
        return evaluated

    def fit_weights(self, bilevel: Bilevel, train: Batch, now: Now) -> tuple[Evaluated, tf.Tensor]:
        """Do one update of the weights; also return the gradients' global norm before clipping."""
        if not self.parts:
            return bilevel.weight_step(train, now.train_total, now.learning_rate)
        mixing = self.mixing(bilevel, now, "train", train)
        evaluated = bilevel.weight_gradients(train, now.train_total, lambda: mixing)
        parts = sorted(self.parts.values(), key=lambda part: not part.compares_gradients)

        def apply(gradients: list[tf.Tensor], done: int = 0) -> tf.Tensor:
            if done == len(parts):
                return bilevel.weight_optimizer.apply(gradients, now.learning_rate)
            return parts[done].update(bilevel, train, now, mixing, gradients, lambda g: apply(g, done + 1))

        return evaluated, apply(sum_over_replicas(evaluated.gradients))

    def mixing(self, bilevel: Bilevel, now: Now, half: str, train: Batch | None = None) -> MixingWeights:
        """Return the mixing weights of a half of the step, as the parts make them.

        Args:
          bilevel: supernet and architecture.
          now: where the step is.
          half: "valid" or "train".
          train: this replica's training batch, for the second.
        """
        architecture, rows = bilevel.architecture, None
        for part in self.parts.values():
            made = part.sample(architecture, now, half)
            if made is None and train is not None:
                made = part.perturb(bilevel, train, now)
            rows = rows if made is None else made
        mixing = architecture.mixing_weights(rows)
        for part in self.parts.values():
            mixing |= part.beside(architecture, now)
        return mixing

    def _with_penalties(self, bilevel: Bilevel, now: Now, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Return gradients of alpha with those of the parts' penalties added."""
        architecture = bilevel.architecture
        alphas = {t: alpha for t, alpha in bilevel.alphas.items() if t in architecture.alpha}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(alphas.values()))
            penalties = [part.penalty(architecture, alphas, now) for part in self.parts.values()]
            terms = [penalty for penalty in penalties if penalty is not None]
            total = tf.add_n(terms) if terms else None
        if total is None:
            return gradients
        # Of alpha of edges a penalty says nothing.
        wanted = list(bilevel.alphas.values())
        pull = tape.gradient(total, wanted, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [g + p for g, p in zip(gradients, pull, strict=True)]

    def architecture(self, seed: int = 0) -> Architecture:
        """Return a new architecture as the method searches it.

        Args:
          seed: of alpha's start.
        """
        scale = self.config.search[self.alpha_scale]
        passes_by = self.partial_channels > 1
        return Architecture(self.space, scale, seed, self.normalise, self.weighs_edges, passes_by)

    def batch_size(self, epoch: int) -> int:
        """Return the global batch of both halves in an epoch of the search, from 0."""
        return self.config.search.batch_size

    def check(self, data: ImageData | None = None) -> None:
        """Check, before any work, that the config suits the method and the space.

        Args:
          data: the data, where they are loaded by then.

        Raises:
          UserError: it does not.
        """

    def decide(self, setup: Any, epoch: int, epochs: list[dict]) -> Sequence[Decision | Mapping[str, Any]]:
        """Decide edges, or change alpha, at the end of an epoch of the search.

        Args:
          setup: supernet and data (`search.setup.SearchSetup`).
          epoch: the epoch, from 0.
          epochs: rows of metrics.jsonl of all finished epochs, this one last.

        Returns:
          The decisions, or rows of decisions.jsonl; the architecture holds them.
        """
        return []


def _shares(half: str, evaluated: Evaluated, total: int) -> dict[str, tf.Tensor]:
    accuracy = tf.cast(evaluated.correct, evaluated.loss.dtype) / total
    return {f"{half}_loss": evaluated.loss, f"{half}_accuracy": accuracy}
