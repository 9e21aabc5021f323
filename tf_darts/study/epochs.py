"""Every epoch of a search: its losses, alpha, what magnitude would select, and how good that is.

A search records alpha after every epoch. An architecture with that alpha, and with what a progressive method
had decided by then, is read as magnitude-based selection reads it after the last epoch.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from tf_darts import spaces
from tf_darts.genotypes.genotype import Genotype
from tf_darts.registry import UNTRAINED_ALPHA
from tf_darts.search.alpha_summary import skip_share_of
from tf_darts.search.replay import replayed
from tf_darts.selection import magnitude
from tf_darts.spaces import Space
from tf_darts.study.collect import SUPERNET, TEST, Row, Tables, percent, true_figures
from tf_darts.study.output import Output
from tf_darts.study.settings import Job, Study
from tf_darts.workdir import search_stages
from tf_darts.workdir.decisions import Decision, OperationDecision
from tf_darts.workdir.decisions import read as read_decisions
from tf_darts.workdir.metrics import per_epoch

# What a search's steps record, on batches of training and of validation images.
STEPS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


def epochs(study: Study, output: Output, tables: Tables) -> list[Row]:
    """Return a row for every epoch of every finished search, by search, seed and epoch.

    Columns: search, seed, epoch (finished epochs, from 1), and of what magnitude would select: genotype,
    skip_share (0 to 1), NAS-Bench-201's figures; and the supernet's test accuracy where it was measured. What
    is of magnitude is None where alpha is never trained. Then the columns of `STEPS`, averaged over the
    epoch's steps: losses, and accuracies (%); of validation images None where no step sees them.
    """
    found = [row for job in study.jobs if output.searched(job) for row in _rows(job, output, tables)]
    return _sorted(found, study)


def alpha(study: Study, output: Output) -> list[Row]:
    """Return alpha after every epoch of every finished search that trains it, by search, seed and epoch.

    Columns: search, seed, epoch (finished epochs, from 1), cell_type, edge, operation ("edge": the weight of
    the edge itself, of PC-DARTS) and alpha.
    """
    found = []
    for job in study.jobs:
        if job.config.search.method in UNTRAINED_ALPHA or not output.searched(job):
            continue
        for epoch in search_stages.rows(output.search_stage(job).path):
            for name in (name for name in epoch if name.startswith("alpha/")):
                _, cell_type, edge, operation = name.split("/", 3)
                found.append(
                    {
                        "search": job.search,
                        "seed": job.seed,
                        "epoch": epoch["finished_epoch"] + 1,
                        "cell_type": cell_type,
                        "edge": edge,
                        "operation": operation,
                        "alpha": epoch[name],
                    }
                )
    return _sorted(found, study)


def _sorted(rows: list[Row], study: Study) -> list[Row]:
    order = {name: i for i, name in enumerate(study.searches)}
    return sorted(rows, key=lambda row: (order[row["search"]], row["seed"], row["epoch"]))  # stable


def _rows(job: Job, output: Output, tables: Tables) -> list[Row]:
    space, folder = spaces.of(job.config), output.search_stage(job).path
    recorded = search_stages.rows(folder)
    ended, means = [row for row in recorded if "finished_epoch" in row], per_epoch(recorded)
    chosen = by_magnitude(job.config, space, ended, read_decisions(folder))
    rows = []
    for place, epoch in enumerate(ended):
        number = epoch["finished_epoch"]
        genotype = chosen.get(number)
        rows.append(
            {
                "search": job.search,
                "seed": job.seed,
                "epoch": number + 1,
                "genotype": genotype and genotype.to_text(space),
                "skip_share": genotype and skip_share_of(genotype),
                **true_figures(tables.of(job), genotype, (TEST,)),
                SUPERNET: percent(epoch.get("evaluation/test_accuracy")),
                **{column: _mean(means, column, place) for column in STEPS},
            }
        )
    return rows


def _mean(means: Mapping[str, Sequence[float]], column: str, place: int) -> float | None:
    """Return an epoch's mean for a table, of accuracies in percent; None where no step has the column."""
    if column not in means or math.isnan(mean := means[column][place]):
        return None
    return percent(mean) if column.endswith("accuracy") else round(mean, 6)


def by_magnitude(
    config: ml_collections.ConfigDict,
    space: Space,
    epochs: Sequence[Mapping[str, Any]],
    decisions: Sequence[Decision],
) -> dict[int, Genotype]:
    """Select by magnitude from alpha after every epoch.

    Args:
      config: the search's config.
      space: the search space.
      epochs: rows of finished epochs, from the first on.
      decisions: the search's own.

    Returns:
      By the epoch's number, from 0; empty where alpha is never trained.
    """
    if config.search.method in UNTRAINED_ALPHA:
        return {}
    made = [decision for decision in decisions if isinstance(decision, OperationDecision)]
    return {
        row["finished_epoch"]: magnitude.select(architecture).genotype
        for row, architecture in replayed(config, space, epochs, made, own_decisions=True)
    }
