"""The forward pass of a probe: the supernet with one operation or one edge left out.

The probes of a decision differ in the edges into one node of one cell type. What is the same for all of them
is computed once for a batch (`shared_pass`): the blocks before the first cell of the type, and in this cell
all but the node and those after it. The rest is computed for each (`probe_logits`). Batch norms use the
batch's statistics or the running ones, which stay as they are.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tf_darts.layers.cell import Cell, EdgeInputs
from tf_darts.layers.mixed_op import EdgeParts
from tf_darts.layers.node_output import NodeOutput
from tf_darts.models.architecture import Architecture, Computed
from tf_darts.models.supernet import Supernet

Removal = tuple[int, int | None]  # an edge, and one of its operations or None: the whole edge


def mask_without(architecture: Architecture, cell_type: str, edge: int, operation: int | None) -> np.ndarray:
    """Return a probe mask: floats, of the shape of the cell type's mixing weights, 1 but where it removes.

    Args:
      architecture: whose mixing weights it is for.
      cell_type: the cell type.
      edge: the edge.
      operation: what is removed of it; None: the whole edge.
    """
    rows = architecture.computed[cell_type]
    mask = np.ones((len(rows), len(rows[0])), architecture.alpha[cell_type].dtype.as_numpy_dtype)
    mask[edge, slice(None) if operation is None else operation] = 0.0
    return mask


@dataclasses.dataclass(frozen=True)
class SharedCell:
    """The pass of the first cell of a type, as far as it is the same for all probes.

    Attributes:
      node: the node whose input edges the probes differ in.
      nodes: the nodes before it.
      known: what other edges from those nodes add to later ones, by index of the edge.
      parts: for each edge into the node, what its output consists of.
    """

    node: int
    nodes: list[NodeOutput]
    known: dict[int, tf.Tensor]
    parts: dict[int, EdgeParts]


@dataclasses.dataclass(frozen=True)
class SharedPass:
    """A batch's pass up to the first cell of a type, and into it.

    Attributes:
      outputs: what the second cell takes of the blocks before the first.
      cell: the first cell; None where the supernet has no cell of the type.
    """

    outputs: list[NodeOutput]
    cell: SharedCell | None


def shared_pass(
    supernet: Supernet,
    cell_type: str,
    node: int,
    images: tf.Tensor,
    mixing_weights: Mapping[str, tf.Tensor],
    computed: Computed | None = None,
    training: bool = True,
) -> SharedPass:
    """Compute what is the same for all probes of the edges into a node.

    Args:
      supernet: the supernet.
      cell_type: the cell type of the node.
      node: the node.
      images: float [B, H, W, channels], normalised.
      mixing_weights: as in `Supernet.call`, with nothing removed.
      computed: as in `Supernet.call`.
      training: whether batch norms use the batch's statistics.
    """
    edge_inputs, first = supernet.edge_inputs(mixing_weights, computed), _first_of(supernet, cell_type)
    with supernet.packed.unpacked():
        outputs = supernet.body.start(images, training)
        supernet.body.extend(outputs, edge_inputs, range(first), training)
        outputs = outputs[-supernet.space.input_nodes :]
        cell = None
        if first < len(edge_inputs):
            given = edge_inputs[first] or []
            cell = _shared_cell(supernet.body.blocks[first], node, outputs, given, training)
    # The operation noise counts its draws: one more for this batch, in which all probes see the same.
    for draws in supernet.packed.others:
        draws.assign(draws.value + 1)
    return SharedPass(outputs, cell)


def probe_logits(
    supernet: Supernet,
    cell_type: str,
    mask: tf.Tensor,
    shared: SharedPass,
    mixing_weights: Mapping[str, tf.Tensor],
    computed: Computed | None = None,
    training: bool = True,
) -> tf.Tensor:
    """Compute the logits of a probe, float [B, classes].

    They equal those of a whole pass with masked mixing weights to the last bit: every sum has the same terms
    in the same order. Where edges are merged (`layers.merged_edges`), they equal them to rounding.

    Args:
      supernet: as in `shared_pass`.
      cell_type: as in `shared_pass`.
      mask: the probe mask of the cell type (`mask_without`); 1 on edges into other nodes.
      shared: from `shared_pass`.
      mixing_weights: as in `shared_pass`.
      computed: as in `shared_pass`.
      training: as in `shared_pass`.
    """
    masked = {**mixing_weights, cell_type: mixing_weights[cell_type] * mask}
    edge_inputs, first = supernet.edge_inputs(masked, computed), _first_of(supernet, cell_type)
    nodes = [NodeOutput(*output.parts) for output in shared.outputs]
    with supernet.packed.unpacked():
        if shared.cell is not None:
            given = edge_inputs[first] or []
            nodes.append(_rest_of_cell(supernet.body.blocks[first], shared.cell, mask, given, training))
        supernet.body.extend(nodes, edge_inputs, range(first + 1, len(edge_inputs)), training)
        return supernet.head(nodes[-1], training=training)


def _first_of(supernet: Supernet, cell_type: str) -> int:
    """Return the index of the first block that is a cell of this type; the number of blocks if none is."""
    types = [block.cell_type for block in supernet.body.layout]
    return types.index(cell_type) if cell_type in types else len(types)


def _shared_cell(
    cell: Cell, node: int, cell_inputs: list[NodeOutput], edge_inputs: EdgeInputs, training: bool
) -> SharedCell:
    """Compute what does not depend on how the edges into the node are mixed."""
    nodes = cell.input_nodes(cell_inputs, training)
    cell.add_nodes(nodes, [t for t in cell.targets if t < node], edge_inputs, training)
    others, parts = [], {}
    for i, ((target, source), inputs) in enumerate(zip(cell.ends, edge_inputs, strict=True)):
        if target < node or source >= node or inputs is None:
            continue
        if target == node:
            parts[i] = cell.edge_layers[i].parts(nodes[source], **inputs, training=training)
        else:
            others.append(i)
    known = cell.edge_outputs(others, nodes, edge_inputs, training)
    return SharedCell(node, nodes, known, parts)


def _rest_of_cell(
    cell: Cell, shared: SharedCell, mask: tf.Tensor, edge_inputs: EdgeInputs, training: bool
) -> NodeOutput:
    """Compute the cell's output with a mask on the edges into the node."""
    nodes, known = list(shared.nodes), dict(shared.known)
    for i, parts in shared.parts.items():
        if parts:
            known[i] = cell.edge_layers[i].combine(parts, mask[i])
    targets = [t for t in cell.targets if t >= shared.node]
    cell.add_nodes(nodes, targets, edge_inputs, training, known)
    return cell.output_of(nodes)
