"""One decision of perturbation-based selection (paper, section 5).

On an edge: remove each operation in turn, measure the supernet's validation accuracy without it, and keep the
operation whose removal hurts most. On a node: choose its input edges the same way. Every measurement is kept.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tf_darts.genotypes.derive import candidates_of
from tf_darts.models.architecture import Architecture
from tf_darts.models.budget import Budget
from tf_darts.models.decision_state import DecisionState, apply
from tf_darts.models.evaluator import Score
from tf_darts.registry import CRITERIA, MAGNITUDE, RACEABLE
from tf_darts.selection.criteria import measured
from tf_darts.selection.measurer import Measures
from tf_darts.selection.probe import Scorer, Seen
from tf_darts.selection.probe_pass import Removal
from tf_darts.selection.race import Race
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.spaces import Space
from tf_darts.workdir.decisions import (
    Decision,
    Lead,
    Measured,
    OperationDecision,
    Probe,
    Round,
    TopologyDecision,
)

Decided = OperationDecision | TopologyDecision

# (space, cell type, edge) -> for each operation, whether it may be kept.
Allow = Callable[[Space, str, int], list[bool]]


def refusals(choices: Sequence[str], allowed: Sequence[bool]) -> tuple[str, ...]:
    """Return the choices that are not allowed."""
    return tuple(choice for choice, may in zip(choices, allowed, strict=True) if not may)


class Decider:
    """Makes planned decisions.

    Args:
      architecture: its masks are changed.
      prober: scores probes; its passes of equal number see the same images.
      criterion: of operations, by its name in `CRITERIA`.
      racing_confidence: of racing; 0: no race, every probe sees the whole pass.
      topology_criterion: of edges; None: the same.
      allow: which operations may be kept; None: all.
      at_once: whether masks stay as they are and an edge's rivals are judged in one round, so that all
        decisions come from one supernet (one-shot selection); `apply` makes them then.
      decisions: those made before, for topology by magnitude, and for what they leave of the budget.
      budget: refuses choices, which are measured all the same, but not made; None: all may be made.
      measures_whole: whether an edge's probes are scored beside the supernet as it is; no decision depends
        on it.
    """

    def __init__(
        self,
        architecture: Architecture,
        prober: Scorer,
        criterion: str,
        racing_confidence: float = 0.0,
        topology_criterion: str | None = None,
        allow: Allow | None = None,
        at_once: bool = False,
        decisions: Iterable[Decision] = (),
        budget: Budget | None = None,
        measures_whole: bool = False,
    ):
        self._measures_whole = measures_whole
        self._seen: list[Seen] = []  # by the last decision's probes, and by the whole supernet beside them
        self._whole = Seen()
        self._architecture, self._prober = architecture, prober
        self._criteria = {"operation": criterion, "topology": topology_criterion or criterion}
        self._measured = {kind: measured(name) for kind, name in self._criteria.items()}
        self._racing_confidence, self._allow, self._at_once = racing_confidence, allow, at_once
        self._each_call: Callable[[int], None] = lambda batches: None
        # The weight that a decided edge's operation had when it was decided, by cell type and edge.
        self._weights: dict[tuple[str, int], float] = {}
        self._budget = budget
        self._waiting: list[Decision] = []  # decisions that are not in the masks yet
        for decision in decisions:
            self._remember(decision)

    def decide(
        self,
        planned: PlannedDecision,
        first_pass: int,
        each_call: Callable[[int], None] = lambda batches: None,
    ) -> Decided:
        """Make one decision and change the masks.

        Args:
          planned: what is decided.
          first_pass: number of the pass over the images that the first probes see.
          each_call: told after each call how many batches of probes it did.
        """
        self._each_call = each_call
        criterion = self._criteria[planned.kind]
        by = "magnitude" if criterion == MAGNITUDE else "probes"
        if self._measured[planned.kind] is not None:
            by = "measures"
        ways: dict[tuple[str, str], Callable[[dict[str, Any], str, int, int], Decided]] = {
            ("operation", "magnitude"): self._operation_by_magnitude,
            ("operation", "measures"): self._operation_by_measures,
            ("operation", "probes"): self._operation,
            ("topology", "magnitude"): self._topology_by_magnitude,
            ("topology", "measures"): self._topology_by_measures,
            ("topology", "probes"): self._topology,
        }
        racing = self._racing_confidence and by == "probes"
        about = {
            "event": planned.event,
            "epoch": planned.epoch,
            "cell_type": planned.cell_type,
            "criterion": criterion,
            "racing_confidence": self._racing_confidence if racing else None,
        }
        decision = ways[planned.kind, by](about, planned.cell_type, planned.place, first_pass)
        self._remember(decision)
        if not self._at_once:
            apply(self._architecture, decision)
        return decision

    def _remember(self, decision: Decision) -> None:
        if self._at_once:
            self._waiting.append(decision)
        if isinstance(decision, OperationDecision):
            space = self._architecture.space
            names = space.candidates[decision.cell_type][decision.edge]
            judged = [names[o] for o in candidates_of(space, decision.cell_type, decision.edge)]
            weight = max(decision.mixing_weights[name] for name in judged)
            self._weights[decision.cell_type, decision.edge] = weight

    def _mixing_weights(self, cell_type: str, edge: int) -> dict[str, float]:
        names = self._architecture.space.candidates[cell_type][edge]
        weights = self._architecture.mixing_weights()[cell_type].numpy()[edge]
        return {name: float(w) for name, w in zip(names, weights, strict=False)}

    def _score(
        self, kind: str, cell_type: str, removals: list[Removal], number: int, allowed: list[bool]
    ) -> tuple[list[Score], list[float]]:
        """Scores of the removals, and how much each hurt; -inf or inf for what is out of the race."""
        criterion, most_important = self._criteria[kind], kind == "operation"
        race = None
        if self._racing_confidence:
            refused = frozenset(i for i, may in enumerate(allowed) if not may)
            race = Race(criterion, most_important, self._racing_confidence, len(removals), refused)
        arguments = (cell_type, removals, number, race, self._each_call)
        if self._measures_whole and kind == "operation":
            self._seen, self._whole = self._prober.score_beside_whole(*arguments)
            scores = [seen.score() for seen in self._seen]
        else:
            scores = self._prober.score(*arguments)
        longest = max(score.images for score in scores)
        out = -math.inf if most_important else math.inf
        importance = CRITERIA.load(criterion)
        return scores, [importance(s) if s.images == longest else out for s in scores]

    def _state(self) -> DecisionState:
        """What all decisions so far leave open."""
        return DecisionState.of(self._architecture).after(self._waiting)

    def _allowed(self, cell_type: str, edge: int) -> tuple[list[bool], tuple[str, ...]]:
        """Return for each operation of an edge whether it may be kept, and what the budget refuses."""
        space = self._architecture.space
        names = space.candidates[cell_type][edge]
        allowed = self._allow(space, cell_type, edge) if self._allow else [True] * len(names)
        is_open = self._open(cell_type, edge)
        allowed = [may and o in is_open for o, may in enumerate(allowed)]
        if self._budget is None:
            return allowed, ()
        within = self._budget.allowed_operations(self._state(), cell_type, edge)
        refused = refusals([names[o] for o in is_open], [within[o] for o in is_open])
        return [a and b for a, b in zip(allowed, within, strict=True)], refused

    def _open(self, cell_type: str, edge: int) -> list[int]:
        """Return the operations of an edge that are there: a progressive search leaves some of them."""
        count = len(self._architecture.space.candidates[cell_type][edge])
        mask = self._architecture.open_operations[cell_type].numpy()[edge][:count]
        return [o for o, is_open in enumerate(mask) if is_open]

    def _droppable(self, cell_type: str, node: int, left: list[int]) -> list[bool]:
        """Return for each input edge that a node has left whether it may be dropped."""
        if self._budget is None:
            return [True] * len(left)
        return self._budget.allowed_removals(self._state(), cell_type, node, left)

    def _drop(
        self, cell_type: str, node: int, order: list[int], count: int
    ) -> tuple[list[int], tuple[int, ...]]:
        """Drop so many of a node's edges, the first in this order that may be; return them and the others."""
        left, dropped = list(order), []
        refused: set[int] = set()
        for _ in range(count):
            allowed = dict(zip(left, self._droppable(cell_type, node, left), strict=True))
            refused.update(e for e in left if not allowed[e])
            dropped.append(next(e for e in left if allowed[e]))
            left.remove(dropped[-1])
        return dropped, tuple(sorted(refused))

    def _kept(
        self, cell_type: str, edge: int, importance: Mapping[int, float], allowed: list[bool]
    ) -> dict[str, Any]:
        """Return the most important operation that may be kept; on a tie the earlier one."""
        space = self._architecture.space
        names = space.candidates[cell_type][edge]
        best = max((o for o, a in enumerate(allowed) if a), key=lambda o: importance[o])
        return {
            "edge": edge,
            "edge_name": str(space.edges[edge]),
            "operation": best,
            "chosen": names[best],
            "mixing_weights": self._mixing_weights(cell_type, edge),  # as they are before the decision
        }

    def _operation(self, about: dict[str, Any], cell_type: str, edge: int, number: int) -> OperationDecision:
        """Probe every operation of an edge."""
        is_open = self._open(cell_type, edge)
        names = [self._architecture.space.candidates[cell_type][edge][o] for o in is_open]
        removals: list[Removal] = [(edge, o) for o in is_open]
        of_all, refused = self._allowed(cell_type, edge)
        allowed = [of_all[o] for o in is_open]
        scores, importance = self._score("operation", cell_type, removals, number, allowed)
        kept = self._kept(cell_type, edge, dict(zip(is_open, importance, strict=True)), of_all)
        measured: dict[str, Any] = {}
        pairs: list[dict[str, Any]] = [{} for _ in names]
        if self._measures_whole:
            for pair, seen in zip(pairs, self._seen, strict=True):
                pair["lost"], pair["gained"] = seen.pairs(self._whole)
            measured["whole"] = _probe(self._whole.score())
            best = is_open.index(kept["operation"])
            measured["lead"] = self._lead(best, names, importance, allowed)
        probes = [
            _probe(score, operation=name, **pair)
            for name, score, pair in zip(names, scores, pairs, strict=True)
        ]
        return OperationDecision(**about, **kept, refused=refused, probes=tuple(probes), **measured)

    def _lead(
        self, best: int, names: Sequence[str], importance: list[float], allowed: list[bool]
    ) -> Lead | None:
        """Return by how much the operation that is kept is ahead of the next, image by image."""
        criterion = self._criteria["operation"]
        others = [o for o, may in enumerate(allowed) if may and o != best and math.isfinite(importance[o])]
        if criterion not in RACEABLE or not others:
            return None
        following = max(others, key=lambda o: importance[o])
        ahead = self._seen[best].values(criterion) - self._seen[following].values(criterion)
        if criterion == "accuracy":  # the less is right without it, the better it is
            ahead = -ahead
        error = float(ahead.std(ddof=1, dtype="float64")) / math.sqrt(len(ahead)) if len(ahead) > 1 else None
        return Lead(over=names[following], value=float(ahead.mean(dtype="float64")), error=error)

    def _operation_by_magnitude(
        self, about: dict[str, Any], cell_type: str, edge: int, number: int
    ) -> OperationDecision:
        """Take the largest mixing weight, `none` left out where a genotype of the space holds none."""
        space = self._architecture.space
        weights = list(self._mixing_weights(cell_type, edge).values())
        judged = candidates_of(space, cell_type, edge)
        importance = {o: w if o in judged else -math.inf for o, w in enumerate(weights)}
        allowed, refused = self._allowed(cell_type, edge)
        return OperationDecision(**about, **self._kept(cell_type, edge, importance, allowed), refused=refused)

    def _operation_by_measures(
        self, about: dict[str, Any], cell_type: str, edge: int, number: int
    ) -> OperationDecision:
        """Keep what a criterion that looks at more than scores says is the most important."""
        is_open = self._open(cell_type, edge)
        names = [self._architecture.space.candidates[cell_type][edge][o] for o in is_open]
        measures = self._measure("operation", cell_type, [(edge, o) for o in is_open], number)
        allowed, refused = self._allowed(cell_type, edge)
        kept = self._kept(cell_type, edge, dict(zip(is_open, measures.values, strict=True)), allowed)
        return OperationDecision(**about, **kept, refused=refused, measured=_measured(names, measures))

    def _topology_by_measures(
        self, about: dict[str, Any], cell_type: str, node: int, number: int
    ) -> TopologyDecision:
        """Drop the edges that such a criterion says are the least important; on a tie the later one.

        Dropped edges stay in the supernet until the node is decided, so that more rounds would measure the
        same.
        """
        space, left = self._architecture.space, self._open_edges(cell_type, node)
        measures = self._measure("topology", cell_type, [(e, None) for e in left], number)
        order = sorted(range(len(left)), key=lambda i: (measures.values[i], -i))
        count = len(left) - space.keeps(node)
        removed, refused = self._drop(cell_type, node, [left[i] for i in order], count)
        kept = [e for e in left if e not in removed]
        names = [str(space.edges[e]) for e in left]
        return TopologyDecision(
            **about,
            measured=_measured(names, measures),
            refused=refused,
            **self._kept_edges(node, kept, removed),
        )

    def _measure(self, kind: str, cell_type: str, removals: list[Removal], number: int) -> Measures:
        return self._prober.measure(
            self._measured[kind], cell_type, removals, number, self._each_call, keeps=self._at_once
        )

    def _topology(self, about: dict[str, Any], cell_type: str, node: int, number: int) -> TopologyDecision:
        """Drop the least needed input edge of a node until as many are left as a genotype keeps.

        Edges dropped in earlier rounds stay in the supernet until the node is decided, as in the authors'
        release; each round sees the images in a new order. On a tie the later edge is dropped.
        """
        space = self._architecture.space
        left, keeps = self._open_edges(cell_type, node), space.keeps(node)
        rounds: list[Round] = []
        while len(left) > keeps:
            removals: list[Removal] = [(e, None) for e in left]
            allowed = self._droppable(cell_type, node, left)
            scores, importance = self._score("topology", cell_type, removals, number + len(rounds), allowed)
            # From the least needed edge to the most.
            order = sorted(range(len(left)), key=lambda i: (importance[i], -i))
            count = len(left) - keeps if self._at_once else 1
            removed, refused = self._drop(cell_type, node, [left[i] for i in order], count)
            probes = [
                _probe(score, edge=e, edge_name=str(space.edges[e]))
                for e, score in zip(left, scores, strict=True)
            ]
            rounds.append(Round(probes=tuple(probes), removed=tuple(removed), refused=refused))
            left = [e for e in left if e not in removed]
        dropped = [e for r in rounds for e in r.removed]
        return TopologyDecision(**about, rounds=tuple(rounds), **self._kept_edges(node, left, dropped))

    def _topology_by_magnitude(
        self, about: dict[str, Any], cell_type: str, node: int, number: int
    ) -> TopologyDecision:
        """Keep the edges whose operation had the largest mixing weight when it was decided.

        The paper does not say how its ablation decides topology; ties go to the lower edge.
        """
        now = self._architecture.mixing_weights()[cell_type].numpy()
        space, is_open = self._architecture.space, self._architecture.open_operations[cell_type].numpy()

        def weight(edge: int) -> float:
            # An edge that had one candidate was never decided; with topology first none was.
            judged = candidates_of(space, cell_type, edge) if is_open[edge].sum() > 1 else slice(None)
            return self._weights.get((cell_type, edge), float(now[edge][judged].max()))

        weights = {e: weight(e) for e in self._open_edges(cell_type, node)}
        ranked = sorted(weights, key=lambda e: -weights[e])
        count = len(ranked) - space.keeps(node)
        dropped, refused = self._drop(cell_type, node, ranked[::-1], count)
        left, removed = sorted(set(ranked) - set(dropped)), [e for e in ranked if e in dropped]
        named = {str(space.edges[e]): weight for e, weight in weights.items()}
        return TopologyDecision(
            **about, mixing_weights=named, refused=refused, **self._kept_edges(node, left, removed)
        )

    def _open_edges(self, cell_type: str, node: int) -> list[int]:
        is_open = self._architecture.open_edges[cell_type].numpy()
        return [e for e in self._architecture.space.incoming(node) if is_open[e]]

    def _kept_edges(self, node: int, left: list[int], removed: list[int]) -> dict[str, Any]:
        names = [str(self._architecture.space.edges[e]) for e in left]
        return {"node": node, "removed": tuple(removed), "kept": tuple(left), "kept_names": tuple(names)}


def _measured(names: Sequence[str], measures: Measures) -> Measured:
    """Return what a criterion said, as decisions.jsonl has it."""
    importance = dict(zip(names, measures.values, strict=True))
    return Measured(importance=importance, images=measures.images, passes=measures.passes)


def _probe(score: Score, **about: Any) -> Probe:
    """Return what a probe scored, as decisions.jsonl has it."""
    return Probe(
        correct=score.correct, images=score.images, accuracy=score.accuracy, loss=score.loss, **about
    )
