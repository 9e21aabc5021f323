"""A decided edge: one operation (networks of a genotype)."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_darts.layers import native_edge, operations
from tf_darts.layers.constants import constant
from tf_darts.layers.layer import NodeLayer
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation, apply_operation
from tf_darts.native import choice


class ChosenOp(NodeLayer):
    """One operation, with drop path in training unless it is the identity."""

    def __init__(
        self,
        operation: str,
        channels: int,
        stride: int,
        seed: int,
        kernels: str = choice.TENSORFLOW,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.operation = operations.make(operation, channels, stride, affine=True, seed=seed)
        self.native = native_edge.native(self.operation, None) if kernels == choice.NATIVE else None

    @property
    def operations(self) -> list[Operation]:
        """The operation in a list, as those of a `MixedOp`."""
        return [self.operation]

    def call(self, node: NodeOutput, keep: tf.Tensor | None, training: bool = False) -> tf.Tensor:
        """Apply the operation; keep [B, 1, 1, 1] holds 0 or 1/(1-p) per image, or None: no drop path."""
        if self.native is not None and native_edge.suits([self.native], training):
            weight = constant(np.ones(self.operation.channels))
            parts = native_edge.parts(node, self.operation.stride, [(0, self.native, weight)])
            return parts.sum(factors=None if keep is None else tf.reshape(keep, [-1]))
        y = apply_operation(self.operation, node, training=training)
        if keep is None or self.operation.is_identity:
            return y
        return y * tf.cast(keep, y.dtype)
