"""Keras's own layers with the weights of ours, and each operation written with them.

Formulations differ from ours where ours are made for speed; they compute the same (`check.py` compares).
"""

from collections.abc import Callable
from typing import Any

import keras

from tf_darts.errors import UserError
from tf_darts.export.operation_layer import OperationLayer
from tf_darts.layers import body, operations
from tf_darts.layers.batch_norm import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, BatchNorm
from tf_darts.layers.keras_operation import KerasOperation
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.layers.pooled_block import PooledBlock
from tf_darts.layers.residual_block import ResidualBlock
from tf_darts.layers.stem import ImageNetStem, PooledStem, Stem

Tensor = keras.KerasTensor


class Stock:
    """Makes layers with weights, named after where the weights come from.

    Args:
      place: first part of the names.
    """

    def __init__(self, place: str):
        self.place = place

    def within(self, name: str) -> "Stock":
        """Return a maker of layers for a part of this place."""
        return Stock(f"{self.place}_{name}")

    def conv(self, x: Tensor, kernel: keras.Variable, name: str, stride: int = 1) -> Tensor:
        """Apply a convolution with symmetric padding; `kernel` is [kh, kw, C_in, C_out]."""
        high, wide = kernel.shape[:2]
        layer = keras.layers.Conv2D(
            kernel.shape[-1], (high, wide), stride, _padding(stride), use_bias=False, name=self._named(name)
        )
        return self._applied(layer, _padded(x, high, wide, stride), kernel)

    def depthwise(
        self, x: Tensor, kernel: keras.Variable, name: str, stride: int = 1, dilation: int = 1
    ) -> Tensor:
        """Apply a depthwise convolution with symmetric padding; `kernel` is [k, k, C, 1]."""
        size = kernel.shape[0]
        layer = keras.layers.DepthwiseConv2D(
            size, stride, _padding(stride), dilation_rate=dilation, use_bias=False, name=self._named(name)
        )
        return self._applied(layer, _padded(x, size, size, stride), kernel)

    def norm(self, x: Tensor, norm: BatchNorm, name: str) -> Tensor:
        """Apply batch normalisation with the running estimates."""
        layer = keras.layers.BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            center=norm.affine,
            scale=norm.affine,
            name=self._named(name),
        )
        affine = (norm.gamma, norm.beta) if norm.affine else ()
        return self._applied(layer, x, *affine, norm.moving_mean, norm.moving_variance)

    def dense(self, x: Tensor, classifier: keras.layers.Dense, name: str) -> Tensor:
        """Apply the classifier."""
        layer = keras.layers.Dense(classifier.units, name=self._named(name))
        return self._applied(layer, x, classifier.kernel, classifier.bias)

    def _named(self, name: str) -> str:
        return f"{self.place}_{name}"

    def _applied(self, layer: keras.Layer, x: Tensor, *weights: keras.Variable) -> Tensor:
        y = layer(x)
        layer.set_weights([weight.numpy() for weight in weights])
        return y


def _padding(stride: int) -> str:
    return "same" if stride == 1 else "valid"


def _padded(x: Tensor, high: int, wide: int, stride: int) -> Tensor:
    """Pad as PyTorch does at stride 2, where Keras's "same" pads on one side only."""
    rows, columns = (high - 1) // 2, (wide - 1) // 2
    return x if stride == 1 or not (rows or columns) else keras.layers.ZeroPadding2D((rows, columns))(x)


def relu(x: Tensor) -> Tensor:
    """Apply ReLU; a function, so that the edges of a node share it (`NodeOutput.then`)."""
    return keras.layers.ReLU()(x)


def enlarged(x: Tensor, size: tuple[int, int], how: str) -> Tensor:
    """Enlarge images, as `layers.body.enlarge`."""
    if x.shape[1:3] == size:
        return x
    if how == "resize":
        # Said, since this layer is one of training by default, and layers after it would take that over.
        return keras.layers.Resizing(*size)(x, training=False)
    return keras.layers.ZeroPadding2D(body.border(x.shape[1:3], size))(x)


def subsample(x: Tensor, stride: int | tuple[int, int] = 2, offset: int = 0) -> Tensor:
    """Take every second pixel, starting with the first or from `offset`: a pooling over single pixels."""
    if offset:
        x = keras.layers.Cropping2D(((offset, 0), (offset, 0)))(x)
    return keras.layers.MaxPooling2D(1, stride)(x)


def max_pool(x: Tensor) -> Tensor:
    """Apply 3x3 max pooling of stride 1."""
    return keras.layers.MaxPooling2D(3, 1, "same")(x)


def avg_pool(x: Tensor) -> Tensor:
    """Apply 3x3 average pooling of stride 1 without padding in the divisor."""
    return keras.layers.AveragePooling2D(3, 1, "same")(x)


def _thinned(node: NodeOutput, stride: int) -> Tensor:
    return node.x if stride == 1 else node.then(subsample).x


def _zero(operation: operations.Zero, node: NodeOutput, stock: Stock) -> Tensor:
    return keras.layers.Rescaling(0.0)(_thinned(node, operation.stride))


def _noise(operation: operations.Noise, node: NodeOutput, stock: Stock) -> Tensor:
    raise UserError(
        f"the network holds the operation {operation.name!r}, which draws anew at every call: an exported"
        " model could not give its answers; allowed: a genotype without it"
    )


def _identity(operation: operations.Identity, node: NodeOutput, stock: Stock) -> Tensor:
    return node.x


def _factorized_reduce(operation: operations.FactorizedReduce, node: NodeOutput, stock: Stock) -> Tensor:
    node = node.then(relu)
    halves = [
        stock.conv(node.then(subsample).x, operation.conv_1, "conv_1"),
        stock.conv(node.then(subsample, 2, 1).x, operation.conv_2, "conv_2"),
    ]
    return stock.norm(keras.layers.Concatenate()(halves), operation.norm, "norm")


# A pooling of stride 2 has its windows centred on every second pixel: that of stride 1, thinned out.


def _max_pool(operation: operations.MaxPool, node: NodeOutput, stock: Stock) -> Tensor:
    return _thinned(node.then(max_pool), operation.stride)


def _avg_pool(operation: operations.AvgPool, node: NodeOutput, stock: Stock) -> Tensor:
    return _thinned(node.then(avg_pool), operation.stride)


def _relu_conv_bn(operation: operations.ReluConvBN, node: NodeOutput, stock: Stock) -> Tensor:
    y = stock.conv(node.then(relu).x, operation.conv, "conv", operation.stride)
    return stock.norm(y, operation.norm, "norm")


def _separable_conv(operation: operations.SeparableConv, node: NodeOutput, stock: Stock) -> Tensor:
    y = stock.depthwise(node.then(relu).x, operation.depthwise_1, "depthwise_1", operation.stride)
    y = stock.norm(stock.conv(y, operation.pointwise_1, "pointwise_1"), operation.norm_1, "norm_1")
    y = stock.depthwise(relu(y), operation.depthwise_2, "depthwise_2")
    return stock.norm(stock.conv(y, operation.pointwise_2, "pointwise_2"), operation.norm_2, "norm_2")


def _dilated_conv(operation: operations.DilatedConv, node: NodeOutput, stock: Stock) -> Tensor:
    # Stride 2 and dilation 2 together: every second pixel, undilated.
    x = _thinned(node.then(relu), operation.stride)
    y = stock.depthwise(x, operation.depthwise, "depthwise", dilation=1 if operation.shortens else 2)
    return stock.norm(stock.conv(y, operation.pointwise, "pointwise"), operation.norm, "norm")


def _conv_1x7_7x1(operation: operations.Conv1x7And7x1, node: NodeOutput, stock: Stock) -> Tensor:
    y = stock.conv(node.then(relu).x, operation.conv_1x7, "conv_1x7")
    y = y if operation.stride == 1 else subsample(y, (1, 2))
    y = stock.conv(y, operation.conv_7x1, "conv_7x1")
    y = y if operation.stride == 1 else subsample(y, (2, 1))
    return stock.norm(y, operation.norm, "norm")


def _residual_block(block: ResidualBlock, node: NodeOutput, stock: Stock) -> Tensor:
    main = _relu_conv_bn(block.conv_a, node, stock.within("conv_a"))
    main = _relu_conv_bn(block.conv_b, NodeOutput(main), stock.within("conv_b"))
    pooled = keras.layers.AveragePooling2D(2)(node.x)
    return keras.layers.Add()([main, stock.conv(pooled, block.shortcut, "shortcut")])


def _pooled_block(block: PooledBlock, node: NodeOutput, stock: Stock) -> Tensor:
    return keras.layers.MaxPooling2D(2)(_relu_conv_bn(block.conv, node, stock.within("conv")))


def _keras_layer(operation: KerasOperation, node: NodeOutput, stock: Stock) -> Tensor:
    copy = operation.layer.__class__.from_config(operation.layer.get_config() | {"name": stock.place})
    y = copy(node.x)
    copy.set_weights(operation.layer.get_weights())
    return y


def write_stem(stem: Stem | ImageNetStem, images: Tensor, stock: Stock, inputs: int) -> list[Tensor]:
    """Write a stem; return the first cell's inputs, of which there are `inputs`."""
    if isinstance(stem, ImageNetStem):
        x = stock.norm(stock.conv(images, stem.conv_1, "conv_1", 2), stem.norm_1, "norm_1")
        first = stock.norm(stock.conv(relu(x), stem.conv_2, "conv_2", 2), stem.norm_2, "norm_2")
        return [first, stock.norm(stock.conv(relu(first), stem.conv_3, "conv_3", 2), stem.norm_3, "norm_3")]
    x = stock.norm(stock.conv(images, stem.conv, "conv"), stem.norm, "norm")
    if isinstance(stem, PooledStem):
        x = keras.layers.MaxPooling2D(2)(relu(x))
    return [x] * inputs


# By the class itself: one derived from it may compute something else.
_WRITTEN: dict[type, Callable[[Any, NodeOutput, Stock], Tensor]] = {
    operations.Zero: _zero,
    operations.Noise: _noise,
    operations.Identity: _identity,
    operations.FactorizedReduce: _factorized_reduce,
    operations.MaxPool: _max_pool,
    operations.AvgPool: _avg_pool,
    operations.ReluConvBN: _relu_conv_bn,
    operations.SeparableConv: _separable_conv,
    operations.DilatedConv: _dilated_conv,
    operations.Conv1x7And7x1: _conv_1x7_7x1,
    ResidualBlock: _residual_block,
    PooledBlock: _pooled_block,
    KerasOperation: _keras_layer,
}


def write(operation: Operation, node: NodeOutput, stock: Stock) -> Tensor:
    """Write an operation of a trained network in Keras's own layers, as it computes outside of training.

    A user's own operation becomes an `OperationLayer`, which needs tf_darts where the Keras file is read.

    Args:
      operation: the operation, with its weights.
      node: the output of its edge's source, [B, H, W, C].
      stock: where it is.

    Returns:
      [B, H/stride, W/stride, C].

    Raises:
      UserError: its answers cannot be repeated (`noise`).
    """
    written = _WRITTEN.get(type(operation))
    if written is None:
        return OperationLayer.of(operation, name=stock.place)(node.x)
    return written(operation, node, stock)
