"""The two kinds of edge: mixed (all candidate operations, supernet) and chosen (one operation, network)."""

from collections.abc import Sequence

import tensorflow as tf

from tf_darts.layers import operations
from tf_darts.layers.base import BatchNorm, Layer
from tf_darts.runtime.seeds import fold


class MixedEdge(Layer):
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
        self.operations = [
            operations.make(name, channels, stride, affine=False, seed=fold(seed, name))
            for name in candidates
        ]
        self.norms = [
            BatchNorm(channels, affine=False, name=f"{name}_norm") if name in batch_norm_after else None
            for name in candidates
        ]

    def call(self, x: tf.Tensor, mixing_weights: Sequence[tf.Tensor], training: bool = False) -> tf.Tensor:
        """x [B, H, W, C] and a scalar per operation (or more) -> [B, H/stride, W/stride, C]."""
        weighted = []
        for i, (operation, norm) in enumerate(zip(self.operations, self.norms, strict=True)):
            if operation.is_zero:  # adds nothing, whatever its weight
                continue
            y = operation(x, training=training)
            if norm is not None:
                y = norm(y, training=training)
            weighted.append(tf.cast(mixing_weights[i], y.dtype) * y)
        if not weighted:
            return self.operations[0](x, training=training)
        return tf.add_n(weighted)


class ChosenEdge(Layer):
    """One operation, with drop path in training unless it is the identity."""

    def __init__(self, operation: str, channels: int, stride: int, seed: int, **kwargs):
        super().__init__(**kwargs)
        self.operation = operations.make(operation, channels, stride, affine=True, seed=seed)

    def call(self, x: tf.Tensor, keep: tf.Tensor | None, training: bool = False) -> tf.Tensor:
        """x [B, H, W, C]; keep [B, 1, 1, 1] holds 0 or 1/(1-p) per image, or None: no drop path."""
        y = self.operation(x, training=training)
        if keep is None or self.operation.is_identity:
            return y
        return y * tf.cast(keep, y.dtype)
