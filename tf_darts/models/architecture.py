"""The architecture's state: alpha, what is still open, and the mixing weights.

Everything is a variable, so that a decision changes values and never the graph. One formula makes the mixing
weights in every state:

    open edge * softmax(alpha over the open operations of the edge)

An undecided edge has all its candidates open: the plain softmax of DARTS. A decided edge has one open
operation: its row is exactly one-hot, and the gradient to alpha is exactly zero. A removed edge's row
is zero.

A search method may put another function instead of the softmax (`normalise`), and have every edge
weighted against the node's other edges too (`weighs_edges`, PC-DARTS).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_darts.runtime.seeds import fold
from tf_darts.spaces import Space

_CLOSED = -1e9  # logit of an operation that is not open: its softmax is exactly zero


# (alpha, which operations are open), both [edges, operations] -> rows that sum to 1, zero where not open.
Normalise = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def softmax(alpha: tf.Tensor, open_operations: tf.Tensor) -> tf.Tensor:
    """Compute the softmax over each edge's open operations (DARTS, equation 2).

    It is exactly 1 for an operation that is alone.
    """
    p = tf.nn.softmax(tf.where(open_operations, alpha, _CLOSED))
    # On some CPUs TensorFlow's kernel multiplies with a rounded 1/sum, and returns 0.99999994.
    alone = tf.reduce_sum(tf.cast(open_operations, tf.int32), -1, keepdims=True) == 1
    return tf.where(alone, tf.cast(open_operations, p.dtype), p)


# For each cell type, for each edge, whether each operation is computed. Not arrays: Keras would make tensors
# of them, and what is traced depends on the values.
Computed = dict[str, tuple[tuple[bool, ...], ...]]


def _draw(shape: Sequence[int], seed: int) -> tf.Tensor:
    """Draw standard normal numbers; the same in float64 as in float32."""
    return tf.cast(tf.random.stateless_normal(shape, [seed, 0], alg="philox"), keras.config.floatx())


def _as_tuples(mask: np.ndarray) -> tuple[tuple[bool, ...], ...]:
    return tuple(tuple(bool(x) for x in row) for row in mask)


class Architecture(tf.Module):
    """Alpha and the state of every edge, for each cell type.

    Attributes:
      alpha: {cell type: float [edges, operations]}, trainable.
      open_operations: {cell type: bool [edges, operations]}; False where an edge has no such candidate.
      open_edges: {cell type: bool [edges]}.
      edge_alpha: {cell type: float [edges]}, trainable; empty unless edges are weighed.
      computed: {cell type: bools by edge and operation}; what functions traced from now on compute, see
        `compact`.

    Args:
      space: the search space.
      alpha_scale: standard deviation of alpha's start.
      seed: of it.
      normalise: makes probabilities of alpha.
      weighs_edges: whether a node's open edges have weights that sum to 1 (PC-DARTS, equation 3).
      passes_by: whether channels pass the operations by. Mixing weights then have one column more, the
        weight of the edge itself: what a partial mixed edge multiplies such channels with.
    """

    def __init__(
        self,
        space: Space,
        alpha_scale: float = 1e-3,
        seed: int = 0,
        normalise: Normalise = softmax,
        weighs_edges: bool = False,
        passes_by: bool = False,
    ):
        super().__init__(name="architecture")
        self.space, self._normalise, self._passes_by = space, normalise, passes_by
        self.edge_alpha: dict[str, tf.Variable] = {}
        self.alpha, self.open_operations, self.open_edges = {}, {}, {}
        self.computed: Computed = {}
        for cell_type in space.cell_types:
            shape = (len(space.edges), space.num_operations)
            exists = np.zeros(shape, bool)
            for i, row in enumerate(space.candidates[cell_type]):
                exists[i, : len(row)] = True
            start = alpha_scale * _draw(shape, fold(seed, "alpha", cell_type))
            self.alpha[cell_type] = self._variable(start, f"alpha/{cell_type}", trainable=True)
            self.open_operations[cell_type] = self._variable(exists, f"open_operations/{cell_type}")
            self.open_edges[cell_type] = self._variable(
                np.ones(len(space.edges), bool), f"open_edges/{cell_type}"
            )
            if weighs_edges:
                start = alpha_scale * _draw(shape[:1], fold(seed, "edge_alpha", cell_type))
                name = f"edge_alpha/{cell_type}"
                self.edge_alpha[cell_type] = self._variable(start, name, trainable=True)
        targets = np.array([edge.target for edge in space.edges])
        self._same_target = targets[:, None] == targets
        self.compact()

    @staticmethod
    def _variable(value: tf.Tensor | np.ndarray, name: str, trainable: bool = False) -> tf.Variable:
        return tf.Variable(value, name=name, trainable=trainable)

    def parameters(self, cell_types: Iterable[str]) -> dict[str, tf.Variable]:
        """Return what a search trains besides the weights: alpha by cell type, and alpha of edges."""
        cell_types = list(cell_types)
        edges = {f"{t}/edges": self.edge_alpha[t] for t in cell_types if t in self.edge_alpha}
        return {t: self.alpha[t] for t in cell_types} | edges

    def probabilities(self) -> dict[str, tf.Tensor]:
        """Compute the probabilities of operations that alpha stands for.

        Returns:
          Float [edges, operations] per cell type; rows sum to 1 over open operations.
        """
        return {t: self._normalise(alpha, self.open_operations[t]) for t, alpha in self.alpha.items()}

    def mixing_weights(self, probabilities: Mapping[str, tf.Tensor] | None = None) -> dict[str, tf.Tensor]:
        """Compute the weights that a forward pass uses: float [edges, operations] per cell type.

        Args:
          probabilities: used in place of `probabilities()`, of the same shape: a search method's own draw.
        """
        weights = {}
        for cell_type, p in (probabilities or self.probabilities()).items():
            edge = tf.cast(self.open_edges[cell_type], p.dtype)
            if self.edge_alpha:
                edge *= self._edge_weights(cell_type)
            if self._passes_by:
                p = tf.concat([p, tf.ones_like(p[:, :1])], -1)
            weights[cell_type] = p * edge[:, None]
        return weights

    def current_weights(self) -> dict[str, np.ndarray]:
        """Return the mixing weights as arrays, outside of compiled functions."""
        return {t: weights.numpy() for t, weights in self.mixing_weights().items()}

    def _edge_weights(self, cell_type: str) -> tf.Tensor:
        """Softmax of alpha of edges over the open ones into the same node: float [edges]."""
        beside = self._same_target & self.open_edges[cell_type].read_value()
        logits = tf.where(beside, self.edge_alpha[cell_type], _CLOSED)
        return tf.linalg.diag_part(tf.nn.softmax(logits))

    def compact(self) -> None:
        """Leave what is closed out of the functions that are traced from now on.

        Mixing weights of closed operations are zero, so that the logits are the same to the last bit, as long
        as TensorFlow's graph optimiser is off (`runtime.strategy.start`): it changes the order of sums.
        Functions traced before stay right too: they compute more.
        """
        self.computed = {}
        for cell_type, mask in self.open_operations.items():
            open_edges = self.open_edges[cell_type].numpy()[:, None]
            columns = [mask.numpy() & open_edges]
            if self._passes_by:
                columns.append(open_edges)
            self.computed[cell_type] = _as_tuples(np.concatenate(columns, 1))

    def decide_operation(self, cell_type: str, edge: int, operation: int) -> None:
        """Leave one operation open on an edge.

        Raises:
          ValueError: the operation is not open.
        """
        mask = self.open_operations[cell_type].numpy()
        if not mask[edge, operation]:
            raise ValueError(f"{cell_type} edge {edge}: operation {operation} is not open")
        mask[edge] = False
        mask[edge, operation] = True
        self.open_operations[cell_type].assign(mask)

    def remove_edges(self, cell_type: str, edges: Iterable[int]) -> None:
        """Remove edges from the cell."""
        mask = self.open_edges[cell_type].numpy()
        mask[list(edges)] = False
        self.open_edges[cell_type].assign(mask)

    def restrict(self, kept: Mapping[str, np.ndarray]) -> None:
        """Cut the supernet down to one genotype.

        Args:
          kept: [edges, operations] per cell type; what is not zero is open, an edge of zeros is removed.
        """
        for cell_type, rows in kept.items():
            there = rows.any(1)
            is_open = rows != 0
            is_open[~there, 0] = True  # a removed edge needs an open operation all the same, for its softmax
            self.open_operations[cell_type].assign(is_open)
            self.open_edges[cell_type].assign(there)

    def free(self, cell_type: str) -> tf.Tensor:
        """Return which mixing weights alpha still moves: bool [edges, operations]; for compiled functions.

        They are the open operations of edges that are there and have several.
        """
        mask = self.open_operations[cell_type].read_value()
        several = tf.reduce_sum(tf.cast(mask, tf.int32), -1, keepdims=True) > 1
        return mask & several & self.open_edges[cell_type].read_value()[:, None]

    def undecided_edges(self, cell_type: str) -> list[int]:
        """Return the edges that are there with more than one open operation, ascending."""
        several = self.open_operations[cell_type].numpy().sum(1) > 1
        return np.flatnonzero(several & self.open_edges[cell_type].numpy()).tolist()

    def undecided_nodes(self, cell_type: str) -> list[int]:
        """Return the nodes that still have more input edges than a genotype keeps, ascending."""
        mask = self.open_edges[cell_type].numpy()
        return [
            node
            for node in self.space.topology_nodes
            if mask[list(self.space.incoming(node))].sum() > self.space.kept_edges
        ]
