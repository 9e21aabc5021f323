"""Skip connections over the epochs of a search, and the supernet's accuracy (paper, section 3.2, figure 3).

Three curves from search/metrics.jsonl: the share of skip connections in the genotype that magnitude
selection would read from each epoch's alpha; the gap between the mixing weight of the skip connection and
the largest one of an operation with weights of its own, averaged over the edges that have both (figure 3:
it grows as the supernet gets better); and the supernet's accuracy on the validation half, where the search
measured it. In NAS-Bench-201, also the true accuracy of each epoch's genotype.
"""

import numpy as np
from matplotlib.figure import Figure

from tf_darts.analysis import figures
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.errors import UserError
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import from_text
from tf_darts.layers.operations import has_weights
from tf_darts.models.architecture import Architecture
from tf_darts.plots.table import aligned_lines
from tf_darts.registry import UNTRAINED_ALPHA
from tf_darts.search.alpha_summary import recall, skip_share
from tf_darts.search.replay import replayed
from tf_darts.spaces import Space
from tf_darts.spaces.space import SKIP
from tf_darts.workdir.records import read_json, write_csv

ACCURACIES = ("evaluation/valid_accuracy", "evaluation/test_accuracy")
CURVES = ("skip_share", "gap", "valid_accuracy", "test_accuracy", "true_accuracy")
COLUMNS = ("epoch", "step", *CURVES, "genotype")


def run(study: AnalysisRun) -> str:
    """Read the search, write epochs.csv, result.json and a picture; return some epochs as text."""
    method = study.config.search.method
    if method in UNTRAINED_ALPHA:
        raise UserError(
            f"config: search.method is {method!r}, which never trains alpha; allowed for the analysis"
            " skip_share: a method that does"
        )
    rows = epochs(study)
    table = {}
    if study.table is not None:
        column = study.config.analysis.table_column
        values = study.table.column(column)
        table = {"table": study.table.source, "table_column": column}
        for row in rows:
            row["true_accuracy"] = float(values[study.table.index(from_text(row["genotype"], study.space))])
    write_csv(study.folder / "epochs.csv", COLUMNS, rows)
    curves = {name: [(row["epoch"], row[name]) for row in rows if name in row] for name in CURVES}
    result = {"space": study.space.name, **table, "epochs": rows}
    searched = read_json(study.search_folder / "result.json")
    if "taken_from_epoch" in searched:  # the search was stopped, and went back
        result["taken_from_epoch"] = searched["taken_from_epoch"] + 1
    study.leave(result, {"skip_share": _picture(curves)}, curves)
    return _summary(rows)


def epochs(study: AnalysisRun) -> list[dict]:
    """Return a row per finished epoch: its number (from 1), what alpha says, and accuracies (0 to 1).

    Raises:
      UserError: rows lack alpha's entries.
    """
    space, rows = study.space, []
    found = replayed(study.config, space, study.searched_epochs(), study.search_decisions(), read)
    for logged, architecture in found:
        weights = architecture.current_weights()
        row = {
            "epoch": logged["finished_epoch"] + 1,
            "step": logged["step"],
            "skip_share": skip_share(space, weights),
        }
        difference = gap(space, {t: p.numpy() for t, p in architecture.probabilities().items()})
        if difference is not None:
            row["gap"] = difference
        for name in ACCURACIES:
            if name in logged:
                row[name.split("/")[1]] = logged[name]
        rows.append(row | {"genotype": read_genotype(space, weights).to_text(space)})
    return rows


def read(architecture: Architecture, logged: dict) -> None:
    """Set alpha to what an epoch's row of metrics.jsonl says.

    Raises:
      UserError: the row lacks an entry.
    """
    try:
        recall(architecture, logged)
    except KeyError as missing:
        raise UserError(
            f"--workdir: search/metrics.jsonl has no {missing} for epoch {logged['finished_epoch'] + 1};"
            " allowed: a search by this version"
        ) from None


def gap(space: Space, probabilities: dict[str, np.ndarray]) -> float | None:
    """Return the skip connection's mixing weight minus the largest of an operation with weights.

    Args:
      space: the search space.
      probabilities: float [edges, operations] per cell type; rows sum to 1.

    Returns:
      The mean over all edges that have both; None where none has.
    """
    gaps = []
    for cell_type, rows in probabilities.items():
        for names, row in zip(space.candidates[cell_type], rows, strict=True):
            weighted = [float(row[o]) for o, name in enumerate(names) if has_weights(name)]
            if SKIP in names and weighted:
                gaps.append(float(row[names.index(SKIP)]) - max(weighted))
    return float(np.mean(gaps)) if gaps else None


def _summary(rows: list[dict]) -> str:
    headings = ("epoch", "skip share", "gap", "valid accuracy, %", "true accuracy, %")
    cells = []
    for row in dict.fromkeys((0, len(rows) // 2, len(rows) - 1)):
        values = rows[row]
        cells.append(
            (
                str(values["epoch"]),
                f"{values['skip_share']:.2f}",
                f"{values['gap']:+.3f}" if "gap" in values else "-",
                f"{100 * values['valid_accuracy']:.2f}" if "valid_accuracy" in values else "-",
                f"{values['true_accuracy']:.2f}" if "true_accuracy" in values else "-",
            )
        )
    return "\n".join(aligned_lines(headings, cells, right=range(5)))


def _picture(curves: dict[str, list[tuple[int, float]]]) -> Figure:
    figure = figures.new(6.4, 3.4)
    axes = figure.subplots()
    beside = axes.twinx()
    drawn = [
        (axes, "skip_share", "share of skip connections (magnitude)", "#0072B2", "-", 1.0),
        (axes, "gap", "mixing weight, skip less largest with weights", "#56B4E9", "--", 1.0),
        (beside, "valid_accuracy", "supernet, validation accuracy, %", "#D55E00", "-", 100.0),
        (beside, "true_accuracy", "true accuracy of the epoch's genotype, %", "#009E73", ":", 1.0),
    ]
    handles = []
    for ax, name, label, colour, style, factor in drawn:
        if curves[name]:
            x, y = zip(*curves[name], strict=True)
            handles += ax.plot(x, [factor * v for v in y], style, color=colour, label=label)
    axes.set_xlabel("epoch of the search", fontsize=8)
    axes.set_ylabel("share, difference of weights", fontsize=8)
    beside.set_ylabel("accuracy, %", fontsize=8)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=7)
    return figure
