"""Magnitude-based selection after every epoch of a search: what it would select, and how good that is.

A search records alpha after every epoch. An architecture with that alpha, and with what a progressive method
had decided by then, is read as magnitude-based selection reads it after the last epoch.
"""

from collections.abc import Sequence
from typing import Any

import ml_collections

from tf_darts import spaces
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models import decision_state
from tf_darts.registry import METHODS, UNTRAINED_ALPHA
from tf_darts.search.alpha_summary import recall, skip_share_of
from tf_darts.selection import magnitude
from tf_darts.spaces import Space
from tf_darts.study.collect import SUPERNET, TEST, Row, Tables, percent, true_figures
from tf_darts.study.output import Output
from tf_darts.study.settings import Job, Study
from tf_darts.workdir.decisions import Decision, OperationDecision
from tf_darts.workdir.decisions import read as read_decisions
from tf_darts.workdir.records import read_lines


def epochs(study: Study, output: Output, tables: Tables) -> list[Row]:
    """Return a row for every epoch of every finished search, by search, seed and epoch.

    Columns: search, seed, epoch (finished epochs, from 1), and of what magnitude would select: genotype,
    skip_share (0 to 1), NAS-Bench-201's figures; and the supernet's test accuracy where it was measured. What
    is of magnitude is None where alpha is never trained.
    """
    found = [row for job in study.jobs if output.searched(job) for row in _rows(job, output, tables)]
    order = {name: i for i, name in enumerate(study.searches)}
    return sorted(found, key=lambda row: (order[row["search"]], row["seed"], row["epoch"]))


def _rows(job: Job, output: Output, tables: Tables) -> list[Row]:
    space, folder = spaces.of(job.config), output.search_stage(job).path
    decisions = [d for d in read_decisions(folder) if isinstance(d, OperationDecision)]
    rows = []
    for epoch in (row for row in read_lines(folder / "metrics.jsonl") if "finished_epoch" in row):
        number, genotype = epoch["finished_epoch"], None
        if job.config.search.method not in UNTRAINED_ALPHA:
            made = [decision for decision in decisions if decision.epoch <= number]
            genotype = by_magnitude(job.config, space, epoch, made)
        rows.append(
            {
                "search": job.search,
                "seed": job.seed,
                "epoch": number + 1,
                "genotype": genotype and genotype.to_text(space),
                "skip_share": genotype and skip_share_of(genotype),
                **true_figures(tables.of(job), genotype, (TEST,)),
                SUPERNET: percent(epoch.get("evaluation/test_accuracy")),
            }
        )
    return rows


def by_magnitude(
    config: ml_collections.ConfigDict, space: Space, epoch: dict[str, Any], decisions: Sequence[Decision]
) -> Genotype:
    """Select by magnitude from an epoch's alpha.

    Args:
      config: the search's config.
      space: the search space.
      epoch: the epoch's row of metrics.jsonl.
      decisions: of the search, made by then.
    """
    architecture = METHODS.load(config.search.method)(config, space).architecture()
    recall(architecture, epoch)
    for decision in decisions:
        decision_state.apply(architecture, decision)
    return magnitude.select(architecture).genotype
