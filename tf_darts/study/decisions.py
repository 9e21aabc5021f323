"""What every selection of a study measured before it decided: a row for each candidate of each decision."""

import pathlib
from collections.abc import Iterator

from tf_darts import spaces
from tf_darts.study.collect import Row, percent
from tf_darts.study.output import Output
from tf_darts.study.settings import Study
from tf_darts.workdir.decisions import (
    Decision,
    MagnitudeDecision,
    OperationDecision,
    Probe,
    ShapleyDecision,
    TopologyDecision,
    read,
)


def decisions(study: Study, output: Output) -> list[Row]:
    """Return a row for each candidate of each decision of every finished selection, as they were made.

    Columns: search, selection, seed; number (of the decision, from 0), epoch (of fine-tuning, before it),
    cell_type; edge, or node and round (from 0), where a node chose its input edges; candidate (an operation,
    or an edge), kept; accuracy (%) and loss of the supernet without the candidate, lost and gained (images),
    whole_accuracy (%) and whole_loss of the supernet with it; importance (of a criterion that looks at
    more), mixing_weight. What was not measured is None.
    """
    rows = []
    for job in study.jobs:
        space = spaces.of(job.config)
        for selection in job.selections:
            if output.genotype(job, selection, space) is None:
                continue
            made = {"search": job.search, "selection": selection, "seed": job.seed}
            folder = output.selection_stage(job, selection).path
            rows += [made | row for row in _rows(folder)]
    searches, selections = list(study.searches), list(study.selections)
    return sorted(  # stable: the order of the decisions stays
        rows,
        key=lambda row: (
            searches.index(row["search"]),
            selections.index(row["selection"]),
            row["seed"],
        ),
    )


def _rows(folder: pathlib.Path) -> Iterator[Row]:
    judged = filter(None, (list(_candidates(decision)) for decision in read(folder)))
    for number, candidates in enumerate(judged):
        for row in candidates:
            yield {"number": number, **row}


def _candidates(decision: Decision) -> Iterator[Row]:
    """Yield the rows of a decision on an edge or a node; of others (a genotype that was drawn) none."""
    if isinstance(decision, OperationDecision):
        importance = decision.measured.importance if decision.measured else {}
        probes = {probe.name: probe for probe in decision.probes}
        for name in dict.fromkeys((*probes, *decision.mixing_weights, *importance)):
            yield _row(
                decision.epoch,
                decision.cell_type,
                edge=decision.edge_name,
                candidate=name,
                kept=name == decision.chosen,
                probe=probes.get(name),
                whole=decision.whole,
                importance=importance.get(name),
                mixing_weight=decision.mixing_weights.get(name),
            )
    elif isinstance(decision, TopologyDecision):
        weights = decision.mixing_weights or {}
        importance = decision.measured.importance if decision.measured else {}
        for number, made in enumerate(decision.rounds):
            for probe in made.probes:
                yield _row(
                    decision.epoch,
                    decision.cell_type,
                    node=decision.node,
                    round=number,
                    candidate=probe.name,
                    kept=probe.edge not in made.removed,
                    probe=probe,
                )
        for name in dict.fromkeys((*weights, *importance)):
            yield _row(
                decision.epoch,
                decision.cell_type,
                node=decision.node,
                candidate=name,
                kept=name in decision.kept_names,
                importance=importance.get(name),
                mixing_weight=weights.get(name),
            )
    elif isinstance(decision, MagnitudeDecision | ShapleyDecision):
        importance = decision.importance if isinstance(decision, ShapleyDecision) else {}
        for name, weight in decision.mixing_weights.items():
            yield _row(
                None,
                decision.cell_type,
                edge=decision.edge_name,
                candidate=name,
                kept=name == decision.chosen,
                importance=importance.get(name),
                mixing_weight=weight,
            )


def _row(
    epoch: int | None,
    cell_type: str,
    *,
    candidate: str,
    kept: bool,
    edge: str | None = None,
    node: int | None = None,
    round: int | None = None,
    probe: Probe | None = None,
    whole: Probe | None = None,
    importance: float | None = None,
    mixing_weight: float | None = None,
) -> Row:
    return {
        "epoch": epoch,
        "cell_type": cell_type,
        "edge": edge,
        "node": node,
        "round": round,
        "candidate": candidate,
        "kept": kept,
        "accuracy": probe and percent(probe.accuracy),
        "loss": probe and _short(probe.loss),
        "lost": probe and probe.lost,
        "gained": probe and probe.gained,
        "whole_accuracy": whole and percent(whole.accuracy),
        "whole_loss": whole and _short(whole.loss),
        "importance": _short(importance),
        "mixing_weight": _short(mixing_weight),
    }


def _short(value: float | None) -> float | None:
    """Return a value of single precision without digits that it does not have."""
    return None if value is None else float(f"{value:.8g}")
