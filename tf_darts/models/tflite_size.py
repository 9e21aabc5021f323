"""How large TFLite files are: an estimate, additive over a network's layers, in float32 and in int8.

Weights count as they are stored: a batch norm behind a convolution becomes its bias. What a file holds beside
them was fitted to files of whole networks (docs/performance.md says how well).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from tf_darts.layers import operations
from tf_darts.layers.head import Head
from tf_darts.layers.operation import Operation
from tf_darts.layers.pooled_block import PooledBlock
from tf_darts.layers.residual_block import ResidualBlock
from tf_darts.layers.stem import ImageNetStem, PooledStem, Stem


@dataclasses.dataclass(frozen=True)
class TFLiteSize:
    """Bytes of a file or of a part of it, computing in float32 and in int8."""

    float32: int
    int8: int

    def __add__(self, other: "TFLiteSize") -> "TFLiteSize":
        return TFLiteSize(self.float32 + other.float32, self.int8 + other.int8)


FILE = TFLiteSize(4464, 2149)  # without any layer
_KERNEL = TFLiteSize(418, 536)  # beside the weights of a convolution
_OTHER = TFLiteSize(78, 227)  # an operator without weights
_CHANNEL = TFLiteSize(4, 24)  # of a convolution's output: bias; in int8 a scale and a zero point too
_WEIGHT = TFLiteSize(4, 1)

# Operators beside convolutions that a layer becomes, and whether its batch norms become biases.
_WRITTEN: dict[type, tuple[Callable[[Any], int], bool]] = {
    operations.Zero: (lambda layer: 1, True),
    operations.Identity: (lambda layer: 0, True),
    operations.FactorizedReduce: (lambda layer: 6, False),
    operations.MaxPool: (lambda layer: layer.stride, True),
    operations.AvgPool: (lambda layer: layer.stride, True),
    operations.ReluConvBN: (lambda layer: 0, True),
    operations.SeparableConv: (lambda layer: layer.stride - 1, True),
    operations.DilatedConv: (lambda layer: 3 - layer.stride, True),
    operations.Conv1x7And7x1: (lambda layer: 2 * (layer.stride - 1), True),
    ResidualBlock: (lambda layer: 4, True),
    PooledBlock: (lambda layer: 1, True),
    Stem: (lambda layer: 3, True),
    PooledStem: (lambda layer: 5, True),
    ImageNetStem: (lambda layer: 8, True),
    Head: (lambda layer: 3 if layer.norm is None else 5, False),
}


def of_layer(layer: keras.layers.Layer) -> TFLiteSize:
    """Return what a layer adds to a file."""
    others, folded = _WRITTEN.get(type(layer), (lambda layer: 2, False))
    kernels = [v.shape for v in layer.trainable_variables if len(v.shape) == 4]
    channels = sum(shape[-1] if shape[-1] > 1 else shape[-2] for shape in kernels)
    weights = [v for v in layer.trainable_variables if len(v.shape) != 1 or not folded]
    counted = (
        (_KERNEL, len(kernels)),
        (_OTHER, others(layer)),
        (_CHANNEL, channels),
        (_WEIGHT, sum(v.shape.num_elements() for v in weights)),
    )
    return TFLiteSize(
        sum(size.float32 * number for size, number in counted),
        sum(size.int8 * number for size, number in counted),
    )


def of_edge(operation: Operation) -> TFLiteSize:
    """Return what an operation on an edge adds: with its sum, if it has one."""
    return of_layer(operation) if operation.is_zero else of_layer(operation) + _OTHER
