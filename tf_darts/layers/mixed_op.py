"""An edge of the supernet: the weighted sum of all its candidate operations."""

from collections.abc import Collection, Sequence
from typing import Any

import tensorflow as tf

from tf_darts.layers import operations, primitives
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.layer import NodeLayer
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import apply_operation
from tf_darts.runtime.seeds import fold


class MixedOp(NodeLayer):
    """The sum of all candidate operations, each times its mixing weight (paper, section 2).

    Args:
      candidates: names of the operations, in the order of the mixing weights.
      channels: C.
      stride: 1 or 2.
      batch_norm_after: operations that are followed by a non-affine batch norm (DARTS: the poolings).
      seed: of the initial weights.
      partial_channels: K: only the first C/K channels go through the operations, the others pass them by
        (PC-DARTS, equation 2); there is then one mixing weight more, of those others.
    """

    def __init__(
        self,
        candidates: Sequence[str],
        channels: int,
        stride: int,
        batch_norm_after: Collection[str],
        seed: int,
        partial_channels: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.stride, self.partial_channels = stride, partial_channels
        self.mixed_channels = channels // partial_channels
        self.operations = [
            operations.make(name, self.mixed_channels, stride, affine=False, seed=fold(seed, name))
            for name in candidates
        ]
        self.norms = [
            BatchNorm(self.mixed_channels, affine=False, name=f"{name}_norm")
            if name in batch_norm_after
            else None
            for name in candidates
        ]

    def call(
        self, node: NodeOutput, mixing_weights: Sequence[tf.Tensor | None], training: bool = False
    ) -> tf.Tensor:
        """Compute the weighted sum, [B, H/stride, W/stride, C].

        Args:
          node: output of the edge's source, [B, H, W, C].
          mixing_weights: one per operation (or more): [C/K] with equal elements, or None for an operation
            that is closed and need not be computed. Where channels pass the operations by, theirs is last.
          training: whether batch norms use the batch's statistics.
        """
        parts = self.parts(node, mixing_weights, training)
        if all(y is None for y in parts):
            return node.then(primitives.zeros, self.stride).x
        return self.combine(parts)

    def parts(
        self, node: NodeOutput, mixing_weights: Sequence[tf.Tensor | None], training: bool = False
    ) -> list[tf.Tensor | None]:
        """Compute what the output consists of, for `combine`.

        Returns:
          For each operation its weighted output, or None where it adds nothing; then, where channels pass
          the operations by, these.
        """
        node, beside = self._split(node)
        parts: list[tf.Tensor | None] = []
        for operation, norm, weight in zip(self.operations, self.norms, mixing_weights, strict=False):
            if weight is None or operation.is_zero:
                parts.append(None)
            elif norm is None:
                parts.append(apply_operation(operation, node, weight=weight, training=training))
            else:
                y = apply_operation(operation, node, training=training)
                parts.append(norm(y, weight=weight, training=training))
        if beside is not None:
            passing = beside.then(_pooled) if self.stride == 2 else beside
            parts.append(
                None
                if mixing_weights[-1] is None
                else passing.x * tf.cast(mixing_weights[-1][0], passing.x.dtype)
            )
        return parts

    def combine(self, parts: Sequence[tf.Tensor | None]) -> tf.Tensor:
        """Sum `parts`, of which at least one is there, to the output: [B, H/stride, W/stride, C]."""
        if self.partial_channels == 1:
            return tf.add_n([y for y in parts if y is not None])
        mixed = [y for y in parts[:-1] if y is not None]
        beside: tf.Tensor = parts[-1]
        # An edge that mixes nothing but `none` still lets the other channels pass.
        first = tf.add_n(mixed) if mixed else tf.zeros_like(beside[..., : self.mixed_channels])
        return primitives.shuffle_channels(tf.concat([first, beside], -1), self.partial_channels)

    def _split(self, node: NodeOutput) -> tuple[NodeOutput, NodeOutput | None]:
        """Return the channels that go through the operations, and those that pass them by."""
        if self.partial_channels == 1:
            return node, None
        return node.then(_channels, 0, self.mixed_channels), node.then(_channels, self.mixed_channels, None)


def _channels(x: tf.Tensor, first: int, end: int | None) -> tf.Tensor:
    return x[..., first:end]


def _pooled(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(x, 2, 2, "VALID")
