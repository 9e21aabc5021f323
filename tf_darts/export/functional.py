"""A trained network as a functional Keras model of Keras's own layers, preprocessing inside.

Keras reads such a file wherever it is installed; a file of our layers would need tf_darts, and a version of
it with the same layers.
"""

from collections.abc import Sequence

import keras
import numpy as np

from tf_darts.export.stock_layers import Stock, enlarged, relu, write, write_stem
from tf_darts.layers.cell import Cell
from tf_darts.layers.head import Head
from tf_darts.layers.node_output import NodeOutput
from tf_darts.models.network import Network

NORMALISATION = "normalisation"  # name of the layer that takes the pixels


def functional(
    network: Network, image_shape: Sequence[int], mean: np.ndarray, std: np.ndarray
) -> keras.Model:
    """Build the model uint8 images [B, H, W, C] -> probabilities float32 [B, classes].

    The network is taken as it is outside of training: running statistics, no drop path, no auxiliary head.

    Args:
      network: with its weights.
      image_shape: H, W and C.
      mean: [C], mean of each channel, in the scale [0, 1].
      std: [C], standard deviation of each channel in that scale; 0 counts as 1.

    Raises:
      UserError: the network's answers cannot be repeated.
    """
    images = keras.Input(tuple(image_shape), dtype="uint8", name="images")
    std = np.where(std == 0, 1.0, std).astype(np.float64)
    scale, offset = 1 / (255 * std), -mean.astype(np.float64) / std
    x = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=NORMALISATION)(images)
    body = network.body
    x = enlarged(x, body.enlarged(image_shape), network.space.stacking.enlarge)
    outputs = [NodeOutput(y) for y in write_stem(body.stem, x, Stock("stem"), network.space.input_nodes)]
    for layer in body.blocks:
        stock = Stock(layer.name)
        if isinstance(layer, Cell):
            y = _cell(layer, outputs[-network.space.input_nodes :], stock)
        else:
            y = write(layer, outputs[-1], stock)
        outputs.append(NodeOutput(y))
    return keras.Model(images, write_head(network.head, outputs[-1].x), name="network")


def write_head(head: Head, y: keras.KerasTensor) -> keras.KerasTensor:
    """Build the probabilities, [B, classes], of the last block's output."""
    stock = Stock("head")
    if head.norm is not None:
        y = relu(stock.norm(y, head.norm, "norm"))
    y = keras.layers.GlobalAveragePooling2D(name="pooling")(y)
    logits = stock.dense(y, head.classifier, "classifier")
    return keras.layers.Softmax(name="probabilities")(logits)


def _cell(cell: Cell, inputs: list[NodeOutput], stock: Stock) -> keras.KerasTensor:
    """Build a cell's output, as `Cell.call` computes it."""
    nodes = list(inputs)
    if cell.preprocess:
        nodes = [
            NodeOutput(write(layer, node, stock.within(layer.name)))
            for layer, node in zip(cell.preprocess, inputs, strict=True)
        ]
    for target in cell.targets:
        edges = [
            (source, edge)
            for (end, source), edge in zip(cell.ends, cell.edge_layers, strict=True)
            if end == target
        ]
        # Zeros add nothing to a sum, unless there is nothing else.
        useful = [(source, edge) for source, edge in edges if not edge.operation.is_zero] or edges[:1]
        arriving = [write(edge.operation, nodes[source], stock.within(edge.name)) for source, edge in useful]
        nodes.append(NodeOutput(arriving[0] if len(arriving) == 1 else keras.layers.Add()(arriving)))
    outputs = [nodes[i].x for i in cell.output_nodes]
    return outputs[0] if len(outputs) == 1 else keras.layers.Concatenate()(outputs)
