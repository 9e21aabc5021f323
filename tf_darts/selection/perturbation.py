"""Perturbation-based selection (paper, section 5 and algorithm 1).

Take an edge at random, remove each operation in turn and measure the supernet's validation accuracy
without it; keep the operation whose removal hurts most; fine-tune; take the next edge. Then choose each
node's input edges the same way. Every measurement is kept.
"""

from collections.abc import Callable, Iterable

from tf_darts.architecture import Architecture
from tf_darts.evaluation import Score
from tf_darts.selection.probing import Prober, Removal
from tf_darts.selection.racing import Race
from tf_darts.selection.schedule import Planned


def _importance(score: Score, criterion: str) -> float:
    """How much the removal hurt: larger is worse for the supernet. Counts of images compare exactly."""
    return -score.correct if criterion == "accuracy" else score.loss


def _row(score: Score) -> dict:
    """A probe's score for decisions.jsonl; `images` is less than a pass where it left a race."""
    return {
        "correct": score.correct,
        "images": score.images,
        "accuracy": score.accuracy,
        "loss": score.loss,
    }


class Decider:
    """Makes planned decisions by probing.

    Args:
      architecture: its masks are changed.
      prober: scores probes; its passes of equal number see the same images.
      criterion: "accuracy" or "loss".
      racing_confidence: of racing; 0: no race, every probe sees the whole pass.
    """

    def __init__(
        self, architecture: Architecture, prober: Prober, criterion: str, racing_confidence: float = 0.0
    ):
        self._architecture, self._prober, self._criterion = architecture, prober, criterion
        self._racing_confidence = racing_confidence
        self._each_call: Callable[[int], None] = lambda batches: None

    def decide(
        self, planned: Planned, first_pass: int, each_call: Callable[[int], None] = lambda batches: None
    ) -> dict:
        """Makes one decision, changes the masks, and gives the row for decisions.jsonl."""
        self._each_call = each_call
        decide = {"operation": self._operation, "topology": self._topology}[planned.kind]
        row = {
            "kind": planned.kind,
            "event": planned.event,
            "epoch": planned.epoch,
            "cell_type": planned.cell_type,
            "criterion": self._criterion,
            **({"racing_confidence": self._racing_confidence} if self._racing_confidence else {}),
            **decide(planned.cell_type, planned.place, first_pass),
        }
        apply(self._architecture, row)
        return row

    def _score(
        self, cell_type: str, removals: list[Removal], number: int, most_important: bool
    ) -> tuple[list[Score], list[float]]:
        """Scores of the removals, and how much each hurt; -inf or inf for what is out of the race."""
        race = None
        if self._racing_confidence:
            race = Race(self._criterion, most_important, self._racing_confidence, len(removals))
        scores = self._prober.score(cell_type, removals, number, race, self._each_call)
        longest = max(score.images for score in scores)
        out = float("-inf") if most_important else float("inf")
        return scores, [_importance(s, self._criterion) if s.images == longest else out for s in scores]

    def _operation(self, cell_type: str, edge: int, number: int) -> dict:
        """Probes every operation of an edge; on a tie the earlier one is kept."""
        space = self._architecture.space
        names = space.candidates[cell_type][edge]
        removals = [(edge, o) for o in range(len(names))]
        scores, importance = self._score(cell_type, removals, number, most_important=True)
        best = importance.index(max(importance))
        return {
            "edge": edge,
            "edge_name": str(space.edges[edge]),
            "probes": [{"operation": name, **_row(score)} for name, score in zip(names, scores, strict=True)],
            "operation": best,
            "chosen": names[best],
        }

    def _topology(self, cell_type: str, node: int, number: int) -> dict:
        """Drops the least needed input edge of a node until as many are left as a genotype keeps.

        Edges dropped in earlier rounds stay in the supernet until the node is decided, as in the authors'
        release; each round sees the images in a new order. On a tie the later edge is dropped.
        """
        space = self._architecture.space
        left, rounds = list(space.incoming(node)), []
        while len(left) > space.kept_edges:
            removals = [(e, None) for e in left]
            scores, importance = self._score(cell_type, removals, number + len(rounds), most_important=False)
            least = min(importance)
            worst = max(i for i, value in enumerate(importance) if value == least)
            rounds.append(
                {
                    "probes": [
                        {"edge": e, "edge_name": str(space.edges[e]), **_row(score)}
                        for e, score in zip(left, scores, strict=True)
                    ],
                    "removed": left[worst],
                }
            )
            del left[worst]
        return {
            "node": node,
            "rounds": rounds,
            "removed": [r["removed"] for r in rounds],
            "kept": left,
            "kept_names": [str(space.edges[e]) for e in left],
        }


def apply(architecture: Architecture, row: dict) -> None:
    """Writes a recorded decision into the masks."""
    if row["kind"] == "operation":
        architecture.decide_operation(row["cell_type"], row["edge"], row["operation"])
    else:
        architecture.remove_edges(row["cell_type"], row["removed"])


def agree(architecture: Architecture, rows: Iterable[dict]) -> bool:
    """Whether the masks are exactly what these decisions make of a new architecture's."""
    replayed = Architecture(architecture.space)
    for row in rows:
        apply(replayed, row)
    return all(
        (ours[t].numpy() == theirs[t].numpy()).all()
        for ours, theirs in (
            (architecture.open_operations, replayed.open_operations),
            (architecture.open_edges, replayed.open_edges),
        )
        for t in architecture.space.cell_types
    )
