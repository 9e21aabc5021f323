"""OLES: an operation whose weights begin to overfit is frozen for good (Jiang et al., NeurIPS 2023).

For every operation of every edge and cell, the cosine similarity of its gradients on the training batch and
on the validation batch is averaged over some checks, one a step. Where that is below the threshold, the
weights of the operation never move again, neither by a gradient nor by momentum or decay.

Both gradients are taken at the same weights and mixing weights, as the paper has them; the authors' code
compares that of the step before with one to which the step of alpha has added its own.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import keras
import tensorflow as tf

from tf_darts.layers.cell import Cell
from tf_darts.optim.losses import Batch
from tf_darts.optim.optimizers import assign, sum_over_replicas
from tf_darts.search.bilevel import Bilevel, MixingWeights
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import SearchPart


class FrozenState(tf.Module):
    """What is known of each operation with weights.

    Attributes:
      frozen: 1 where its weights are frozen, float [operations].
      similarity: sum of the similarities since the count began, float [operations].
      checks: how many these are, int32 scalar.
    """

    def __init__(self, operations: int):
        super().__init__(name="frozen_operations")
        zeros = tf.zeros([operations], keras.config.floatx())
        self.frozen = tf.Variable(zeros, trainable=False, name="frozen")
        self.similarity = tf.Variable(zeros, trainable=False, name="similarity")
        self.checks = tf.Variable(0, trainable=False, name="checks")


class FrozenOperations(SearchPart):
    """Checks every operation in each step of the weights, and holds what is frozen."""

    metrics = ("frozen_operations",)
    weight_passes = 1  # of the validation batch
    compares_gradients = True
    refuses: ClassVar[Mapping[str, str]] = {
        name: "what a step does not sample has no gradient, which would count as overfitting"
        for name in ("gumbel", "reinmax")
    }
    state: FrozenState

    def begin(self, bilevel: Bilevel) -> None:
        """Find which rows of the packed variables are whose, of operations that have weights."""
        packed = bilevel.supernet.packed
        owner: dict[int, int] = {}
        self.names: list[str] = []
        for number, block in enumerate(bilevel.supernet.body.blocks):
            for edge in block.edge_layers if isinstance(block, Cell) else ():
                for operation in edge.operations:
                    variables = operation.trainable_variables
                    owner |= {id(v): len(self.names) for v in variables}
                    if variables:
                        self.names.append(f"cell {number} {edge.name} {operation.name}")
        # For each packed variable the shape of its rows, and whose they are; -1: no candidate's.
        groups = [group for variable, group in packed.members if variable.trainable]
        self._shapes = [tuple(group[0].shape) for group in groups]
        self._owners = [[owner.get(id(v), -1) for v in group] for group in groups]
        self.state = FrozenState(len(self.names))

    def update(
        self,
        bilevel: Bilevel,
        train: Batch,
        now: Now,
        mixing_weights: MixingWeights,
        gradients: list[tf.Tensor],
        apply: Callable[[list[tf.Tensor]], tf.Tensor],
    ) -> tf.Tensor:
        if now.valid is not None:
            with bilevel.untracked():
                other = bilevel.gradients(
                    now.valid, now.valid_total, bilevel.weights, lambda: mixing_weights
                ).gradients
            self.check(gradients, sum_over_replicas(other))
        held = self._rows_of(self.state.frozen.read_value())
        start = [tf.identity(w) for w in bilevel.weights]
        # What is frozen counts for nothing in the norm that is clipped.
        norm = apply([tf.where(h, tf.zeros_like(g), g) for h, g in zip(held, gradients, strict=True)])
        with tf.control_dependencies([norm]):
            after = [w.read_value() for w in bilevel.weights]
        assign(bilevel.weights, [tf.where(h, s, a) for h, s, a in zip(held, start, after, strict=True)])
        return norm

    def check(self, gradients: list[tf.Tensor], other: list[tf.Tensor]) -> None:
        """Count the similarity of two gradients of the weights; freeze where it was too small too long."""
        state, settings = self.state, self.config.frozen_operations
        total = state.similarity.read_value() + self.similarities(gradients, other)
        checks = state.checks.read_value() + 1
        full = checks >= settings.checks
        overfits = total / tf.cast(checks, total.dtype) < settings.threshold
        frozen = tf.maximum(state.frozen.read_value(), tf.cast(full & overfits, total.dtype))
        assign(
            [state.frozen, state.similarity, state.checks],
            [frozen, tf.where(full, tf.zeros_like(total), total), tf.where(full, 0, checks)],
        )

    def similarities(self, gradients: list[tf.Tensor], other: list[tf.Tensor]) -> tf.Tensor:
        """Return the similarity of each operation: the mean over its weights, float [operations].

        Of a kernel it is the mean cosine along its channels of output, the first dimension in PyTorch.
        """
        sums = tf.zeros([len(self.names)], keras.config.floatx())
        counts = tf.zeros_like(sums)
        for g, h, shape, owners in zip(gradients, other, self._shapes, self._owners, strict=True):
            rows = [i for i, owner in enumerate(owners) if owner >= 0]
            if not rows:
                continue
            of = [owners[i] for i in rows]
            a, b = (tf.reshape(tf.gather(x, rows), [len(rows), *shape]) for x in (g, h))
            cosine = _cosine(a, b, _channels_axis(shape) + 1)
            values = tf.reduce_mean(tf.reshape(cosine, [len(rows), -1]), -1)
            sums += tf.math.unsorted_segment_sum(values, of, len(self.names))
            counts += tf.math.unsorted_segment_sum(tf.ones_like(values), of, len(self.names))
        return sums / counts

    def measure(self) -> dict[str, tf.Tensor]:
        return {"frozen_operations": tf.reduce_sum(self.state.frozen.read_value())}

    def _rows_of(self, frozen: tf.Tensor) -> list[tf.Tensor]:
        """Return which rows of each packed variable are frozen: bool [rows, 1]."""
        padded = tf.concat([frozen, [0.0]], 0)  # the last one for rows of no candidate
        return [
            tf.gather(padded, [o % padded.shape[0] for o in owners])[:, None] > 0.0 for owners in self._owners
        ]


def _channels_axis(shape: tuple[int, ...]) -> int:
    """Return the axis of the channels of output; a depthwise kernel is [height, width, channels, 1]."""
    return len(shape) - 2 if len(shape) == 4 and shape[-1] == 1 else len(shape) - 1


def _cosine(a: tf.Tensor, b: tf.Tensor, axis: int) -> tf.Tensor:
    lengths = tf.norm(a, axis=axis) * tf.norm(b, axis=axis)
    return tf.reduce_sum(a * b, axis) / tf.maximum(lengths, 1e-8)  # as PyTorch's
