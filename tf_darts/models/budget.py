"""A budget for selection: what the selected network may cost at most.

It may limit parameters, multiply-adds, the size of the TFLite file and its latency, and the skip connections
of a normal cell, each or all of them.

A choice is allowed as long as the later decisions can still be made so that the network fits; a supernet's
masks say what they can still be.
"""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

import ml_collections
import numpy as np

from tf_darts import spaces
from tf_darts.config.depends import LIMIT_FIELDS
from tf_darts.errors import UserError
from tf_darts.genotypes.derive import candidates_of
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models import latency_table, memory
from tf_darts.models.decision_state import DecisionState
from tf_darts.models.genotype_costs import GenotypeCosts, count
from tf_darts.models.latency_table import LatencyTable
from tf_darts.runtime import command
from tf_darts.spaces import Space

MOST_WAYS = 20_000  # for a node to choose its edges; at each decision each way is looked at: seconds
Keeps = Mapping[str, Collection[int]]  # edges by cell type


class Budget:
    """The most that a selected network may cost, and which choices keep within it.

    With several limits one completion has to keep to all, so that what can be reached is a Pareto front: the
    costs than which no other is as low in every respect, merged edge by edge and node by node.

    Args:
      space: the search space.
      costs: of its networks.
      max_parameters: limit; 0: none.
      max_multiply_adds: limit; 0: none.
      max_tflite_bytes: limit; 0: none.
      max_nanoseconds: limit; 0: none.
      max_skips: limit; 0: none.

    Attributes:
      costs: of the space's networks.
      max_skips: the limit.

    Raises:
      ValueError: no limit is set.
    """

    def __init__(
        self,
        space: Space,
        costs: GenotypeCosts,
        max_parameters: int = 0,
        max_multiply_adds: int = 0,
        max_tflite_bytes: int = 0,
        max_nanoseconds: int = 0,
        max_skips: int = 0,
    ):
        self._space, self.costs, self.max_skips = space, costs, max_skips
        limits = (max_parameters, max_multiply_adds, max_tflite_bytes, max_nanoseconds, max_skips)
        given = np.array([min(n, np.iinfo(np.int64).max) for n in limits])
        self._limited: list[int] = np.flatnonzero(given).tolist()  # which entries of a cost
        self._limits = given[self._limited]
        if not len(self._limited):
            raise ValueError("a budget without a limit")

    def allows(self, genotype: Genotype) -> bool:
        """Return whether the genotype's network fits."""
        return bool((np.array(self.costs.of(genotype), np.int64)[self._limited] <= self._limits).all())

    def least(self, state: DecisionState) -> list[tuple[int, ...]]:
        """Return what the networks that can still be selected cost at least.

        Returns:
          The Pareto front of their costs, within the limits or not, each with the entries of `Cost` that are
          limited; with one limit the least cost alone. Empty: the state leads nowhere.
        """
        return [tuple(point) for point in self._reach(state, self._limited).tolist()]

    def fits(self, state: DecisionState, keeps: Keeps | None = None) -> bool:
        """Return whether the decisions that are left can be made so that the network fits.

        Args:
          state: what is open.
          keeps: edges that their nodes do not drop, as far as these keep as many; None: none.
        """
        return len(self._reach(state, self._limited, self._limits, keeps=keeps)) > 0

    def allowed_operations(self, state: DecisionState, cell_type: str, edge: int) -> list[bool]:
        """Return for each candidate operation of an edge whether the edge may be decided for it.

        It may hold one that is too expensive for a genotype, as long as its node can do without the edge.
        """
        node = self._space.edges[edge].target
        others = self._reach(state, self._limited, self._limits, but=(cell_type, node))
        is_open = state.operations[cell_type][edge]
        return [
            bool(is_open[o])
            and self._meets(others, state.with_operation(cell_type, edge, o), cell_type, node)
            for o in range(len(self._space.candidates[cell_type][edge]))
        ]

    def allowed_removals(
        self, state: DecisionState, cell_type: str, node: int, edges: Sequence[int]
    ) -> list[bool]:
        """Return for each of the edges that are left to a node whether it may be dropped.

        Args:
          state: what is open; of the node's input edges only `edges` are taken to be.
          cell_type: the cell type.
          node: the node.
          edges: its input edges that have not been dropped.
        """
        others = self._reach(state, self._limited, self._limits, but=(cell_type, node))
        dropped = set(self._space.incoming(node)) - set(edges)
        return [
            self._meets(others, state.without_edges(cell_type, dropped | {edge}), cell_type, node)
            for edge in edges
        ]

    def check(self, start: DecisionState | None = None, keeps: Keeps | None = None) -> None:
        """Check that a genotype of the space fits.

        Args:
          start: what a search left open; None: everything.
          keeps: as in `fits`.

        Raises:
          UserError: none does.
        """
        whose = f"for a network of space {self._space.name!r} with this training.channels and training.cells"
        if start is None:
            start = DecisionState.undecided(self._space)
        else:
            whose += " and what the search decided"
        if self.fits(start, keeps):
            return
        names = [f"selection.{LIMIT_FIELDS[i]}" for i in self._limited]
        faults = []
        for i, name, limit in zip(self._limited, names, self._limits, strict=True):
            least = self._reach(start, [i], keeps=keeps)[0, 0]
            if least > limit:
                faults.append(f"{name} is {_limit(i, limit)}; allowed: at least {_shown(i, least)}")
        if faults:
            raise UserError(f"config: {'; '.join(faults)} {whose}, or 0: no limit")
        # Each can be kept to; the first that cannot beside those before it.
        front = self._reach(start, self._limited, keeps=keeps)
        for k in range(1, len(names)):
            least = front[(front[:, :k] <= self._limits[:k]).all(1), k].min()
            if least > self._limits[k]:
                break
            front = front[(front[:, : k + 1] <= self._limits[: k + 1]).all(1)]
        shown = list(map(_limit, self._limited, self._limits))
        before = " and ".join(f"{name} {limit}" for name, limit in zip(names[:k], shown, strict=False))
        raise UserError(
            f"config: {names[k]} is {shown[k]}; allowed: at least {_shown(self._limited[k], least)} {whose}"
            f" and {before}, or 0: no limit"
        )

    def _meets(self, others: np.ndarray, state: DecisionState, cell_type: str, node: int) -> bool:
        """Return whether the node can be completed within what the others leave."""
        return len(_sum(others, self._of_node(state, cell_type, node, self._limited), self._limits)) > 0

    def _reach(
        self,
        state: DecisionState,
        columns: Sequence[int],
        limits: np.ndarray | None = None,
        but: tuple[str, int] | None = None,
        keeps: Keeps | None = None,
    ) -> np.ndarray:
        """Return the front of what completions cost; int64 [points, columns].

        Args:
          state: what is open.
          columns: the entries of a cost that count.
          limits: leaves out what is above them.
          but: a cell type and a node that is left out of the sum.
          keeps: as in `fits`.
        """
        front = self.costs.fixed[None, columns]
        for cell_type in self._space.cell_types:
            for node in self._space.targets:
                if (cell_type, node) != but:
                    of_node = self._of_node(state, cell_type, node, columns, keeps)
                    front = _sum(front, of_node, limits)
        return front

    def _of_node(
        self,
        state: DecisionState,
        cell_type: str,
        node: int,
        columns: Sequence[int],
        keeps: Keeps | None = None,
    ) -> np.ndarray:
        """Return the front of what a node's input edges cost in all cells of the type.

        `genotypes.derive.read_genotype` reads a genotype from the masks: an edge that was decided for an
        operation that no genotype may hold has weight zero, as a dropped one has. In its place the genotype
        holds the first edge of weight zero, with the first operation that it may hold.
        """
        space, costs = self._space, self.costs.edges[cell_type][..., columns]
        incoming, keep = space.incoming(node), space.keeps(node)
        holdable = {e: candidates_of(space, cell_type, e) for e in incoming}
        is_open = {e: set(np.flatnonzero(state.operations[cell_type][e])) for e in incoming}
        present = [e for e in incoming if state.edges[cell_type][e]]
        void = {e for e in present if not is_open[e].issubset(holdable[e])}
        stay = set(present).intersection(keeps[cell_type] if keeps else ())
        fronts = {e: _front(costs[e, sorted(is_open[e].intersection(holdable[e]))]) for e in present}
        found = []
        for size in range(max(keep - len(void), 0), keep + 1):
            for held in itertools.combinations(present, size):
                if len(void.difference(held)) < keep - size:
                    continue
                if not (stay.issubset(held) or stay.issuperset(held)):
                    continue
                of_weight_zero = [e for e in incoming if e not in held][: keep - size]
                front = np.zeros((1, len(columns)), np.int64)
                front += sum(costs[e, holdable[e][0]] for e in of_weight_zero)
                for e in held:
                    front = _sum(front, fronts[e])
                found.append(front)
        return _front(np.concatenate(found)) if found else np.zeros((0, len(columns)), np.int64)


# How many of a cost's unit a limit's unit is, and its smallest step.
_UNITS = {"max_tflite_kilobytes": (1000, 1), "max_latency_ms": (10**6, 1000)}


def _shown(column: int, cost: int) -> str:
    """Format a cost in its limit's unit, rounded up to what a limit can be."""
    unit, steps = _UNITS.get(LIMIT_FIELDS[column], (1, 1))
    rounded = -(-int(cost) * steps // unit)
    return f"{rounded / steps:g}" if steps > 1 else str(rounded)


def _limit(column: int, limit: int) -> str:
    """Format a limit as the config has it."""
    unit, _ = _UNITS.get(LIMIT_FIELDS[column], (1, 1))
    return str(limit) if unit == 1 else f"{limit / unit:g}"


def limits_of(selection: ml_collections.ConfigDict) -> list[int]:
    """Return the limits that a config's selection sets, in the units of a cost's entries; 0: none."""
    units = [_UNITS.get(name, (1, 1))[0] for name in LIMIT_FIELDS]
    # Rounded off, not down: 0.3 ms are 300,000 ns.
    limits = [round(unit * selection[name]) for name, unit in zip(LIMIT_FIELDS, units, strict=True)]
    return [max(n, 1) if selection[name] else 0 for name, n in zip(LIMIT_FIELDS, limits, strict=True)]


def _front(points: np.ndarray) -> np.ndarray:
    """Return the points than which no other is as low in every column, sorted; int64 [points, columns]."""
    if len(points) < 2:
        return points
    points = points[np.lexsort(points.T[::-1])]  # by the first column, then by the second, and so on
    if points.shape[1] < 3:
        lowest = np.minimum.accumulate(points[:, -1])
        return points[np.append(True, points[1:, -1] < lowest[:-1])]
    found = []
    while len(points):  # the first is in the front: what would be as low everywhere comes before it
        found.append(points[0])
        points = points[(points < points[0]).any(1)]
    return np.array(found)


def _sum(a: np.ndarray, b: np.ndarray, limits: np.ndarray | None = None) -> np.ndarray:
    """Return the front of all sums of a point of `a` and a point of `b`, without those above a limit."""
    points = (a[:, None] + b[None]).reshape(-1, a.shape[1])
    return _front(points if limits is None else points[(points <= limits).all(1)])


def of_config(
    config: ml_collections.ConfigDict,
    space: Space,
    classes: int,
    image_shape: Sequence[int],
    table: LatencyTable | None = None,
) -> Budget | None:
    """Return the budget that the config sets for the network that it trains; None: it sets none.

    Args:
      config: the whole config.
      space: the search space.
      classes: of the data.
      image_shape: height, width and channels of the images.
      table: how long parts take; None: that of `selection.latency_table`.

    Raises:
      UserError: no genotype of the space fits, or the network does not fit the memory, or the space has too
        many ways for a node to choose its edges; there is no table and a limit of latency, or one that lacks
        a part.
    """
    limits = limits_of(config.selection)
    if not any(limits):
        return None
    ways = sum(math.comb(len(space.incoming(n)), space.keeps(n)) for n in space.targets)
    if ways > MOST_WAYS:
        set_fields = ", ".join(f"selection.{name}" for name in LIMIT_FIELDS if config.selection[name])
        raise UserError(
            f"config: custom_space.kept_edges is {space.kept_edges} with {set_fields}: nodes can choose their"
            f" edges in {ways} ways; allowed: at most {MOST_WAYS}, each of which a budget is tried on"
        )
    costs = costs_of_config(config, space, classes, image_shape, table)
    if config.selection.max_latency_ms and not costs.fixed[LIMIT_FIELDS.index("max_latency_ms")]:
        raise UserError(
            f"config: selection.max_latency_ms is {config.selection.max_latency_ms:g} without"
            f" selection.latency_table; allowed here: with a table, which {command.of('latency')} measures"
        )
    budget = Budget(space, costs, *limits)
    budget.check()
    return budget


def costs_of_config(
    config: ml_collections.ConfigDict,
    space: Space,
    classes: int,
    image_shape: Sequence[int],
    table: LatencyTable | None = None,
) -> GenotypeCosts:
    """Return what the networks cost that the config could train; arguments as of `of_config`.

    Raises:
      UserError: the network does not fit the memory, or the table lacks a part.
    """
    training = config.training
    network_space = spaces.with_stem(space, training.stem)
    least = memory.of_weights(
        network_space, training.channels, training.cells, candidates=memory.in_network(space, None)
    )
    memory.check(config, "training", memory.PROGRAM, least)
    if table is None and config.selection.latency_table:
        table = latency_table.read(config.selection.latency_table)
    return count(network_space, training.channels, training.cells, classes, image_shape, table)
