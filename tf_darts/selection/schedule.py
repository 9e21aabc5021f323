"""When and in which order perturbation decides: data, fixed by space, interval and seed."""

import dataclasses

import numpy as np

from tf_darts.spaces import Space


@dataclasses.dataclass(frozen=True)
class Planned:
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

    def passes(self, space: Space) -> int:
        """Passes over the validation half that the decision takes (perturbation)."""
        if self.kind == "operation":
            return len(space.candidates[self.cell_type][self.place])
        return sum(range(space.kept_edges + 1, len(space.incoming(self.place)) + 1))


def event_epochs(events: int, interval: int, extra_epoch: bool) -> tuple[list[int], int]:
    """Epochs before which the events take place, and the number of epochs of fine-tuning in all.

    Events come every `interval` epochs from epoch 0, the last at the last epoch's start at the latest.
    DARTS spaces have an epoch more, which the last event uses; on NAS-Bench-201 the last event comes one
    epoch early (authors' release). Without fine-tuning (interval 0) all events come at once.
    """
    if interval == 0:
        return [0] * events, 0
    epochs = max(interval * (events - 1) + int(extra_epoch), 1)
    return [min(k * interval, epochs - 1) for k in range(events)], epochs


def plan(
    space: Space, undecided: dict[str, list[int]], interval: int, seed: int
) -> tuple[list[Planned], int]:
    """All decisions in order, and the number of epochs of fine-tuning.

    Each event draws, for each cell type in turn, one undecided edge, and after all edges one undecided
    node, uniformly; with NumPy's legacy generator, so that a seed gives the order of the authors' release.

    Args:
      space: the search space.
      undecided: edges with more than one open operation, per cell type.
      interval: epochs of fine-tuning between two events.
      seed: of the order.
    """
    draw = np.random.RandomState(seed)
    edges = {t: sorted(undecided[t]) for t in space.cell_types}
    nodes = {t: list(space.topology_nodes) for t in space.cell_types}
    drawn = []
    for kind, left in (("operation", edges), ("topology", nodes)):
        while any(left.values()):
            event = []
            for cell_type in space.cell_types:
                if left[cell_type]:
                    place = int(draw.choice(left[cell_type], size=1)[0])
                    left[cell_type].remove(place)
                    event.append((kind, cell_type, place))
            drawn.append(event)
    starts, epochs = event_epochs(len(drawn), interval, space.extra_selection_epoch)
    planned = [
        Planned(number, epoch, *decision)
        for number, (epoch, event) in enumerate(zip(starts, drawn, strict=True))
        for decision in event
    ]
    return planned, epochs
