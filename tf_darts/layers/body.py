"""Stem, cells and head: what a supernet and the network of a genotype have in common."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_darts.layers.cell import Cell, EdgeInputs, EdgeLayer
from tf_darts.layers.constants import constant
from tf_darts.layers.head import Head
from tf_darts.layers.layer import Layer
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.layers.operations import FactorizedReduce, ReluConvBN
from tf_darts.layers.pooled_block import PooledBlock
from tf_darts.layers.residual_block import ResidualBlock
from tf_darts.layers.stem import ImageNetStem, PooledStem, Stem
from tf_darts.native import choice
from tf_darts.runtime.seeds import fold
from tf_darts.spaces import Block, Space

# One entry per block: one entry per edge of a cell, None for a block without edges.
CellInputs = Sequence[EdgeInputs | None]

_STEMS = {"plain": Stem, "pooled": PooledStem, "imagenet": ImageNetStem}


class Body(Layer):
    """Stem and blocks of a space at a given width and depth.

    Args:
      space: the search space.
      channels: initial channels C.
      cells: depth, as the space's stacking counts it.
      channels_in: channels of the images.
      affine: whether the batch norms of cells are affine.
      make_edges: called with (block, width, seed); returns the edges of one cell.
      seed: of the initial weights.
      activations: type of what flows between layers, as "bfloat16"; None: that of variables.
      kernels: what computes cells in training, as `tf_darts.native.choice` names them.
    """

    def __init__(
        self,
        space: Space,
        channels: int,
        cells: int,
        channels_in: int,
        affine: bool,
        make_edges: Callable[[Block, int, int], Sequence[EdgeLayer]],
        seed: int,
        activations: str | None = None,
        kernels: str = choice.TENSORFLOW,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.activations, self.cells = activations or keras.config.floatx(), cells
        self.space, self.layout = space, space.stacking.blocks(cells)
        stacking = space.stacking
        stem_width = stacking.stem_multiplier * channels
        make_stem = _STEMS[stacking.stem]
        self.stem = make_stem(stem_width, channels_in, seed=fold(seed, "stem"), name="stem")
        self.blocks: list[Layer] = []
        # Width and "came from a reduction" of the blocks' outputs so far, the two latest last.
        history = [(stem_width, False), (stem_width, stacking.stem == "imagenet")]
        for i, block in enumerate(self.layout):
            width, block_seed = block.width * channels, fold(seed, "block", i)
            if block.cell_type is None:
                between = PooledBlock if stacking.pooled_blocks else ResidualBlock
                layer: Layer = between(width, history[-1][0], block_seed, name=f"block_{i}")
                output = width
            else:
                preprocess = _preprocess(history, width, affine, block_seed) if stacking.preprocess else []
                edges = make_edges(block, width, block_seed)
                layer = Cell(space, edges, preprocess, kernels, name=f"cell_{i}_{block.cell_type}")
                output = width * len(space.output_nodes)
            self.blocks.append(layer)
            history = [history[-1], (output, block.reduction)]
        self.channels_out = history[-1][0]

    def enlarged(self, image_shape: Sequence[int]) -> tuple[int, int]:
        """Return the height and width at which images of a shape (H, W, ...) enter the stem."""
        return self.space.stacking.enlarged(self.cells, image_shape)

    def call(self, images: tf.Tensor, cell_inputs: CellInputs, training: bool = False) -> list[NodeOutput]:
        """Return the output of every block for images [B, H, W, channels_in]."""
        outputs = self.start(images, training)
        self.extend(outputs, cell_inputs, range(len(cell_inputs)), training)
        return outputs[self.space.input_nodes :]

    def start(self, images: tf.Tensor, training: bool) -> list[NodeOutput]:
        """Return what the first block takes as the outputs of the blocks before it: the stem's outputs."""
        images = enlarge(images, self.enlarged(images.shape[1:3]), self.space.stacking.enlarge)
        outputs = self.stem(tf.cast(images, self.activations), training=training)
        if isinstance(outputs, tuple):
            return [NodeOutput(x) for x in outputs]
        return [NodeOutput(outputs)] * self.space.input_nodes

    def extend(
        self, outputs: list[NodeOutput], cell_inputs: CellInputs, blocks: range, training: bool
    ) -> None:
        """Append the outputs of these blocks to those of the blocks before them (the latest last)."""
        for i in blocks:
            layer = self.blocks[i]
            if self.layout[i].cell_type is None:
                outputs.append(NodeOutput(layer(outputs[-1], training=training)))
            else:
                inputs = outputs[-self.space.input_nodes :]
                outputs.append(layer(inputs=inputs, edge_inputs=cell_inputs[i], training=training))


def enlarge(images: tf.Tensor, size: tuple[int, int], how: str) -> tf.Tensor:
    """Enlarge normalised images [B, H, W, C] to a height and width; those that have them stay as they are.

    Args:
      images: with a static shape but for B; 0 is the mean colour.
      size: height and width, no less than those of the images.
      how: "pad": a border of zeros on all sides; "resize": bilinear interpolation.
    """
    if tuple(images.shape[1:3]) == size:
        return images
    if how == "resize" and images.dtype == tf.float64:  # tf.image.resize computes in float32 whatever it gets
        rows, columns = map(_interpolation, images.shape[1:3], size)
        return tf.einsum("ph,bhwc,qw->bpqc", rows, images, columns)
    if how == "resize":
        return tf.image.resize(images, size)
    return tf.pad(images, [[0, 0], *border(images.shape[1:3], size), [0, 0]])


def _interpolation(own: int, wanted: int) -> tf.Tensor:
    """Return what interpolates a side of `own` pixels linearly to `wanted`: float64 [wanted, own]."""
    # Where the middles of the wanted pixels lie; beyond the middles of the outer ones these stay alone.
    places = np.clip((np.arange(wanted) + 0.5) * own / wanted - 0.5, 0, own - 1)
    weights = np.maximum(1 - np.abs(places[:, None] - np.arange(own)), 0)
    return constant(weights, tf.float64)


def border(image_shape: Sequence[int], size: tuple[int, int]) -> list[list[int]]:
    """Return the rows above and below, and the columns to the left and right, of images in their middle."""
    more = [side - own for side, own in zip(size, image_shape, strict=True)]
    return [[n // 2, n - n // 2] for n in more]


def _preprocess(history: list[tuple[int, bool]], width: int, affine: bool, seed: int) -> list[Operation]:
    """Make the layers that bring the outputs of the two blocks before to this cell's width and size."""
    (width_0, _), (width_1, reduced) = history
    kind = FactorizedReduce if reduced else ReluConvBN
    arguments = [(kind, width_0), (ReluConvBN, width_1)]
    return [
        layer(
            width,
            channels_in=channels_in,
            affine=affine,
            seed=fold(seed, "preprocess", i),
            name=f"preprocess_{i}",
        )
        for i, (layer, channels_in) in enumerate(arguments)
    ]


def body_and_head(
    space: Space,
    channels: int,
    cells: int,
    channels_in: int,
    classes: int,
    affine: bool,
    make_edges: Callable[[Block, int, int], Sequence[EdgeLayer]],
    seed: int,
    activations: str | None,
    kernels: str,
) -> tuple[Body, Head]:
    """Make what supernet and network consist of; arguments as of `Body`, and the number of logits."""
    body = Body(
        space,
        channels,
        cells,
        channels_in,
        affine,
        make_edges,
        fold(seed, "body"),
        activations,
        kernels,
        name="body",
    )
    head = Head(
        body.channels_out, classes, space.stacking.head_batch_norm, seed=fold(seed, "head"), name="head"
    )
    return body, head
