"""The two kinds of edge: mixed (all candidate operations, supernet) and chosen (one operation, network)."""

from collections.abc import Sequence

import tensorflow as tf

from tf_darts.layers import operations, primitives
from tf_darts.layers.base import BatchNorm, NodeLayer
from tf_darts.layers.node import NodeOutput
from tf_darts.runtime.seeds import fold


class MixedEdge(NodeLayer):
    """The sum of all candidate operations, each times its mixing weight (paper, section 2).

    Args:
      candidates: names of the operations, in the order of the mixing weights.
      channels: C.
      stride: 1 or 2.
      batch_norm_after: operations that are followed by a non-affine batch norm (DARTS: the poolings).
      seed: of the initial weights.
    """

    def __init__(self, candidates, channels: int, stride: int, batch_norm_after, seed: int, **kwargs):
        super().__init__(**kwargs)
        self.stride = stride
        self.operations = [
            operations.make(name, channels, stride, affine=False, seed=fold(seed, name))
            for name in candidates
        ]
        self.norms = [
            BatchNorm(channels, affine=False, name=f"{name}_norm") if name in batch_norm_after else None
            for name in candidates
        ]

    def call(
        self, node: NodeOutput, mixing_weights: Sequence[tf.Tensor | None], training: bool = False
    ) -> tf.Tensor:
        """The weighted sum, [B, H/stride, W/stride, C].

        Args:
          node: output of the edge's source, [B, H, W, C].
          mixing_weights: one per operation (or more): [C] with equal elements, or None for an operation
            that is closed and need not be computed.
          training: whether batch norms use the batch's statistics.
        """
        parts = [y for y in self.parts(node, mixing_weights, training) if y is not None]
        return tf.add_n(parts) if parts else node.then(primitives.zeros, self.stride).x

    def parts(
        self, node: NodeOutput, mixing_weights: Sequence[tf.Tensor | None], training: bool = False
    ) -> list[tf.Tensor | None]:
        """What the sum consists of: for each operation its weighted output, or None where it adds nothing."""
        parts = []
        for operation, norm, weight in zip(self.operations, self.norms, mixing_weights, strict=False):
            if weight is None or operation.is_zero:
                parts.append(None)
            elif norm is None:
                parts.append(operation(node, weight=weight, training=training))
            else:
                parts.append(norm(operation(node, training=training), weight=weight, training=training))
        return parts


class ChosenEdge(NodeLayer):
    """One operation, with drop path in training unless it is the identity."""

    def __init__(self, operation: str, channels: int, stride: int, seed: int, **kwargs):
        super().__init__(**kwargs)
        self.operation = operations.make(operation, channels, stride, affine=True, seed=seed)

    def call(self, node: NodeOutput, keep: tf.Tensor | None, training: bool = False) -> tf.Tensor:
        """x [B, H, W, C]; keep [B, 1, 1, 1] holds 0 or 1/(1-p) per image, or None: no drop path."""
        y = self.operation(node, training=training)
        if keep is None or self.operation.is_identity:
            return y
        return y * tf.cast(keep, y.dtype)
