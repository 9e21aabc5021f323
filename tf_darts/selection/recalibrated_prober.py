"""Probes with running statistics that are estimated anew for each.

What is removed changes what later batch norms see, so that running statistics of the search no longer fit.
Before each probe some batches of the training half pass the supernet without it, and running statistics move;
weights do not. The probe images are then scored by them. After the decision they are what they were.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_darts.data.batches import of_passes
from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.layers.batch_norm import own_statistics
from tf_darts.optim.losses import losses_and_hits
from tf_darts.runtime import preemption, workers
from tf_darts.runtime.steps import Steps
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.measurer import Measurer, Measures
from tf_darts.selection.probe import Scorer, Seen
from tf_darts.selection.probe_pass import Removal, mask_without
from tf_darts.selection.probe_steps import ProbeSteps
from tf_darts.selection.race import Race

PURPOSE = "selection/recalibrate"


class RecalibratedProber(Scorer):
    """Scores probes of a supernet as its masks stand, each by running statistics of its own.

    Replicas all see the same batches of the training half, so that a score does not depend on their number.

    Args:
      setup: the supernet and its data.
      images: the images to score on.
    """

    def __init__(self, setup: SearchSetup, images: ImageSet | ImageStream):
        self._setup, selection = setup, setup.config.selection
        architecture, supernet = setup.bilevel.architecture, setup.bilevel.supernet
        self._measurer = Measurer(setup, images, selection.augment_probes)
        self._statistics = [v for v in supernet.packed.variables if not v.trainable]
        self._statistics += supernet.packed.others  # what has drawn noise draws the same in each probe
        computed, floats = architecture.computed, next(iter(architecture.alpha.values())).dtype
        with setup.strategy.scope():
            self._masks = {
                t: tf.Variable(tf.ones([len(rows), len(rows[0])], floats), trainable=False, name=f"probe/{t}")
                for t, rows in computed.items()
            }

        def logits(batch: tf.Tensor, training: bool) -> tf.Tensor:
            weights = architecture.mixing_weights()
            masked = {t: w * self._masks[t].read_value() for t, w in weights.items()}
            return setup.bilevel.forward(batch, training, masked)

        def scores(batch: tf.Tensor, labels: tf.Tensor) -> Sequence[tf.Tensor]:
            with setup.bilevel.untracked():
                loss, hit = losses_and_hits(logits(batch, False), labels)
            return tf.cast(hit, loss.dtype)[None], loss[None]

        self._steps = ProbeSteps(
            setup.strategy,
            images,
            setup.probe_batch,
            scores,
            1,
            setup.config.runtime.steps_per_call,
            selection.augment_probes,
        )
        size = min(setup.config.search.batch_size, setup.train.size)
        batches = of_passes(setup.train, PURPOSE, size, size, 1, True)
        self._batches = selection.recalibration_batches
        self._full = setup.train.size // size
        self._per_pass = -(-setup.train.size // size)

        def recalibrate(number: tf.Tensor, replica: tf.Tensor, *given: tf.Tensor) -> dict[str, tf.Tensor]:
            # Full batches of one pass after the other.
            place = number // self._full * self._per_pass + number % self._full
            with own_statistics():
                logits(batches(place, tf.constant(0), given)[0], True)
            return {"done": tf.constant(0.0)}

        def given(number: int) -> Sequence[tf.Tensor]:
            return batches.given(number // self._full * self._per_pass + number % self._full)

        on_disk = isinstance(setup.train, ImageStream)
        self._recalibrate = Steps(setup.strategy, recalibrate, ("done",), given=given if on_disk else None)

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
    ) -> list[Seen]:
        """Return what `Prober.seen` returns; there is no race."""
        before = [variable.numpy() for variable in self._statistics]
        found = []
        for removal in (*removals, *([None] if beside_whole else [])):
            self._remove(cell_type, removal)
            self._restore(before)
            self._recalibrate(pass_index * self._batches, self._batches)
            seen, done = Seen(), 0
            while done < self._steps.per_pass:
                rows, count = self._steps(pass_index, done)
                done += count
                seen.add(rows["correct"][0], rows["loss"][0])
                each_call(count)
                if workers.anywhere(preemption.asked()):  # the decision is made again, from its first batch
                    self._restore(before)
                    preemption.leave()
            found.append(seen)
        self._restore(before)
        return found

    def _restore(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._statistics, values, strict=True):
            variable.assign(value)

    def _remove(self, cell_type: str, removal: Removal | None) -> None:
        """Set the masks: everything is there but for a removal."""
        for mask in self._masks.values():
            mask.assign(np.ones(mask.shape, mask.dtype.as_numpy_dtype))
        if removal is not None:
            self._masks[cell_type].assign(mask_without(self._setup.bilevel.architecture, cell_type, *removal))
