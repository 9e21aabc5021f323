"""An edge of the supernet: the weighted sum of all its candidate operations."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import tensorflow as tf

from tf_darts.layers import native_edge, operations, primitives
from tf_darts.layers.batch_norm import BatchNorm
from tf_darts.layers.layer import NodeLayer
from tf_darts.layers.native_edge import NativeOperation, NativeParts
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation, apply_operation
from tf_darts.native import choice
from tf_darts.runtime.seeds import fold


@dataclasses.dataclass(frozen=True)
class EdgeParts:
    """What an edge's output consists of.

    Attributes:
      outputs: for each operation its weighted output, or None where it adds nothing or is in `native`; then,
        where channels pass the operations by, these.
      native: what native kernels compute of the edge; None: nothing.
    """

    outputs: list[tf.Tensor | None]
    native: NativeParts | None

    def __bool__(self) -> bool:
        return self.native is not None or any(y is not None for y in self.outputs)


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
      kernels: what computes it in training, as `tf_darts.native.choice` names them.
      auxiliary_skip: whether a skip connection that is no candidate stands beside the operations (DARTS-).
    """

    def __init__(
        self,
        candidates: Sequence[str],
        channels: int,
        stride: int,
        batch_norm_after: Collection[str],
        seed: int,
        partial_channels: int = 1,
        kernels: str = choice.TENSORFLOW,
        auxiliary_skip: bool = False,
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
        self.native: list[NativeOperation | None] = [None] * len(self.operations)
        if kernels == choice.NATIVE:
            self.native = [
                native_edge.native(operation, norm)
                for operation, norm in zip(self.operations, self.norms, strict=True)
            ]

        self.auxiliary: Operation | None = None
        if auxiliary_skip:
            auxiliary_seed = fold(seed, "auxiliary_skip")
            self.auxiliary = operations.skip_connect(
                channels, stride, affine=False, seed=auxiliary_seed, name="auxiliary_skip"
            )

    def call(
        self,
        node: NodeOutput,
        mixing_weights: Sequence[tf.Tensor | None],
        auxiliary: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Compute the weighted sum, [B, H/stride, W/stride, C].

        Args:
          node: output of the edge's source, [B, H, W, C].
          mixing_weights: one per operation (or more): [C/K] with equal elements, or None for an operation
            that is closed and need not be computed. Where channels pass the operations by, theirs is last.
          auxiliary: weight of the auxiliary skip connection, [C] with equal elements; None: it is not
            computed.
          training: whether batch norms use the batch's statistics.
        """
        parts = self.parts(node, mixing_weights, training)
        if self.auxiliary is not None and auxiliary is not None:
            skipped = apply_operation(self.auxiliary, node, weight=auxiliary, training=training)
            return self.combine(parts) + skipped if parts else skipped
        if not parts:
            return node.then(primitives.zeros, self.stride).x
        return self.combine(parts)

    def parts(
        self, node: NodeOutput, mixing_weights: Sequence[tf.Tensor | None], training: bool = False
    ) -> EdgeParts:
        """Compute what the output consists of, for `combine`."""
        node, beside = self._split(node)
        natively = self._natively(mixing_weights, training)
        outputs: list[tf.Tensor | None] = []
        for i, (operation, norm, weight) in enumerate(
            zip(self.operations, self.norms, mixing_weights, strict=False)
        ):
            if weight is None or operation.is_zero or i in natively:
                outputs.append(None)
            elif norm is None:
                outputs.append(apply_operation(operation, node, weight=weight, training=training))
            else:
                y = apply_operation(operation, node, training=training)
                outputs.append(norm(y, weight=weight, training=training))
        if beside is not None:
            passing = beside.then(primitives.max_pool_2x2) if self.stride == 2 else beside
            outputs.append(
                None
                if mixing_weights[-1] is None
                else passing.x * tf.cast(mixing_weights[-1][0], passing.x.dtype)
            )
        chosen = [(i, operation, mixing_weights[i]) for i, operation in natively.items()]
        return EdgeParts(outputs, native_edge.parts(node, self.stride, chosen) if chosen else None)

    def combine(self, parts: EdgeParts, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Sum `parts`, of which at least one is there, to the output: [B, H/stride, W/stride, C].

        Args:
          parts: from `parts`.
          mask: float [operations] (or more) that the mixing weights are multiplied with, of zeros and ones;
            None: ones.
        """
        outputs = [
            y if y is None or mask is None else tf.cast(mask[i], y.dtype) * y
            for i, y in enumerate(parts.outputs)
        ]
        beside: tf.Tensor = outputs.pop() if self.partial_channels > 1 else None
        mixed = [] if parts.native is None else [parts.native.sum(mask)]
        mixed += [y for y in outputs if y is not None]
        if self.partial_channels == 1:
            return tf.add_n(mixed)
        # An edge that mixes nothing but `none` still lets the other channels pass.
        first = tf.add_n(mixed) if mixed else tf.zeros_like(beside[..., : self.mixed_channels])
        return primitives.shuffle_channels(tf.concat([first, beside], -1), self.partial_channels)

    def _natively(
        self, mixing_weights: Sequence[tf.Tensor | None], training: bool
    ) -> dict[int, NativeOperation]:
        """Return the operations that native kernels compute in this pass, by index."""
        found = {
            i: native
            for i, (native, weight) in enumerate(zip(self.native, mixing_weights, strict=False))
            if native is not None and weight is not None
        }
        # With some operations closed the others keep their kernels, and so their bits; a skip connection has
        # the same with any.
        gains = any(native.candidate.kind != "skip" for native in found.values())
        return found if gains and native_edge.suits(self.native, training) else {}

    def _split(self, node: NodeOutput) -> tuple[NodeOutput, NodeOutput | None]:
        """Return the channels that go through the operations, and those that pass them by."""
        if self.partial_channels == 1:
            return node, None
        return node.then(_channels, 0, self.mixed_channels), node.then(_channels, self.mixed_channels, None)


def _channels(x: tf.Tensor, first: int, end: int | None) -> tf.Tensor:
    return x[..., first:end]
