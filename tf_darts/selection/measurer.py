"""Passes over images for criteria that look at more than the score of a probe (`selection.criterion`)."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_darts.data.image_set import ImageSet
from tf_darts.data.image_stream import ImageStream
from tf_darts.runtime import preemption, workers
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.criterion import Criterion, View
from tf_darts.selection.probe_pass import Removal, mask_without
from tf_darts.selection.probe_steps import ProbeSteps

VALUE = "value"


@dataclasses.dataclass(frozen=True)
class Measures:
    """What a criterion says of some removals.

    Attributes:
      values: the importance of each.
      images: that the criterion looked at.
      passes: images that were passed forward for it, a backward pass counted as two forward ones.
    """

    values: list[float]
    images: int
    passes: int

    def together(self, other: "Measures") -> "Measures":
        """Return what two supernets say: the mean over the images of both."""
        images = self.images + other.images
        values = [
            (a * self.images + b * other.images) / images
            for a, b in zip(self.values, other.values, strict=True)
        ]
        return Measures(values, images, self.passes + other.passes)


class Measurer:
    """Asks criteria about a supernet as its masks stand.

    Every replica takes whole batches, as for probes: what is said does not depend on how many there are.

    Args:
      setup: the supernet and its data.
      images: the images to look at.
      augment: whether they are augmented and their order is shuffled, or neither.
    """

    def __init__(self, setup: SearchSetup, images: ImageSet | ImageStream, augment: bool):
        self._setup, self._images, self._augment = setup, images, augment
        self._steps: dict[type[Criterion], ProbeSteps] = {}
        self._masks: dict[str, tf.Variable] = {}
        self._kept: dict[type[Criterion], tuple[dict[str, np.ndarray], int, int]] = {}

    def __call__(
        self,
        criterion: Criterion,
        cell_type: str,
        removals: Sequence[Removal],
        pass_index: int,
        each_call: Callable[[int], None] = lambda batches: None,
        keeps: bool = False,
    ) -> Measures:
        """Return what a criterion says of each removal.

        Args:
          criterion: the criterion.
          cell_type: the cell type that something is removed from.
          removals: what is removed, one at a time.
          pass_index: passes of one index see the same images in the same order and augmentation.
          each_call: told after each call how many passes forward of a batch it did.
          keeps: whether the supernet never changes, so that a criterion of one pass is asked once.
        """
        if not criterion.one_pass:
            values, images = [], 0
            for removal in removals:
                self._remove(cell_type, removal)
                rows = self._rows(criterion, pass_index, each_call)
                values.append(_mean(rows[0]))
                images = rows.shape[1]
            return Measures(values, images, criterion.passes * images * len(removals))
        kept = self._kept.get(type(criterion)) if keeps else None
        if kept is None:
            kept = self._everything(criterion, 0 if keeps else pass_index, each_call)
            self._kept[type(criterion)] = kept
        importance, images, passes = kept
        rows = importance[cell_type]
        # Asked once for all decisions, it costs the first of them, whichever run makes that.
        passes = 0 if keeps and pass_index else passes
        return Measures(
            [float(rows[e].sum() if o is None else rows[e, o]) for e, o in removals], images, passes
        )

    def everything(self, criterion: Criterion, pass_index: int = 0) -> dict[str, np.ndarray]:
        """Return what a criterion of one pass says of every operation: float64 [edges, operations]."""
        return self._everything(criterion, pass_index, lambda batches: None)[0]

    def score(self, criterion: Criterion, pass_index: int) -> float:
        """Return what a criterion says of the supernet as its masks stand, with nothing removed."""
        self._remove()
        return _mean(self._rows(criterion, pass_index, lambda batches: None)[0])

    def _everything(
        self, criterion: Criterion, pass_index: int, each_call: Callable[[int], None]
    ) -> tuple[dict[str, np.ndarray], int, int]:
        rows = self._rows(criterion, pass_index, each_call)
        computed = self._setup.bilevel.architecture.computed
        found, values = {}, [_mean(row) for row in rows]
        for cell_type, of_edges in computed.items():
            shape = len(of_edges), len(of_edges[0])
            size = shape[0] * shape[1]
            found[cell_type], values = np.reshape(values[:size], shape), values[size:]
        return found, rows.shape[1], criterion.passes * rows.shape[1]

    def _remove(self, cell_type: str = "", removal: Removal | None = None) -> None:
        """Set the masks: everything is there but for one removal, or everything."""
        architecture = self._setup.bilevel.architecture
        for name, rows in architecture.computed.items():
            mask = np.ones((len(rows), len(rows[0])), keras.config.floatx())
            if removal is not None and name == cell_type:
                mask = mask_without(architecture, cell_type, *removal)
            if name not in self._masks:
                with self._setup.strategy.scope():
                    self._masks[name] = tf.Variable(mask, trainable=False, name=f"measure_masks/{name}")
            self._masks[name].assign(mask)

    def _rows(self, criterion: Criterion, pass_index: int, each_call: Callable[[int], None]) -> np.ndarray:
        """Run a pass; return the criterion's values for each image, the same for all of a batch."""
        kind = type(criterion)
        if kind not in self._steps:
            self._steps[kind] = self._make(criterion)
        steps, found, done = self._steps[kind], [], 0
        batches = min(steps.per_pass, criterion.batches or steps.per_pass)
        while done < batches:
            rows, count = steps(pass_index, done)
            found.append(rows[VALUE])
            done += count
            each_call(count * criterion.passes)
            if workers.anywhere(preemption.asked()):  # the decision is made again, from its first batch
                preemption.leave()
        # Several replicas take several batches at a time.
        return np.concatenate(found, 1)[:, : batches * self._setup.probe_batch]

    def _make(self, criterion: Criterion) -> ProbeSteps:
        setup = self._setup
        architecture, computed = setup.bilevel.architecture, setup.bilevel.architecture.computed
        if not criterion.one_pass and not self._masks:
            self._remove()
        number = sum(len(rows) * len(rows[0]) for rows in computed.values()) if criterion.one_pass else 1

        def scores(images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
            weights = architecture.mixing_weights()
            if not criterion.one_pass:
                weights = {t: w * self._masks[t].read_value() for t, w in weights.items()}
            found: Any = criterion.measure(View(setup.bilevel, images, labels, weights))
            parts = [found[t] for t in computed] if criterion.one_pass else [found]
            values = tf.concat([tf.reshape(tf.cast(part, keras.config.floatx()), [-1]) for part in parts], 0)
            return [tf.broadcast_to(values[:, None], [number, *labels.shape])]

        steps_per_call = 1 if criterion.batches else setup.config.runtime.steps_per_call
        arguments = (setup.strategy, self._images, setup.probe_batch, scores, number, steps_per_call)
        return ProbeSteps(*arguments, self._augment, (VALUE,))


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))
