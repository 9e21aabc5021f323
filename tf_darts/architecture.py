"""The architecture's state: alpha, what is still open, what is being probed, and the mixing weights.

Everything is a variable, so that a decision or a probe changes values and never the graph. One formula
gives the mixing weights in every state:

    open edge * probe mask * softmax(alpha over the open operations of the edge)

An undecided edge has all its candidates open: the plain softmax of DARTS. A decided edge has one open
operation: its row is exactly one-hot, and the gradient to alpha is exactly zero. A removed edge's row
is zero. A probe zeroes one entry (or one row) without renormalising the others.
"""

import numpy as np
import tensorflow as tf

from tf_darts.runtime.seeds import fold
from tf_darts.spaces import Space

_CLOSED = -1e9  # logit of an operation that is not open: its softmax is exactly zero


# For each cell type, for each edge, whether each operation is computed. Not arrays: Keras would make tensors
# of them, and what is traced depends on the values.
Evaluated = dict[str, tuple[tuple[bool, ...], ...]]


def _as_tuples(mask: np.ndarray) -> tuple[tuple[bool, ...], ...]:
    return tuple(tuple(bool(x) for x in row) for row in mask)


class Architecture(tf.Module):
    """Alpha and the state of every edge, for each cell type.

    Attributes:
      alpha: {cell type: float32 [edges, operations]}, trainable.
      open_operations: {cell type: bool [edges, operations]}; False where an edge has no such candidate.
      open_edges: {cell type: bool [edges]}.
      probe_mask: {cell type: float32 [edges, operations]}; 1 except during a probe.
      evaluated: {cell type: bools by edge and operation}; what functions traced from now on compute, see
        `compact`.
    """

    def __init__(self, space: Space, alpha_scale: float = 1e-3, seed: int = 0):
        super().__init__(name="architecture")
        self.space = space
        self.alpha, self.open_operations, self.open_edges, self.probe_mask = {}, {}, {}, {}
        self.evaluated: Evaluated = {}
        for cell_type in space.cell_types:
            shape = (len(space.edges), space.num_operations)
            exists = np.zeros(shape, bool)
            for i, row in enumerate(space.candidates[cell_type]):
                exists[i, : len(row)] = True
            draw = tf.random.stateless_normal(shape, [fold(seed, "alpha", cell_type), 0], alg="philox")
            self.alpha[cell_type] = self._variable(alpha_scale * draw, f"alpha/{cell_type}", trainable=True)
            self.open_operations[cell_type] = self._variable(exists, f"open_operations/{cell_type}")
            self.open_edges[cell_type] = self._variable(
                np.ones(len(space.edges), bool), f"open_edges/{cell_type}"
            )
            self.probe_mask[cell_type] = self._variable(np.ones(shape, np.float32), f"probe_mask/{cell_type}")
            self.evaluated[cell_type] = _as_tuples(exists)

    @staticmethod
    def _variable(value, name: str, trainable: bool = False) -> tf.Variable:
        return tf.Variable(value, name=name, trainable=trainable)

    def probabilities(self) -> dict[str, tf.Tensor]:
        """Softmax of alpha over each edge's open operations: float32 [edges, operations] per cell type."""
        return {
            cell_type: tf.nn.softmax(tf.where(self.open_operations[cell_type], alpha, _CLOSED))
            for cell_type, alpha in self.alpha.items()
        }

    def mixing_weights(self) -> dict[str, tf.Tensor]:
        """The weights that a forward pass uses: float32 [edges, operations] per cell type."""
        return {
            cell_type: p * tf.cast(self.open_edges[cell_type], p.dtype)[:, None] * self.probe_mask[cell_type]
            for cell_type, p in self.probabilities().items()
        }

    def compact(self) -> None:
        """Takes what is closed by now out of the functions that are traced from now on.

        Mixing weights of closed operations are zero, so that the logits are the same to the last bit, as long
        as TensorFlow's graph optimiser is off (`runtime.strategy.start`): it changes the order of sums.
        Functions traced before stay right too: they compute more.
        """
        self.evaluated = {
            t: _as_tuples(mask.numpy() & self.open_edges[t].numpy()[:, None])
            for t, mask in self.open_operations.items()
        }

    def decide_operation(self, cell_type: str, edge: int, operation: int) -> None:
        """Leaves one operation open on an edge."""
        mask = self.open_operations[cell_type].numpy()
        if not mask[edge, operation]:
            raise ValueError(f"{cell_type} edge {edge}: operation {operation} is not open")
        mask[edge] = False
        mask[edge, operation] = True
        self.open_operations[cell_type].assign(mask)

    def remove_edges(self, cell_type: str, edges) -> None:
        """Takes edges out of the cell."""
        mask = self.open_edges[cell_type].numpy()
        mask[list(edges)] = False
        self.open_edges[cell_type].assign(mask)

    def mask_without(self, cell_type: str, edge: int, operation: int | None) -> np.ndarray:
        """A probe mask without one operation of an edge, or (None) without the edge: [edges, operations]."""
        mask = np.ones(self.probe_mask[cell_type].shape, np.float32)
        mask[edge, slice(None) if operation is None else operation] = 0.0
        return mask

    def probe(self, cell_type: str, edge: int, operation: int | None) -> None:
        """Removes one operation of an edge, or (None) the whole edge, until the next probe or `end_probe`."""
        self.end_probe()
        self.probe_mask[cell_type].assign(self.mask_without(cell_type, edge, operation))

    def end_probe(self) -> None:
        """Puts back what the last probe removed."""
        for mask in self.probe_mask.values():
            mask.assign(tf.ones_like(mask))

    def undecided_edges(self, cell_type: str) -> list[int]:
        """Edges with more than one open operation, ascending."""
        return np.flatnonzero(self.open_operations[cell_type].numpy().sum(1) > 1).tolist()
