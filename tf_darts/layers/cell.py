"""A cell: nodes that sum their input edges."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_darts.layers import merged_edges, native_preprocess
from tf_darts.layers.layer import Layer
from tf_darts.layers.node_output import NodeOutput
from tf_darts.layers.operation import Operation
from tf_darts.native import choice
from tf_darts.spaces import Space

# (target node, source node, layer) of one edge; the layer takes (source, more by name, training).
EdgeLayer = tuple[int, int, keras.layers.Layer]

# What each edge is called with besides its source, by name; None: the edge was removed.
EdgeInputs = Sequence[Mapping[str, Any] | None]


class Cell(Layer):
    """A cell: every node sums its input edges; the output concatenates the output nodes.

    Args:
      space: the search space.
      edges: the edges as (target, source, layer), by target.
      preprocess: one layer per input node that brings the input to the cell's width, or empty.
      kernels: what computes these in training, as `tf_darts.native.choice` names them.

    Attributes:
      targets: the nodes that sum edges, ascending.
      ends: (target, source) of every edge.
      edge_layers: the layer of every edge.
    """

    def __init__(
        self,
        space: Space,
        edges: Sequence[EdgeLayer],
        preprocess: Sequence[Operation],
        kernels: str = choice.TENSORFLOW,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.targets, self.output_nodes = space.targets, space.output_nodes
        self.ends = [(target, source) for target, source, _ in edges]
        self.edge_layers = [layer for _, _, layer in edges]
        self.preprocess, self._kernels = list(preprocess), kernels

    def call(self, inputs: list[NodeOutput], edge_inputs: EdgeInputs, training: bool = False) -> NodeOutput:
        """Compute the cell's output, [B, H', W', C''].

        Args:
          inputs: one [B, H, W, C'] per input node.
          edge_inputs: one entry per edge.
          training: whether batch norms use the batch's statistics.
        """
        nodes = self.input_nodes(inputs, training)
        self.add_nodes(nodes, self.targets, edge_inputs, training)
        return self.output_of(nodes)

    # The three parts of a pass; a pass that differs from another in a few edges repeats only some of them.

    def input_nodes(self, inputs: list[NodeOutput], training: bool) -> list[NodeOutput]:
        """Return the input nodes, at the cell's width."""
        if not self.preprocess:
            return list(inputs)
        return [
            native_preprocess.apply(layer, node, self._kernels, training)
            for layer, node in zip(self.preprocess, inputs, strict=True)
        ]

    def add_nodes(
        self,
        nodes: list[NodeOutput],
        targets: Iterable[int],
        edge_inputs: EdgeInputs,
        training: bool,
        known: Mapping[int, tf.Tensor] | None = None,
    ) -> None:
        """Append nodes to those before them, each the sum of its edges in their order.

        Args:
          nodes: the nodes before.
          targets: which nodes are added.
          edge_inputs: one entry per edge.
          training: whether batch norms use the batch's statistics.
          known: outputs of edges that were computed before, by index of the edge.
        """
        known, targets = dict(known or {}), list(targets)
        merged = merged_edges.suits(self.edge_layers, training)
        if merged:
            for source in range(len(nodes)):
                known |= self._merged(source, targets, nodes, edge_inputs, known)
        for target in targets:
            arriving = [
                known[i] if i in known else self.edge_output(i, nodes, inputs, training)
                for i, ((end, _), inputs) in enumerate(zip(self.ends, edge_inputs, strict=True))
                if end == target and inputs is not None
            ]
            nodes.append(NodeOutput(tf.add_n(arriving)))
            if merged:
                known |= self._merged(target, targets, nodes, edge_inputs, known)

    def edge_outputs(
        self, edges: Sequence[int], nodes: list[NodeOutput], edge_inputs: EdgeInputs, training: bool
    ) -> dict[int, tf.Tensor]:
        """Compute what some edges add, by index, as `add_nodes` would.

        Args:
          edges: indices of the edges; their sources are among the nodes.
          nodes: the nodes.
          edge_inputs: one entry per edge.
          training: whether batch norms use the batch's statistics.
        """
        found: dict[int, tf.Tensor] = {}
        if merged_edges.suits(self.edge_layers, training):
            others = {i: tf.zeros([]) for i in range(len(self.ends)) if i not in edges}
            for source in range(len(nodes)):
                found |= self._merged(source, self.targets, nodes, edge_inputs, others)
        for i in edges:
            if i not in found and (inputs := edge_inputs[i]) is not None:
                found[i] = self.edge_output(i, nodes, inputs, training)
        return found

    def _merged(
        self,
        source: int,
        targets: Sequence[int],
        nodes: list[NodeOutput],
        edge_inputs: EdgeInputs,
        known: Mapping[int, tf.Tensor],
    ) -> dict[int, tf.Tensor]:
        """Compute what leaves a node for some targets along edges that are not known yet."""
        leaving = [
            (i, inputs["mixing_weights"])
            for i, ((end, start), inputs) in enumerate(zip(self.ends, edge_inputs, strict=True))
            if start == source and end in targets and i not in known and inputs is not None
        ]
        layers = [self.edge_layers[i] for i, _ in leaving]
        outputs = merged_edges.outputs(nodes[source], layers, [weights for _, weights in leaving])
        return {leaving[e][0]: y for e, y in outputs.items()}

    def edge_output(
        self, edge: int, nodes: list[NodeOutput], inputs: Mapping[str, Any], training: bool
    ) -> tf.Tensor:
        """Compute what an edge adds to its target, [B, H', W', C].

        Args:
          edge: index of the edge.
          nodes: the nodes, its source among them.
          inputs: the edge's entry of `edge_inputs`.
          training: whether batch norms use the batch's statistics.
        """
        source = nodes[self.ends[edge][1]]
        return self.edge_layers[edge](source, **inputs, training=training)

    def output_of(self, nodes: list[NodeOutput]) -> NodeOutput:
        """Return the cell's output, made of all its nodes."""
        return NodeOutput(*(nodes[i].x for i in self.output_nodes))

    @property
    def operations(self) -> list[Operation]:
        """The operations of all edges, in their order."""
        return [operation for edge in self.edge_layers for operation in edge.operations]
