"""Probes: the supernet's score on the validation half with one operation or edge left out.

The probes of a decision see the same images in the same batches. A batch is drawn once for all of them, and
what is the same for all of them is computed once (`selection.probe_pass`).
"""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.layers.batch_norm import vectorized
from tf_darts.models.evaluator import Score
from tf_darts.models.supernet import Supernet
from tf_darts.optim.losses import losses_and_hits
from tf_darts.registry import OPERATIONS
from tf_darts.runtime import preemption, workers
from tf_darts.runtime.strategy import device_type
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.measurer import Measurer, Measures
from tf_darts.selection.probe_pass import Removal, mask_without, probe_logits, shared_pass
from tf_darts.selection.probe_steps import ProbeSteps
from tf_darts.selection.race import Race

# Whether probes are one pass, by kind of device. On a GPU a pass takes as long as starting its operations
# takes; on a CPU it would only take more memory. On a TPU its bytes count, which are as many.
TOGETHER = {"CPU": False, "GPU": True, "TPU": False}

LOOKS = 16  # at a race, in a pass: more of them find less, as the error is shared out among them


class Scorer(abc.ABC):
    """Scores from what `seen`, which subclasses define, measures on every image."""

    def score(
        self,
        cell_type: str,
        removals: Sequence[Removal],
        pass_index: int,
        race: Race | None = None,
        each_call: Callable[[int], None] = lambda batches: None,
    ) -> list[Score]:
        """Score each removal over a pass, or, racing, until it leaves the race.

        Args:
          cell_type: the cell type that something is removed from.
          removals: what is removed, one at a time; all of edges into one node.
          pass_index: passes of one index see the same images in the same order and augmentation.
          race: decides after each call which removals are scored further; None: all of them.
          each_call: told after each call how many batches of probes it did.

        Returns:
          A score for each removal, over the images that it saw.
        """
        return [s.score() for s in self.seen(cell_type, removals, pass_index, race, each_call)]

    def score_beside_whole(
        self,
        cell_type: str,
        removals: Sequence[Removal],
        pass_index: int,
        race: Race | None = None,
        each_call: Callable[[int], None] = lambda batches: None,
    ) -> tuple[list["Seen"], "Seen"]:
        """Score beside the supernet as it is, which sees the same images in the same batches.

        Returns:
          What was measured on every image with each removal, and with the whole supernet.
        """
        *seen, whole = self.seen(cell_type, removals, pass_index, race, each_call, beside_whole=True)
        return seen, whole

    @abc.abstractmethod
    def measure(self, *arguments: Any, **keywords: Any) -> Measures:
        """Return what a criterion that looks at more than scores says of each removal (`Measurer`)."""

    @abc.abstractmethod
    def seen(self, *arguments: Any, **keywords: Any) -> list["Seen"]:
        """Return what each removal scored on every image, and last, if wanted, the whole (`Prober.seen`)."""


class Prober(Scorer):
    """Scores probes of a supernet as its masks stand.

    Its functions are traced when they are first needed; they compute what `Architecture.computed` says at
    that time.

    Args:
      setup: the supernet and its data.
      images: the images to score on.
      augment: whether they are augmented; None: as `selection.augment_probes` says.
      running: whether batch norms use the running statistics, and not the batch's.
    """

    def __init__(
        self,
        setup: SearchSetup,
        images: ImageSet | ImageStream,
        augment: bool | None = None,
        running: bool = False,
    ):
        self._training = not running
        self._setup, self._images = setup, images
        self._augment = setup.config.selection.augment_probes if augment is None else augment
        space = setup.space
        # As many as one decision can have, and the whole; fewer are evaluated where it has fewer.
        most = max(space.num_operations, *(len(space.incoming(node)) for node in space.targets)) + 1
        architecture = setup.bilevel.architecture
        rows = next(iter(architecture.computed.values()))
        floats = next(iter(architecture.alpha.values())).dtype
        shape = (most, len(rows), len(rows[0]))  # the same for all cell types
        with setup.strategy.scope():
            self._masks = tf.Variable(tf.ones(shape, floats), trainable=False, name="probe_masks")
            self._count = tf.Variable(most, trainable=False, dtype=tf.int32, name="probes")
        self._steps: dict[tuple[str, int], ProbeSteps] = {}
        self._measurer = Measurer(setup, images, self._augment)

    def measure(self, *arguments: Any, **keywords: Any) -> Measures:
        """Ask a criterion about the supernet, as `Measurer`."""
        return self._measurer(*arguments, **keywords)

    def seen(
        self,
        cell_type: str,
        removals: Sequence[Removal],
        pass_index: int,
        race: Race | None,
        each_call: Callable[[int], None],
        beside_whole: bool = False,
    ) -> list["Seen"]:
        """Return what each removal scored on every image, and last, if it is wanted, the whole supernet."""
        architecture, edges = self._setup.bilevel.architecture, self._setup.space.edges
        (node,) = {edges[edge].target for edge, _ in removals}
        steps = self.steps(cell_type, node)
        seen = [Seen() for _ in range(len(removals) + beside_whole)]
        whole = [len(removals)] if beside_whole else []
        running, done = list(range(len(removals))), 0
        while done < steps.per_pass and running:
            masks = np.ones(self._masks.shape, self._masks.dtype.as_numpy_dtype)
            for place, i in enumerate(running):
                masks[place] = mask_without(architecture, cell_type, *removals[i])
            self._masks.assign(masks)  # all: an assignment to a slice reaches one replica only
            self._count.assign(len(running + whole))
            rows, count = steps(pass_index, done)
            done += count
            for place, i in enumerate(running + whole):
                seen[i].add(rows["correct"][place], rows["loss"][place])
            each_call(count * len(running + whole))
            if workers.anywhere(preemption.asked()):  # the decision is made again, from its first batch
                preemption.leave()
            if race is not None and done < steps.per_pass:
                values = {i: seen[i].values(race.criterion) for i in running}
                running = race.left_in(values, looks=steps.calls - 1)
        return seen

    def steps(self, cell_type: str, node: int) -> ProbeSteps:
        """Return the compiled passes for probes of the edges into a node."""
        if (cell_type, node) not in self._steps:
            self._steps[cell_type, node] = self._make(cell_type, node)
        return self._steps[cell_type, node]

    def _make(self, cell_type: str, node: int) -> ProbeSteps:
        setup, config = self._setup, self._setup.config
        supernet, architecture = setup.bilevel.supernet, setup.bilevel.architecture
        most = self._masks.shape[0]

        def scores(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            weights, computed = architecture.mixing_weights(), architecture.computed
            given = (weights, computed, self._training)
            shared = shared_pass(supernet, cell_type, node, images, *given)

            def probe(mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                logits = probe_logits(supernet, cell_type, mask, shared, *given)
                loss, hit = losses_and_hits(logits, labels)
                return tf.cast(hit, loss.dtype), loss

            together = _fitting(most, len(supernet.body.layout)) if _suits(supernet, self._training) else 1
            return _in_parts(probe, self._masks.read_value(), self._count, together, labels.shape)

        batches = -(-self._images.size // setup.probe_batch)
        steps_per_call = config.runtime.steps_per_call
        if config.selection.racing_confidence:  # a look at the race after each call
            steps_per_call = min(steps_per_call, -(-batches // LOOKS))
        return ProbeSteps(
            setup.strategy,
            self._images,
            setup.probe_batch,
            scores,
            most,
            steps_per_call,
            self._augment,
        )


def _suits(supernet: Supernet, training: bool) -> bool:
    """Return whether probes that are traced now are one pass: no operation may draw or be a user's own.

    By running statistics (not `training`) they are not: TensorFlow does not vectorise scales there.
    """
    own = all(name in OPERATIONS.built_in for name in supernet.space.operations)
    return TOGETHER[device_type()] and training and own and not supernet.packed.others


def _fitting(probes: int, cells: int) -> int:
    """Return how many probes may be one pass: no more than need as much memory as a bilevel step.

    A step keeps the tensors of all cells for its gradients; a probe holds those of one cell at a time.
    """
    parts = -(-probes // max(cells, 1))
    return -(-probes // parts)


def _in_parts(
    probe: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    masks: tf.Tensor,
    count: tf.Tensor,
    together: int,
    shape: tf.TensorShape,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run probes, some of them as one pass, in which each has statistics of its own.

    Args:
      probe: a mask -> two tensors, float [images].
      masks: [probes, ...].
      count: how many of them are wanted; int32 scalar.
      together: how many are one pass.
      shape: of what a probe returns, [images].

    Returns:
      Both of every probe, float [probes, images]; of those that are not wanted, anything.
    """
    most = masks.shape[0]
    parts = -(-most // together)
    if missing := parts * together - most:
        masks = tf.concat([masks, tf.ones([missing, *masks.shape[1:]], masks.dtype)], 0)
    masks = tf.reshape(masks, [parts, together, *masks.shape[1:]])

    def some(part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if together == 1:
            correct, losses = probe(part[0])
            return correct[None], losses[None]
        with vectorized():
            return tf.vectorized_map(probe, part)

    def step(
        i: tf.Tensor, correct: tf.TensorArray, losses: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray, tf.TensorArray]:
        own_correct, own_losses = some(masks[i])
        return i + 1, correct.write(i, own_correct), losses.write(i, own_losses)

    def empty() -> tf.TensorArray:
        return tf.TensorArray(masks.dtype, size=parts, element_shape=[together, *shape])

    if parts == 1:
        return some(masks[0])
    _, *found = tf.while_loop(
        lambda i, *_: i * together < count,
        step,
        (tf.constant(0), empty(), empty()),
        maximum_iterations=parts,
        parallel_iterations=1,
    )
    correct, losses = (tf.reshape(array.stack(), [parts * together, *shape])[:most] for array in found)
    return correct, losses


@dataclasses.dataclass
class Seen:
    """What a probe measured on every image so far."""

    correct: list[np.ndarray] = dataclasses.field(default_factory=list)
    losses: list[np.ndarray] = dataclasses.field(default_factory=list)

    def add(self, correct: np.ndarray, losses: np.ndarray) -> None:
        """Add the images of some batches: 0 or 1, and cross-entropies."""
        self.correct.append(correct)
        self.losses.append(losses)

    def together(self, other: "Seen") -> "Seen":
        """Return the images of both, first these."""
        return Seen(self.correct + other.correct, self.losses + other.losses)

    def values(self, criterion: str) -> np.ndarray:
        """Return what a criterion of `RACEABLE` averages: float [images], in the order of the pass."""
        return np.concatenate(self.correct if criterion == "accuracy" else self.losses)

    def score(self) -> Score:
        """Return the score over these images."""
        correct, losses = np.concatenate(self.correct), np.concatenate(self.losses)
        return Score(
            round(float(correct.sum(dtype="float64"))), len(correct), float(losses.mean(dtype="float64"))
        )

    def pairs(self, whole: "Seen") -> tuple[int, int]:
        """Return how many images only the whole supernet gets right, and how many only this probe does."""
        own = np.concatenate(self.correct)
        difference = np.concatenate(whole.correct)[: len(own)] - own
        return int((difference > 0).sum()), int((difference < 0).sum())
