"""Curvature of the validation loss in alpha: eigenvalues of its Hessian at the end of a search.

Zela et al. (ICLR 2020, section 4) find that architectures discretised where the largest eigenvalue is large
generalise badly. A search with `early_stopping.window` records it after every epoch; here it is measured at
the end, on several validation batches, and where alpha has few entries, with all other eigenvalues.

A softmax does not see a constant added to a row of alpha, so that at least one eigenvalue for each edge is
zero by construction.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from tf_darts.analysis import figures
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.runtime.progress import Progress
from tf_darts.search.early_stopping import METRIC, alpha_entries, eigenvalues, hessian_times


def run(study: AnalysisRun) -> str:
    """Measure the eigenvalues, write rows, result.json and a picture, and return the eigenvalues as text."""
    config = study.config
    epochs = [(row["finished_epoch"], row[METRIC]) for row in study.searched_epochs() if METRIC in row]
    entries = alpha_entries(study.setup)
    whole = entries <= config.analysis.spectrum_entries
    mean, by_batch = spectra(study, entries) if whole else extremes(study, entries)
    result = {
        "space": study.space.name,
        "entries": entries,
        "batch_size": config.search.batch_size,
        "batches": config.analysis.batches,
        "largest": mean[-1],
        "smallest": mean[0],
        "largest_by_batch": [values[-1] for values in by_batch],
        "smallest_by_batch": [values[0] for values in by_batch],
        "spectrum": mean if whole else None,
        "recorded": [{"epoch": epoch, "largest": value} for epoch, value in epochs],
    }
    study.leave(result, {"hessian": _picture(result)}, {"largest": epochs})
    return _summary(result)


def spectra(study: AnalysisRun, entries: int) -> tuple[list[float], list[list[float]]]:
    """Return all eigenvalues, ascending: of the Hessian averaged over the batches, and of each batch's own.

    The matrices are computed row by row and kept in matrices.jsonl.
    """
    lines, batches = study.lines("matrices.jsonl"), study.config.analysis.batches
    left = range(len(lines.rows), batches)
    if left:
        product, progress = hessian_times(study.setup), Progress("hessian", len(left) * entries)
        for batch in left:
            rows = []
            for vector in np.eye(entries):
                rows.append(product(vector, batch).tolist())
                progress.update((batch - left[0]) * entries + len(rows))
            lines.append({"batch": batch, "matrix": rows})
    # Rounding leaves the two halves of a matrix a little different.
    matrices = [np.array(row["matrix"]) for row in lines.rows[:batches]]
    matrices = [(matrix + matrix.T) / 2 for matrix in matrices]
    mean = np.linalg.eigvalsh(np.mean(matrices, axis=0)).tolist()
    return mean, [np.linalg.eigvalsh(matrix).tolist() for matrix in matrices]


def extremes(study: AnalysisRun, entries: int) -> tuple[list[float], list[list[float]]]:
    """Return the smallest and largest eigenvalue of each Hessian of `spectra`, without its matrix (Lanczos).

    They are kept in extremes.jsonl.
    """
    lines, batches = study.lines("extremes.jsonl"), study.config.analysis.batches
    done = {tuple(row["batches"]): row["extremes"] for row in lines.rows}
    groups = [(b,) for b in range(batches)] + [tuple(range(batches))]
    left = [group for group in dict.fromkeys(groups) if group not in done]
    if left:
        product, progress = hessian_times(study.setup), Progress("hessian", len(left))
        for number, group in enumerate(left):
            done[group] = eigenvalues(_averaged(product, group), entries, study.config.seed, "BE", 2)
            lines.append({"batches": list(group), "extremes": done[group]})
            progress.update(number + 1)
    return done[groups[-1]], [done[group] for group in groups[:-1]]


def _averaged(product: Callable[..., np.ndarray], group: tuple[int, ...]) -> Callable[..., np.ndarray]:
    return lambda vector: np.mean([product(vector.ravel(), batch) for batch in group], axis=0)


def _summary(result: dict) -> str:
    batches = ", ".join(f"{value:.4g}" for value in result["largest_by_batch"])
    lines = [
        f"Largest eigenvalue of alpha's Hessian ({result['entries']} entries), over {result['batches']}"
        f" validation batches of {result['batch_size']}: {result['largest']:.4g} (by batch: {batches});"
        f" smallest: {result['smallest']:.4g}."
    ]
    if result["recorded"]:
        first, last = result["recorded"][0], result["recorded"][-1]
        lines.append(
            f"Recorded by the search: {first['largest']:.4g} after epoch {first['epoch'] + 1},"
            f" {last['largest']:.4g} after epoch {last['epoch'] + 1}."
        )
    return "\n".join(lines)


def _picture(result: dict) -> Figure:
    parts = bool(result["recorded"]) + bool(result["spectrum"])
    figure = figures.new(4.5 * max(parts, 1), 3.2)
    axes = list(figure.subplots(1, max(parts, 1), squeeze=False)[0])
    if result["recorded"]:
        ax = axes.pop(0)
        epochs = [row["epoch"] + 1 for row in result["recorded"]]
        ax.plot(epochs, [row["largest"] for row in result["recorded"]], color=figures.LEFT)
        ax.set_xlabel("epoch of the search", fontsize=8)
        ax.set_ylabel("largest eigenvalue, on one batch", fontsize=8)
    for ax in axes:
        if result["spectrum"]:
            values = result["spectrum"][::-1]
            ax.stem(range(1, len(values) + 1), values, basefmt=" ", markerfmt=".", linefmt=figures.LEFT)
            ax.set_xlabel("eigenvalue, by size", fontsize=8)
        else:
            numbers = range(1, result["batches"] + 1)
            ax.plot(numbers, result["largest_by_batch"], "o", color=figures.LEFT, label="largest")
            ax.plot(numbers, result["smallest_by_batch"], "o", color=figures.RIGHT, label="smallest")
            ax.set_xlabel("validation batch", fontsize=8)
            ax.legend(fontsize=8, frameon=False)
        ax.axhline(0.0, color="#A8B0B8", linewidth=0.8)
        ax.set_ylabel("eigenvalue of alpha's Hessian", fontsize=8)
    return figure
