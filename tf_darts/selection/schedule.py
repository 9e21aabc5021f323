"""When and in which order perturbation decides: data, fixed by space, interval and seed."""

import dataclasses
from collections.abc import Callable, Collection, Mapping

import numpy as np

from tf_darts.spaces import Space


@dataclasses.dataclass(frozen=True)
class PlannedDecision:
    """A decision to come.

    Attributes:
      event: number of the event it belongs to; an event has one decision per cell type.
      epoch: epoch of fine-tuning before which it is made.
      kind: "operation" (an edge's operation) or "topology" (a node's input edges).
      cell_type: the cell type.
      place: the edge's index, or the node's number.
    """

    event: int
    epoch: int
    kind: str
    cell_type: str
    place: int

    def passes(self, space: Space, at_once: bool = False) -> int:
        """Return how many passes over the validation half the decision's probes take, at most.

        Args:
          space: the search space.
          at_once: whether a node's edges are judged in one round.
        """
        if self.kind == "operation":
            return len(space.candidates[self.cell_type][self.place])
        edges = len(space.incoming(self.place))
        return edges if at_once else sum(range(space.keeps(self.place) + 1, edges + 1))


def event_epochs(events: int, interval: int, extra_epoch: bool) -> tuple[list[int], int]:
    """Return the epochs before which the events take place, and the number of epochs of fine-tuning in all.

    Events come every `interval` epochs from epoch 0, the last at the last epoch's start at the latest.
    DARTS spaces have an epoch more, which the last event uses; on NAS-Bench-201 the last event comes one
    epoch early (authors' release). Without fine-tuning (interval 0) all events come at once. Where
    nothing is left to decide there are no epochs.
    """
    if interval == 0 or events == 0:
        return [0] * events, 0
    epochs = max(interval * (events - 1) + int(extra_epoch), 1)
    return [min(k * interval, epochs - 1) for k in range(events)], epochs


# The next of the places that are left (edges or nodes, ascending): (cell type, kind, left) -> place.
Next = Callable[[str, str, list[int]], int]


def at_random(seed: int) -> Next:
    """Choose uniformly, with NumPy's legacy generator: a seed has the order of the authors' release."""
    draw = np.random.RandomState(seed)
    return lambda cell_type, kind, left: int(draw.choice(left, size=1)[0])


def by_index(cell_type: str, kind: str, left: list[int]) -> int:
    """Choose the lowest."""
    return left[0]


def by_certainty(space: Space, probabilities: dict[str, np.ndarray], least: bool = True) -> Next:
    """Choose the edge of the largest entropy of mixing weights; the node whose edges have it on average.

    Args:
      space: the search space.
      probabilities: float [edges, operations] per cell type, as the search left them.
      least: whether the least certain come first; False: those of the smallest entropy.
    """
    from tf_darts.search.alpha_summary import entropies  # here: plans are made without TensorFlow, too

    sign = 1.0 if least else -1.0
    by_edge = {t: sign * entropies(p) for t, p in probabilities.items()}

    def pick(cell_type: str, kind: str, left: list[int]) -> int:
        of_edge = by_edge[cell_type]
        if kind == "operation":
            return max(left, key=lambda edge: of_edge[edge])
        return max(left, key=lambda node: of_edge[list(space.incoming(node))].mean())

    return pick


def plan(
    space: Space,
    undecided: dict[str, list[int]],
    interval: int,
    pick: Next,
    nodes: dict[str, list[int]] | None = None,
    topology_first: bool = False,
    dropped: Mapping[str, Collection[int]] | None = None,
) -> tuple[list[PlannedDecision], int]:
    """Return all decisions in order, and the number of epochs of fine-tuning.

    Each event takes, for each cell type in turn, one undecided edge, and after all edges one undecided node;
    or first the nodes, and then the edges that they kept.

    Args:
      space: the search space.
      undecided: edges with more than one open operation, per cell type.
      interval: epochs of fine-tuning between two events.
      pick: chooses the next edge or node.
      nodes: nodes with more input edges than they keep, per cell type; None: the space's.
      topology_first: whether nodes are decided before edges.
      dropped: edges that nodes have dropped by now, per cell type. With topology first the first edges of a
        node that has dropped none stand for those that it will keep: as many decisions, of edges not known.
    """
    edges = {t: sorted(undecided[t]) for t in space.cell_types}
    nodes = {t: list(nodes[t] if nodes else space.topology_nodes) for t in space.cell_types}
    kinds, drawn = [("operation", edges), ("topology", nodes)], []
    events = sum(max(map(len, left.values())) for _, left in kinds)
    if topology_first:
        kept = {t: _kept_of(space, edges[t], nodes[t]) for t in edges}
        events = sum(max(map(len, left.values())) for left in (kept, nodes))
        now = {t: _kept_of(space, edges[t], nodes[t], (dropped or {}).get(t, ())) for t in edges}
        kinds = [("topology", nodes), ("operation", now)]
    for kind, left in kinds:
        while any(left.values()):
            event = []
            for cell_type in space.cell_types:
                if left[cell_type]:
                    place = pick(cell_type, kind, left[cell_type])
                    left[cell_type].remove(place)
                    event.append((kind, cell_type, place))
            drawn.append(event)
    starts, epochs = event_epochs(events, interval, space.extra_selection_epoch)
    planned = [
        PlannedDecision(number, epoch, *decision)
        for number, (epoch, event) in enumerate(zip(starts, drawn, strict=False))
        for decision in event
    ]
    return planned, epochs


def _kept_of(
    space: Space, edges: list[int], nodes: Collection[int], dropped: Collection[int] = ()
) -> list[int]:
    """Return the undecided edges of a cell that its nodes keep, or as many where a node has dropped none."""
    kept = []
    for node in space.targets:
        left = [e for e in edges if e in space.incoming(node) and e not in dropped]
        waits = node in nodes and not set(space.incoming(node)) & set(dropped)
        kept += left[: space.keeps(node)] if waits else left
    return kept
