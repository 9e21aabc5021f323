"""Stem, cells and head: what a supernet and the network of a genotype have in common."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.layers import primitives
from tf_darts.layers.base import Layer, Operation, uniform_fan_in
from tf_darts.layers.node import NodeOutput
from tf_darts.layers.operations import FactorizedReduce, ReluConvBN
from tf_darts.layers.stem import ImageNetStem, Stem
from tf_darts.runtime.seeds import fold
from tf_darts.spaces import Block, Space

# (target node, source node, layer) of one edge; the layer takes (source, more by name, training).
EdgeLayer = tuple[int, int, keras.layers.Layer]


class ResidualBlock(Operation):
    """The fixed reduction of NAS-Bench-201: two 3x3 ReLU-conv-BN, plus 2x2 average pooling and 1x1 conv."""

    def __init__(self, channels: int, channels_in: int, seed: int, **kwargs):
        super().__init__(channels, stride=2, affine=True, seed=seed, **kwargs)
        self.conv_a = ReluConvBN(
            channels, 2, 3, channels_in, affine=True, seed=fold(seed, "conv_a"), name="conv_a"
        )
        self.conv_b = ReluConvBN(channels, 1, 3, affine=True, seed=fold(seed, "conv_b"), name="conv_b")
        self.shortcut = self.kernel("shortcut", 1, 1, channels_in, channels)

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        main = self.conv_b(self.conv_a(node, training=training), training=training)
        return main + primitives.conv(tf.nn.avg_pool2d(node.x, 2, 2, "VALID"), self.shortcut.value)


class Cell(Layer):
    """A cell: every node sums its input edges; the output concatenates the output nodes.

    Args:
      space: the search space.
      edges: the edges as (target, source, layer), by target.
      preprocess: one layer per input node that brings the input to the cell's width, or empty.
    """

    def __init__(self, space: Space, edges: Sequence[EdgeLayer], preprocess: Sequence[Operation], **kwargs):
        super().__init__(**kwargs)
        self.targets, self.output_nodes = space.targets, space.output_nodes
        self.ends = [(target, source) for target, source, _ in edges]
        self.edge_layers = [layer for _, _, layer in edges]
        self.preprocess = list(preprocess)

    def call(
        self, inputs: list[NodeOutput], edge_inputs: Sequence[dict | None], training: bool = False
    ) -> tf.Tensor:
        """The cell's output, [B, H', W', C''].

        Args:
          inputs: one [B, H, W, C'] per input node.
          edge_inputs: what each edge is called with besides its source, by name, or None for an edge that
            was removed.
          training: whether batch norms use the batch's statistics.
        """
        nodes = self._begin(inputs, training)
        self._sum_up(nodes, self.targets, {}, edge_inputs, training)
        return self._output(nodes)

    def _begin(self, inputs: list[NodeOutput], training: bool) -> list[NodeOutput]:
        """The input nodes."""
        if not self.preprocess:
            return list(inputs)
        return [
            NodeOutput(layer(node, training=training))
            for layer, node in zip(self.preprocess, inputs, strict=True)
        ]

    def _sum_up(self, nodes: list[NodeOutput], targets, known: dict[int, tf.Tensor], edge_inputs, training):
        """Appends the nodes `targets`, each the sum of its edges in their order; `known` edges are given."""
        for target in targets:
            arriving = [
                known[i]
                if i in known
                else self.edge_layers[i](nodes[source], **edge_inputs[i], training=training)
                for i, (end, source) in enumerate(self.ends)
                if end == target and edge_inputs[i] is not None
            ]
            nodes.append(NodeOutput(tf.add_n(arriving)))

    def _output(self, nodes: list[NodeOutput]) -> tf.Tensor:
        outputs = [nodes[i].x for i in self.output_nodes]
        return outputs[0] if len(outputs) == 1 else tf.concat(outputs, -1)

    @property
    def operations(self) -> list[Operation]:
        """The operations of all edges, in their order."""
        return [operation for edge in self.edge_layers for operation in edge.operations]

    # A supernet's cell in two parts, for several passes that differ in the edges into one node (probes).

    def before(self, node: int, inputs: list[NodeOutput], edge_inputs: Sequence[dict | None]) -> "Begun":
        """What does not depend on how the edges into `node` are mixed, with the batch's statistics."""
        nodes = self._begin(inputs, training=True)
        self._sum_up(nodes, [t for t in self.targets if t < node], {}, edge_inputs, training=True)
        known, parts = {}, {}
        for i, (target, source) in enumerate(self.ends):
            if target < node or source >= node or edge_inputs[i] is None:
                continue
            if target == node:
                parts[i] = self.edge_layers[i].parts(nodes[source], **edge_inputs[i], training=True)
            else:
                known[i] = self.edge_layers[i](nodes[source], **edge_inputs[i], training=True)
        return Begun(node, nodes, known, parts)

    def after(self, begun: "Begun", mask: tf.Tensor, edge_inputs: Sequence[dict | None]) -> tf.Tensor:
        """The cell's output with a probe mask, float32 [edges, operations], on the edges into the node.

        Equal to the last bit to a pass with masked mixing weights: every sum has the same terms in the same
        order.
        """
        nodes, known = list(begun.nodes), dict(begun.known)
        for i, parts in begun.parts.items():
            if any(y is not None for y in parts):
                masked = [
                    None if y is None else tf.cast(mask[i, o], y.dtype) * y for o, y in enumerate(parts)
                ]
                known[i] = self.edge_layers[i].combine(masked)
        targets = [t for t in self.targets if t >= begun.node]
        self._sum_up(nodes, targets, known, edge_inputs, training=True)
        return self._output(nodes)


class Begun(NamedTuple):
    """A cell's pass, as far as it is the same for all probes of the edges into one node.

    Attributes:
      node: that node.
      nodes: the nodes before it.
      known: what other edges from those nodes add to later ones, by index of the edge.
      parts: for each edge into the node, the weighted outputs of its operations.
    """

    node: int
    nodes: list[NodeOutput]
    known: dict[int, tf.Tensor]
    parts: dict[int, list[tf.Tensor | None]]


class Body(Layer):
    """Stem and blocks of a space at a given width and depth.

    Args:
      space: the search space.
      channels: initial channels C.
      cells: depth, as the space's stacking counts it.
      channels_in: channels of the images.
      affine: whether the batch norms of cells are affine.
      make_edges: called with (block, width, seed); gives the edges of one cell.
      seed: of the initial weights.
      activations: type of what flows between layers, "float32" or "bfloat16".
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
        activations: str = "float32",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activations = activations
        self.space, self.layout = space, space.stacking.blocks(cells)
        stacking = space.stacking
        stem_width = stacking.stem_multiplier * channels
        make_stem = ImageNetStem if stacking.stem_reductions else Stem
        self.stem = make_stem(stem_width, channels_in, seed=fold(seed, "stem"), name="stem")
        self.blocks = []
        # Width and "came from a reduction" of the blocks' outputs so far, the two latest last.
        history = [(stem_width, False), (stem_width, bool(stacking.stem_reductions))]
        for i, block in enumerate(self.layout):
            width, block_seed = block.width * channels, fold(seed, "block", i)
            if block.cell_type is None:
                layer = ResidualBlock(width, history[-1][0], block_seed, name=f"block_{i}")
                output = width
            else:
                preprocess = _preprocess(history, width, affine, block_seed) if stacking.preprocess else []
                edges = make_edges(block, width, block_seed)
                layer = Cell(space, edges, preprocess, name=f"cell_{i}_{block.cell_type}")
                output = width * len(space.output_nodes)
            self.blocks.append(layer)
            history = [history[-1], (output, block.reduction)]
        self.channels_out = history[-1][0]

    def call(self, images: tf.Tensor, cell_inputs, training: bool = False) -> list[NodeOutput]:
        """images [B, H, W, channels_in]; cell_inputs: one entry per block -> the output of every block."""
        outputs = self.start(images, training)
        self.extend(outputs, cell_inputs, range(len(cell_inputs)), training)
        return outputs[self.space.input_nodes :]

    def start(self, images: tf.Tensor, training: bool) -> list[NodeOutput]:
        """What the first block has as the outputs of the blocks before it: the stem's."""
        outputs = self.stem(tf.cast(images, self.activations), training=training)
        if self.space.stacking.stem_reductions:
            return [NodeOutput(x) for x in outputs]
        return [NodeOutput(outputs)] * self.space.input_nodes

    def extend(self, outputs: list[NodeOutput], cell_inputs, blocks: range, training: bool) -> None:
        """Appends the outputs of these blocks to those of the blocks before them (the latest last)."""
        for i in blocks:
            layer = self.blocks[i]
            if self.layout[i].cell_type is None:
                y = layer(outputs[-1], training=training)
            else:
                inputs = outputs[-self.space.input_nodes :]
                y = layer(inputs=inputs, edge_inputs=cell_inputs[i], training=training)
            outputs.append(NodeOutput(y))


def check_images(space: Space, cells: int, image_shape: Sequence[int]) -> None:
    """Checks that images can be halved as often as the layout does.

    Raises:
      UserError: height or width is not divisible.
    """
    stacking = space.stacking
    times = 2 ** (stacking.stem_reductions + sum(block.reduction for block in stacking.blocks(cells)))
    if any(side % times or side < times for side in image_shape[:2]):
        raise UserError(
            f"data: images are {image_shape[0]}x{image_shape[1]}; allowed: height and width divisible by"
            f" {times}, for the reductions of space {space.name!r} with cells={cells}"
        )


def _preprocess(history, width: int, affine: bool, seed: int) -> list[Operation]:
    """Layers that bring the outputs of the two blocks before to this cell's width and size."""
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


class Head(Operation):
    """(BN and ReLU,) global average pooling and the classifier: [B, H, W, C] -> logits [B, classes]."""

    def __init__(self, channels: int, classes: int, batch_norm: bool, **kwargs):
        super().__init__(channels, affine=True, **kwargs)
        self.norm = self.batch_norm("norm", channels) if batch_norm else None
        self.classifier = classifier(channels, classes, self.seed)

    def multiply_adds(self, positions: int) -> int:
        return self.channels * self.classifier.units  # after the pooling

    def call(self, node: NodeOutput, training: bool = False) -> tf.Tensor:
        x = node.x
        if self.norm is not None:
            x = tf.nn.relu(self.norm(x, training=training))
        return self.classifier(tf.reduce_mean(tf.cast(x, tf.float32), [1, 2]))


def classifier(channels: int, classes: int, seed: int) -> keras.layers.Dense:
    """A dense layer channels -> classes with PyTorch's initial weights; logits are float32."""
    layer = keras.layers.Dense(
        classes,
        kernel_initializer=uniform_fan_in(channels, fold(seed, "classifier", "kernel")),
        bias_initializer=uniform_fan_in(channels, fold(seed, "classifier", "bias")),
        dtype="float32",
        name="classifier",
    )
    layer.build((None, channels))
    return layer


def body_and_head(
    space: Space,
    channels: int,
    cells: int,
    channels_in: int,
    classes: int,
    affine: bool,
    make_edges: Callable[[Block, int, int], Sequence[EdgeLayer]],
    seed: int,
    activations: str,
) -> tuple[Body, Head]:
    """What supernet and network consist of; arguments as of `Body`, and the number of logits."""
    body = Body(
        space,
        channels,
        cells,
        channels_in,
        affine,
        make_edges,
        fold(seed, "body"),
        activations,
        name="body",
    )
    head = Head(
        body.channels_out, classes, space.stacking.head_batch_norm, seed=fold(seed, "head"), name="head"
    )
    return body, head
