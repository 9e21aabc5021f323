"""SGAS: edges are decided one after the other during the search (Li et al., CVPR 2020).

After `sgas.warmup_epochs` epochs, and then every `sgas.interval`, the undecided edge of the highest score
is decided in each cell type, by the largest mixing weight that is not of `none`, or (`sgas.decision`) by
perturbation as in the paper's SGAS+PT (section 5.1). Decided edges hold one operation with weight 1; a node
with as many decided edges as it keeps loses the others. The batch grows with each decision. Where the config
has a budget (`selection.max_parameters`, `max_multiply_adds`), an operation after which no genotype could
keep to it is not chosen, and an edge that has no other is decided later.

Scores of an edge (section 3.2): importance, the weight that is not of `none`; certainty, one less the
normalised entropy of the other operations; stability, how little their distribution changed over the latest
epochs. Criterion 1 is the product of the first two, criterion 2 of all three, each scaled to [0, 1] over
the edges. In a space without `none` every edge has the same importance, and it is left out.
"""

import dataclasses

import ml_collections
import numpy as np
import tensorflow as tf

from tf_darts.config.checks import last_epoch_field
from tf_darts.data.image_data import ImageData
from tf_darts.errors import UserError
from tf_darts.models.architecture import Architecture
from tf_darts.models.budget import Budget
from tf_darts.models.decision_state import DecisionState
from tf_darts.optim.losses import Batch
from tf_darts.optim.optimizers import assign
from tf_darts.search.alpha_summary import alpha_of
from tf_darts.search.bilevel import Bilevel, Evaluated
from tf_darts.search.methods.method import Method
from tf_darts.search.now import Now
from tf_darts.search.setup import SearchSetup
from tf_darts.selection.decide import Decider, refusals
from tf_darts.selection.probe import Prober
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import Decision, OperationDecision


class Sgas(Method):
    """DARTS's steps on passes over the training half, and greedy decisions between epochs."""

    whole_passes = True

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        super().__init__(config, space)
        self._decisions = number_of_decisions(space)

    def check(self, data: ImageData | None = None) -> None:
        sgas = self.config.sgas
        last = sgas.warmup_epochs + sgas.interval * (self._decisions - 1)
        if self.epochs <= last:
            field = last_epoch_field(self.config.search)
            raise UserError(
                f"config: search.{field} is {self.epochs} with search.method 'sgas'; allowed: at least"
                f" {last + 1}, so that all {self._decisions} decisions are made (sgas.warmup_epochs,"
                " sgas.interval)"
            )
        if self.budget is not None:
            start = Architecture(self.space)
            try:
                self.budget.check(_without_none(self.space, DecisionState.of(start)), decided_edges(start))
            except UserError as error:
                raise UserError(f"{error} (search.method 'sgas' never decides for none)") from None

    def batch_size(self, epoch: int) -> int:
        """Return the batch, which grows by `sgas.batch_increase` with each decision before the epoch."""
        sgas = self.config.sgas
        before = -(-(epoch - sgas.warmup_epochs) // sgas.interval)  # decisions at the ends of earlier epochs
        return self.config.search.batch_size + sgas.batch_increase * min(max(before, 0), self._decisions)

    def fit_alpha(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> Evaluated:
        """Do an update as DARTS, but leave alpha of decided edges: scores are scaled over all edges.

        Momentum and weight decay would go on moving it without a gradient.
        """
        before = [tf.identity(alpha) for alpha in bilevel.alphas.values()]
        evaluated = super().fit_alpha(bilevel, train, valid, now)
        undecided = [tf.reduce_any(bilevel.architecture.free(t), -1, keepdims=True) for t in bilevel.alphas]
        moved = [alpha.read_value() for alpha in bilevel.alphas.values()]
        kept = [tf.where(*columns) for columns in zip(undecided, moved, before, strict=True)]
        assign(list(bilevel.alphas.values()), kept)
        return evaluated

    def decide(self, setup: SearchSetup, epoch: int, epochs: list[dict]) -> list[Decision]:
        """Decide one edge of each cell type, at the end of the scheduled epochs."""
        sgas, space, architecture = self.config.sgas, setup.space, setup.bilevel.architecture
        event, rest = divmod(epoch - sgas.warmup_epochs, sgas.interval)
        if rest or not 0 <= event < self._decisions:
            return []
        prober = Prober(setup, setup.valid, augment=True)  # whatever a later selection does
        budget = setup.budget
        decisions: list[Decision] = []
        for place, cell_type in enumerate(space.cell_types):
            undecided = architecture.undecided_edges(cell_type)
            if not undecided or cell_type not in setup.bilevel.alphas:
                continue
            history = [alpha_of(space, cell_type, row) for row in epochs[-1 - sgas.history : -1]]
            scores = edge_scores(
                space, cell_type, architecture.alpha[cell_type].numpy(), history, sgas.criterion
            )
            for edge in sorted(undecided, key=lambda e: -scores[e]):  # stable: ties go to the lower edge
                within = within_budget(architecture, budget, cell_type, edge)
                allowed = [
                    a and b for a, b in zip(_all_but_none(space, cell_type, edge), within, strict=True)
                ]
                if any(allowed):
                    break
            decider = Decider(architecture, prober, sgas.decision, allow=lambda *_, allowed=allowed: allowed)
            number = event * len(space.cell_types) + place
            planned = PlannedDecision(event, epoch, "operation", cell_type, edge)
            decision = decider.decide(planned, number)
            if not isinstance(decision, OperationDecision):  # never: it was planned as one
                raise TypeError(f"{decision} is no decision on an operation")
            refused = refusals(space.candidates[cell_type][edge], within)
            removed = prune(architecture, cell_type, space.edges[edge].target)
            decisions.append(
                dataclasses.replace(
                    decision, refused=refused, score=float(scores[edge]), removed=tuple(removed)
                )
            )
        return decisions


def number_of_decisions(space: Space) -> int:
    """Return how many edges a cell keeps: so many decisions each cell type needs."""
    return sum(space.keeps(node) for node in space.targets)


def edge_scores(
    space: Space, cell_type: str, alpha: np.ndarray, history: list[np.ndarray], criterion: int
) -> np.ndarray:
    """Return the scores of all edges.

    Args:
      space: the search space.
      cell_type: the cell type.
      alpha: float [edges, operations].
      history: the same after earlier epochs, for criterion 2.
      criterion: 1 or 2.

    Returns:
      float64 [edges].
    """
    rows = [list(row) for row in space.candidates[cell_type]]
    now = [_others(rows[e], alpha[e]) for e in range(len(rows))]
    terms = [np.array([_certainty(p) for p, _ in now])]
    if any("none" in row for row in rows):
        terms.append(np.array([weight for _, weight in now]))
    if criterion == 2:
        kept = [
            [np.minimum(_others(rows[e], old[e])[0], now[e][0]).sum() for old in history] or [0.0]
            for e in range(len(rows))
        ]
        terms.append(np.array([np.mean(values) for values in kept]))
    return np.prod([_scaled(term) for term in terms], axis=0)


def _others(names: list[str], alpha: np.ndarray) -> tuple[np.ndarray, float]:
    """Distribution over an edge's operations without `none`, and their part of the whole softmax."""
    weights = np.exp(alpha[: len(names)].astype(np.float64) - alpha[: len(names)].max())
    weights /= weights.sum()
    others = weights[[i for i, name in enumerate(names) if name != "none"]]
    if not len(others):
        return np.ones(1), 0.0
    return others / others.sum(), float(others.sum())


def _certainty(p: np.ndarray) -> float:
    if len(p) == 1:
        return 1.0
    return 1.0 + float((p * np.log(np.maximum(p, 1e-300))).sum()) / np.log(len(p))


def _scaled(term: np.ndarray) -> np.ndarray:
    """From 0 for the least to 1 for the largest; all 0 where they are equal, as in the SGAS release."""
    width = term.max() - term.min()
    return (term - term.min()) / width if width else np.zeros_like(term)


def _all_but_none(space: Space, cell_type: str, edge: int) -> list[bool]:
    names = space.candidates[cell_type][edge]
    return [name != "none" or len(names) == 1 for name in names]


def _without_none(space: Space, state: DecisionState) -> DecisionState:
    """What is open and may be decided for."""
    operations = {}
    for cell_type, mask in state.operations.items():
        operations[cell_type] = mask.copy()
        for edge in range(len(space.edges)):
            allowed = _all_but_none(space, cell_type, edge)
            operations[cell_type][edge, : len(allowed)] &= allowed
    return DecisionState(operations, state.edges)


def within_budget(architecture: Architecture, budget: Budget | None, cell_type: str, edge: int) -> list[bool]:
    """Return for each operation of an undecided edge whether the budget lets the edge be decided for it.

    The node keeps the edge then, and loses what `prune` takes from it.
    """
    space = architecture.space
    operations = range(len(space.candidates[cell_type][edge]))
    if budget is None:
        return [True for _ in operations]
    state, keeps = _without_none(space, DecisionState.of(architecture)), decided_edges(architecture)
    keeps[cell_type].append(edge)
    undecided = set(architecture.undecided_edges(cell_type)) - {edge}
    removed = _spare(space, undecided, space.edges[edge].target)
    return [
        not state.operations[cell_type][edge, o]  # no matter of the budget
        or budget.fits(state.with_operation(cell_type, edge, o).without_edges(cell_type, removed), keeps)
        for o in operations
    ]


def decided_edges(architecture: Architecture) -> dict[str, list[int]]:
    """Return the edges that are there with one open operation, by cell type: their nodes keep them."""
    undecided = {t: set(architecture.undecided_edges(t)) for t in architecture.open_edges}
    return {
        t: [e for e, there in enumerate(mask.numpy()) if there and e not in undecided[t]]
        for t, mask in architecture.open_edges.items()
    }


def prune(architecture: Architecture, cell_type: str, node: int) -> list[int]:
    """Remove a node's undecided edges once as many are decided as it keeps; return those removed."""
    removed = _spare(architecture.space, set(architecture.undecided_edges(cell_type)), node)
    architecture.remove_edges(cell_type, removed)
    return removed


def _spare(space: Space, undecided: set[int], node: int) -> list[int]:
    """The undecided input edges of a node if as many others are there as it keeps, else none."""
    incoming = space.incoming(node)
    if space.kept_edges is None or len(set(incoming) - undecided) < space.kept_edges:
        return []
    return [e for e in incoming if e in undecided]
