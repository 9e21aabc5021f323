"""What a part of a search is, and which parts may stand together."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import ml_collections
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.models.architecture import Architecture, Normalise
from tf_darts.optim.losses import Batch
from tf_darts.search.bilevel import Bilevel, MixingWeights
from tf_darts.search.now import Now
from tf_darts.spaces import Space

Rows = dict[str, tf.Tensor]
"""What replaces the probabilities of alpha: float [edges, operations] per cell type."""

SAMPLER, PERTURBATION, REGULARISER = "sampler", "perturbation", "regulariser"


class SearchPart:
    """One thing that a step does otherwise than DARTS; `search.parts` names it, beside any other.

    A part changes as much of this as it needs to. What is left as it is here changes nothing.

    Args:
      config: the whole config, valid.
      space: the search space.

    Attributes:
      kind: what it replaces: two of one kind exclude each other, but for regularisers. "": of
        no kind.
      refuses: what it may not stand beside, with the reason: a kind, another part or a search method.
      needs: another part that it makes no sense without, and the reason; None: none.
      normalise: makes probabilities of alpha; None: those of the method.
      weighs_edges: as `Architecture.weighs_edges`.
      partial_channels: as `Supernet.partial_channels`.
      operations: that an edge has at most; 0: all.
      searches: stages that it makes of a search, one after the other.
      auxiliary_skip: as `Supernet.auxiliary_skip`.
      metrics: names of what `measure` returns.
      weight_passes: batches that it passes forward and backward in a step of the weights, besides the step.
      compares_gradients: whether `update` judges the gradients, and so has to see them before other parts
        change them.
      state: variables of its own, which checkpoints hold; `begin` makes them.
    """

    kind = ""
    refuses: ClassVar[Mapping[str, str]] = {}
    needs: tuple[str, str] | None = None
    normalise: Normalise | None = None
    weighs_edges = False
    partial_channels = 1
    operations = 0
    searches = 1
    auxiliary_skip = False
    metrics: tuple[str, ...] = ()
    weight_passes: float = 0
    compares_gradients = False
    state: tf.Module | None = None

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        self.config, self.space = config, space

    def enter(self, stage: int) -> None:
        """Set what depends on the stage of a search that has several, from 0."""

    def begin(self, bilevel: Bilevel) -> None:
        """Make what depends on the supernet, once, before the first step."""

    def sample(self, architecture: Architecture, now: Now, half: str) -> Rows | None:
        """Return what replaces the probabilities in both halves of a step; None: nothing.

        Args:
          architecture: alpha and the masks; rows of decided edges have to stay one-hot.
          now: where the step is.
          half: "valid" in the step of alpha, "train" in that of the weights.
        """

    def perturb(self, bilevel: Bilevel, train: Batch, now: Now) -> Rows | None:
        """Return the same for the step of the weights alone."""

    def beside(self, architecture: Architecture, now: Now) -> Rows:
        """Return more that the supernet is called with beside the mixing weights (`Supernet.call`)."""
        return {}

    def penalty(
        self, architecture: Architecture, alphas: Mapping[str, tf.Variable], now: Now
    ) -> tf.Tensor | None:
        """Return what alpha descends besides the validation loss, a scalar; None: nothing.

        Args:
          architecture: the masks.
          alphas: alpha of each cell type that the supernet has, float [edges, operations].
          now: where the step is.
        """

    def update(
        self,
        bilevel: Bilevel,
        train: Batch,
        now: Now,
        mixing_weights: MixingWeights,
        gradients: list[tf.Tensor],
        apply: Callable[[list[tf.Tensor]], tf.Tensor],
    ) -> tf.Tensor:
        """Update the weights, by `apply`; return the gradients' global norm before clipping.

        Args:
          bilevel: supernet and weights.
          train: this replica's training batch.
          now: where the step is; `now.valid` is the validation batch.
          mixing_weights: at which the gradients were computed.
          gradients: of the global batch in the weights.
          apply: does the update with some gradients, and what further parts do.
        """
        return apply(gradients)

    def measure(self) -> dict[str, tf.Tensor]:
        """Return the metrics after a step, each the same on every replica."""
        return {}


def linear(start: float, end: float, now: Now) -> tf.Tensor:
    """Return what goes linearly from a start to an end over the search, and is at its end in fine-tuning."""
    return start + (end - start) * now.progress


def check(parts: Mapping[str, SearchPart], method: str, trains_alpha: bool) -> None:
    """Check that parts may stand together.

    Args:
      parts: by name.
      method: name of the search method.
      trains_alpha: whether it trains alpha.

    Raises:
      UserError: they may not; the message says why.
    """
    for name, part in parts.items():
        if part.kind == REGULARISER and not trains_alpha:
            raise _refusal(name, f"search.method {method!r}", "no step of it trains alpha")
        for other, beside in parts.items():
            if other != name and part.kind == beside.kind != "" and part.kind != REGULARISER:
                raise _refusal(name, repr(other), f"each is a {part.kind}, and a search has one")
            reason = part.refuses.get(other) or part.refuses.get(beside.kind or other)
            if other != name and reason:
                raise _refusal(name, repr(other), reason)
        if part.needs is not None and part.needs[0] not in parts:
            needed, reason = part.needs
            raise UserError(
                f"config: search.parts: {name!r} without {needed!r}; allowed: beside it: {reason}"
            )
        if method in part.refuses:
            raise _refusal(name, f"search.method {method!r}", part.refuses[method])


def _refusal(name: str, other: str, reason: str) -> UserError:
    return UserError(f"config: search.parts: {name!r} beside {other}; allowed: one of them: {reason}")
