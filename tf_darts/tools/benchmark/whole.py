"""A whole selection, added up from a few steps and probes at stages of decided edges.

A full selection takes hours to days; what it does is known beforehand (`selection.schedule`), so its time is
the sum, over its events, of the event's passes over the validation half and of the fine-tuning that follows.
What a step or a probe batch costs after so many events is measured at a few stages and interpolated between.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tf_darts.selection.schedule import PlannedDecision, at_random, plan
from tf_darts.spaces import Space


def plan_of(space: Space, interval: int, seed: int) -> tuple[list[PlannedDecision], int]:
    """Return all decisions of a selection from the start, and its epochs of fine-tuning."""
    undecided = {t: [e for e, row in enumerate(rows) if len(row) > 1] for t, rows in space.candidates.items()}
    return plan(space, undecided, interval, at_random(seed))


def made_up_decisions(space: Space, planned: Sequence[PlannedDecision], seed: int) -> list[dict]:
    """Draw a decision for everything planned: rows of decisions.jsonl without the probes.

    What is chosen changes what later steps cost (a skip connection is cheap, a 5x5 convolution is not), so
    both implementations are timed with the same choices, uniform over the candidates and the edges.
    """
    draw = np.random.RandomState(seed)
    rows = []
    for p in planned:
        row = {"kind": p.kind, "event": p.event, "cell_type": p.cell_type}
        if p.kind == "operation":
            operations = len(space.candidates[p.cell_type][p.place])
            rows.append({**row, "edge": p.place, "operation": int(draw.randint(operations))})
        else:
            arriving = space.incoming(p.place)
            kept = draw.choice(len(arriving), space.kept_edges, replace=False)
            removed = [e for i, e in enumerate(arriving) if i not in kept]
            rows.append({**row, "node": p.place, "removed": removed})
    return rows


def next_probe(space: Space, planned: Sequence[PlannedDecision], event: int) -> tuple[str, int, int | None]:
    """Return a probe of an event, or of the last: cell type, edge, and operation (None: the whole edge)."""
    p = next((p for p in planned if p.event == event), planned[-1])
    if p.kind == "operation":
        return p.cell_type, p.place, 0
    return p.cell_type, space.incoming(p.place)[0], None


def stages(events: int, count: int) -> list[int]:
    """Return the numbers of events made at which to measure: `count` from 0 to all, evenly, none twice."""
    return sorted({round(float(x)) for x in np.linspace(0, events, count)})


@dataclasses.dataclass(frozen=True)
class Point:
    """What was measured at a stage.

    Attributes:
      events: events made.
      step: seconds of a fine-tuning step.
      probe: seconds of a validation batch of a probe.
      start: seconds until the compiled functions are there (tracing), 0 where nothing is compiled.
    """

    events: int
    step: float
    probe: float
    start: float


@dataclasses.dataclass(frozen=True)
class Hours:
    """A whole selection, in hours, by what it spends them on."""

    probing: float
    finetuning: float
    starting: float

    @property
    def total(self) -> float:
        return self.probing + self.finetuning + self.starting


def hours(
    space: Space,
    planned: Sequence[PlannedDecision],
    epochs: int,
    points: Sequence[Point],
    train_batches: float,
    valid_batches: float,
    starts_anew: bool,
) -> Hours:
    """Add up the hours of a selection.

    Args:
      space: the search space.
      planned: its decisions.
      epochs: its epochs of fine-tuning.
      points: measurements by number of events made, ascending; linear in between.
      train_batches: fine-tuning steps in an epoch (a part of a batch counts as such).
      valid_batches: batches in a pass over the validation half.
      starts_anew: whether the compiled functions are made anew after each event, or once.
    """
    made = [p.events for p in points]

    def at(events: int, field: str) -> float:
        return float(np.interp(events, made, [getattr(p, field) for p in points]))

    epoch_of = {p.event: p.epoch for p in planned}
    numbers = sorted(epoch_of)
    probing = sum(p.passes(space) * valid_batches * at(p.event, "probe") for p in planned)
    finetuning = starting = 0.0
    for number in numbers:
        # The epochs until the next event are trained with this one's decisions made.
        until = epoch_of.get(number + 1, epochs)
        finetuning += (until - epoch_of[number]) * train_batches * at(number + 1, "step")
        starting += at(number, "start") if starts_anew or number == numbers[0] else 0.0
    return Hours(probing / 3600, finetuning / 3600, starting / 3600)
