"""Perturbations of SDARTS: the weights are fitted at perturbed mixing weights (section `sdarts`).

From Chen and Hsieh, ICML 2020, equation 2. The perturbation replaces the softmax of alpha in the step of the
weights alone; rows of decided edges stay as they are. The radius grows over the search (0.03 to 0.3) and is
at its end in fine-tuning.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import ml_collections
import tensorflow as tf

from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.models import cost
from tf_darts.optim.losses import Batch, loss_and_correct
from tf_darts.optim.optimizers import sum_over_replicas
from tf_darts.runtime import draws
from tf_darts.search.bilevel import Bilevel, MixingWeights
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import PERTURBATION, SAMPLER, Rows, SearchPart, linear
from tf_darts.spaces import Space

_SAMPLED = "it moves the probabilities of alpha, which a sampler does not use"


class RandomPerturbation(SearchPart):
    """Uniform noise within the radius (SDARTS-RS: the paper says Gaussian; the release draws uniformly)."""

    kind = PERTURBATION
    refuses: ClassVar[Mapping[str, str]] = {SAMPLER: _SAMPLED}

    def perturb(self, bilevel: Bilevel, train: Batch, now: Now) -> Rows | None:
        return randomly_perturbed(bilevel, self.radius(now), now, "sdarts")

    def radius(self, now: Now) -> tf.Tensor:
        """Return how far an entry is moved at most."""
        sdarts = self.config.sdarts
        return linear(sdarts.radius_start, sdarts.radius_end, now)


class AdversarialPerturbation(RandomPerturbation):
    """The noise within the radius that raises the training loss most, by projected gradient ascent."""

    refuses: ClassVar[Mapping[str, str]] = {
        SAMPLER: _SAMPLED,
        "auxiliary_skip": "its losses are those of the candidates alone",
    }

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        super().__init__(config, space)
        # The attack's steps, and the two losses that are compared, forward alone.
        self.weight_passes = float(config.sdarts.attack_steps + 2 * cost.FORWARD / cost.TRAINING_STEP)

    def perturb(self, bilevel: Bilevel, train: Batch, now: Now) -> Rows | None:
        return self.attack(bilevel, train, now)

    def attack(self, bilevel: Bilevel, train: Batch, now: Now) -> dict[str, tf.Tensor]:
        """Return perturbed probabilities, or the plain ones where the loss is not larger at these.

        In evaluation mode, as in the release. Signs are of the gradient of the global batch.
        """
        radius, steps = self.radius(now), self.config.sdarts.attack_steps
        architecture = bilevel.architecture
        plain, free = architecture.probabilities(), {t: architecture.free(t) for t in architecture.alpha}
        start = randomly_perturbed(bilevel, radius, now, "sdarts")

        def ascend(rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            gradients = self._gradients(bilevel, train, now, rows)
            moved = {}
            for t, p in plain.items():
                offset = rows[t] + (2.0 * radius / steps) * tf.sign(gradients[t]) - p
                moved[t] = _on_simplex(p, p + tf.clip_by_value(offset, -radius, radius), free[t])
            return moved

        rows = _repeat(ascend, start, steps)
        raised = self._loss(bilevel, train, now, rows) >= self._loss(bilevel, train, now, plain)
        return {t: tf.where(raised, rows[t], p) for t, p in plain.items()}

    def _gradients(
        self, bilevel: Bilevel, train: Batch, now: Now, rows: MixingWeights
    ) -> dict[str, tf.Tensor]:
        with no_kernel_gradients(), tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(rows.values()))
            share = self._share(bilevel, train, now, rows)
        gradients = tape.gradient(
            share, list(rows.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return dict(zip(rows, sum_over_replicas(gradients), strict=True))

    def _loss(self, bilevel: Bilevel, train: Batch, now: Now, rows: MixingWeights) -> tf.Tensor:
        return sum_over_replicas([self._share(bilevel, train, now, rows)])[0]

    @staticmethod
    def _share(bilevel: Bilevel, train: Batch, now: Now, rows: MixingWeights) -> tf.Tensor:
        images, labels = train
        mixing = bilevel.architecture.mixing_weights(rows)
        with bilevel.untracked():  # losses are compared: the operation noise has to draw the same
            logits = bilevel.forward(images, training=False, mixing_weights=mixing)
        return loss_and_correct(logits, labels, now.train_total)[0]


def randomly_perturbed(
    bilevel: Bilevel, radius: float | tf.Tensor, now: Now, purpose: str
) -> dict[str, tf.Tensor]:
    """Add uniform noise within the radius to probabilities, on the simplex; decided rows stay."""
    architecture = bilevel.architecture
    return {
        t: perturbed(p, architecture.free(t), radius, now.draw_seed(f"{purpose}/{t}"))
        for t, p in architecture.probabilities().items()
    }


def perturbed(rows: tf.Tensor, free: tf.Tensor, radius: float | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Add uniform noise within the radius to rows where they are free, and return to the simplex.

    Args:
      rows: float [edges, operations], each row a distribution or zeros.
      free: bool, of the same shape.
      radius: of the noise.
      seed: int32 [2].
    """
    noise = radius * draws.uniform(rows.shape, seed, -1.0, 1.0)
    return _on_simplex(rows, rows + noise, free)


def _on_simplex(plain: tf.Tensor, moved: tf.Tensor, free: tf.Tensor) -> tf.Tensor:
    """Clips rows to [0, 1] and makes them sum to 1; a row that is all 0 then has a 1 where it was largest.

    Rows that are not free come out as they were.
    """
    clipped = tf.where(free, tf.clip_by_value(moved, 0.0, 1.0), 0.0)
    total = tf.reduce_sum(clipped, -1, keepdims=True)
    largest = tf.one_hot(tf.argmax(tf.where(free, moved, -1e9), -1), moved.shape[-1], dtype=moved.dtype)
    scaled = tf.where(total > 0.0, clipped / tf.where(total > 0.0, total, 1.0), largest)
    return tf.where(tf.reduce_any(free, -1, keepdims=True), scaled, plain)


def _repeat(function: Callable[[Rows], Rows], rows: Rows, times: int) -> Rows:
    """Return function(function(... rows)); as a loop of the graph, so that the supernet stands there once."""
    if tf.distribute.get_replica_context().num_replicas_in_sync > 1:  # no sum over replicas in such a loop
        for _ in range(times):
            rows = function(rows)
        return rows
    _, rows = tf.while_loop(
        lambda i, _: i < times,
        lambda i, rows: (i + 1, function(rows)),
        (tf.constant(0), rows),
        maximum_iterations=times,
        parallel_iterations=1,
    )
    return rows
