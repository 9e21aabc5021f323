"""Operations with a skip connection beside them: the set "all skip" of DARTS-Bench-Suite.

They are operations like those of a user: a config names them in its section `extensions`
(configs/darts_bench_suite.py). At stride 2 the skip connection is a factorized reduction of the operation's
own.
"""

from functools import partial
from typing import Any

import tensorflow as tf

from tf_darts.layers import operations
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.runtime.seeds import fold


class WithSkip(Operation):
    """Another operation plus a skip connection, both times the mixing weight.

    Args:
      inner: name of the other operation.
      channels: as of `Operation`.
      stride: as of `Operation`.
      kwargs: as of `Operation`.
    """

    def __init__(self, inner: str, channels: int, stride: int = 1, **kwargs: Any):
        super().__init__(channels, stride, **kwargs)
        self.inner, self.skip = (
            operations.make(name, channels, stride, self.affine, fold(self.seed, place))
            for place, name in (("inner", inner), ("skip", "skip_connect"))
        )
        self.keeps = self.inner.keeps + self.skip.keeps
        self.keeps_of_node = self.inner.keeps_of_node

    def call(self, node: NodeOutput, weight: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        parts = (self.inner, self.skip)
        inner, skip = (part(node, weight=weight, training=training) for part in parts)
        return inner + skip

    def multiply_adds(self, positions: int) -> int:
        return self.inner.multiply_adds(positions) + self.skip.multiply_adds(positions)


# For every operation that a genotype of the DARTS space can have.
max_pool_3x3_with_skip = partial(WithSkip, "max_pool_3x3")
avg_pool_3x3_with_skip = partial(WithSkip, "avg_pool_3x3")
skip_connect_with_skip = partial(WithSkip, "skip_connect")
sep_conv_3x3_with_skip = partial(WithSkip, "sep_conv_3x3")
sep_conv_5x5_with_skip = partial(WithSkip, "sep_conv_5x5")
dil_conv_3x3_with_skip = partial(WithSkip, "dil_conv_3x3")
dil_conv_5x5_with_skip = partial(WithSkip, "dil_conv_5x5")
