"""A cell: nodes that sum their input edges."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_darts.layers.layer import Layer
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.spaces import Space

# (target node, source node, layer) of one edge; the layer takes (source, more by name, training).
EdgeLayer = tuple[int, int, keras.layers.Layer]


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
