"""How results of the library show themselves in a notebook: HTML of one piece, and metrics by epoch.

A piece has its styles and pictures inside and loads nothing. Where a site takes the styles away, as GitHub
does, plain tables and pictures are left. It is light or dark as the notebook is; a picture, which has a
paper of its own, can be read on both.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench.nas_bench_201 import DATA_SETS, NasBench201, accuracy_column
from tf_darts.plots import decisions, svg
from tf_darts.plots.cell_diagram import draw_cell
from tf_darts.plots.mixture_diagram import draw_mixture
from tf_darts.report import outcome, page
from tf_darts.report.page import HtmlTable
from tf_darts.report.workdir_contents import StageContents
from tf_darts.report.workdir_page import percent
from tf_darts.runtime.progress import duration
from tf_darts.spaces import Space
from tf_darts.workdir.metrics import per_epoch

_CLASSES = 10  # rows of the table of classes: more make a page of it
# How hosts of notebooks say that they are dark, or light; where none is said, the reader's system decides.
_DARK = (
    "body[data-jp-theme-light=false]",
    "body.vscode-dark",
    "body.vscode-high-contrast",
    "html[theme=dark]",
    "html[data-theme=dark]",
    "body[data-md-color-scheme=slate]",
)
_LIGHT = (
    "body[data-jp-theme-light=true]",
    "body.vscode-light",
    "html[theme=light]",
    "html[data-theme=light]",
    "body[data-md-color-scheme=default]",
)


def of_search(
    stage: StageContents, space: Space, weights: Mapping[str, np.ndarray], facts: Mapping[str, str]
) -> str:
    """Return a searched supernet as HTML.

    Args:
      stage: what the search left.
      space: its space.
      weights: mixing weights at its end, float [edges, operations or more] by cell type; may be empty.
      facts: what is said first, by name.
    """
    pictures = [svg.image(draw_mixture(space, t, w), f"The supernet's {t} cell") for t, w in weights.items()]
    last: dict[str, float] = {name: values[-1] for name, values in per_epoch(stage.rows).items()}
    measured = {
        "epochs": f"{last['epoch']:.0f}" if last else "",
        "accuracy, training half": _share(last.get("train_accuracy")),
        "accuracy, validation half": _share(last.get("valid_accuracy")),
        "accuracy, test images": _share(last.get("evaluation/test_accuracy")),
        "skip connections by magnitude": _share(last.get("skip_share"), 0),
    }
    tables = [_decisions(space, stage)]
    note = "A band is an operation, as wide as its mixing weight." if pictures else ""
    return _render("Searched supernet", pictures, {**facts, **measured, **_time(stage)}, tables, note=note)


def of_selection(
    stage: StageContents,
    space: Space,
    genotype: Genotype,
    table: NasBench201 | None,
    facts: Mapping[str, str],
) -> str:
    """Return a selected genotype as HTML.

    Args:
      stage: what the selection left.
      space: its space.
      genotype: what was selected.
      table: NAS-Bench-201's; None in every other space.
      facts: what is said first, by name.
    """
    tables = [*_true(genotype, table), _decisions(space, stage)]
    title, pictures = f"Selected: {stage.folder.name}", _cells(space, genotype)
    return _render(title, pictures, {**facts, **_time(stage)}, tables, genotype.to_text(space))


def of_training(
    stage: StageContents,
    space: Space,
    genotype: Genotype,
    table: NasBench201 | None,
    facts: Mapping[str, str],
) -> str:
    """Return a trained network as HTML.

    Args:
      stage: what the training left.
      space: its space.
      genotype: of the network.
      table: NAS-Bench-201's; None in every other space.
      facts: what is said first, by name.
    """
    result = stage.result
    low, high = outcome.wilson(result)
    measured = {
        "test accuracy": percent(result["test_accuracy"]),
        outcome.INTERVAL: f"{100 * low:.1f} to {100 * high:.1f} %",
        "parameters": f"{result['parameters']:,}",
        "epochs": f"{result['epochs']:,}",
    }
    tables = [*_classes(stage.file("errors.json")), *_true(genotype, table)]
    title, pictures = f"Trained: {stage.folder.name}", _cells(space, genotype)
    shown = {**measured, **facts, **_time(stage)}
    return _render(title, pictures, shown, tables, genotype.to_text(space))


def history(folder: pathlib.Path) -> Any:
    """Return `per_epoch` of a stage's folder, as a DataFrame where pandas is installed."""
    columns = per_epoch(StageContents.read(folder.parent, folder.name).rows)
    try:
        import pandas
    except ImportError:
        return columns
    return pandas.DataFrame(columns)


def _render(
    title: str,
    pictures: Sequence[str],
    facts: Mapping[str, str],
    tables: Sequence[tuple[str, HtmlTable]],
    text: str = "",
    note: str = "",
) -> str:
    """Return the piece: a title, pictures with what is below them, facts, and tables with their captions."""
    known = HtmlTable((), [(name, value) for name, value in facts.items() if value])
    shown = [("", known), *((caption, table) for caption, table in tables if table.rows)]
    styles = svg.styles(".tf-darts", dark=_DARK, light=_LIGHT)
    content = {"styles": styles, "pictures": pictures, "text": text, "note": note, "tables": shown}
    return page.render("notebook.html", title, "", (), **content)


def _cells(space: Space, genotype: Genotype) -> list[str]:
    return [svg.image(draw_cell(space, t, genotype), f"The {t} cell") for t in space.cell_types]


def _share(value: float | None, digits: int = 2) -> str:
    """Format a share as a percentage; empty where it was not measured."""
    return "" if value is None or np.isnan(value) else percent(value, digits)


def _time(stage: StageContents) -> dict[str, str]:
    return {} if stage.seconds is None else {"time": duration(stage.seconds)}


def _true(genotype: Genotype, table: NasBench201 | None) -> list[tuple[str, HtmlTable]]:
    """Return the true accuracies of a genotype, and what to compare them with."""
    if table is None:
        return []
    scores = table.lookup(genotype).scores
    rows = [
        (d, f"{s['test'].accuracy:.2f} %", f"{s['test'].rank:,}", f"{s['test'].regret:.2f}")
        for d, s in scores.items()
    ]
    first = DATA_SETS[0]
    for other in table.references(accuracy_column(first, "test")):
        rank = "-" if other.rank is None else f"{other.rank:,}"
        rows.append((f"{first}: {other.name}", f"{other.accuracy:.2f} %", rank, f"{other.regret:.2f}"))
    caption = f"True test accuracy of the cell in NAS-Bench-201; rank of {len(table):,}"
    return [(caption, HtmlTable(("data set", "accuracy", "rank", "regret"), rows, (1, 2, 3)))]


def _decisions(space: Space, stage: StageContents) -> tuple[str, HtmlTable]:
    """Return a row for each decision: what it was made by is the mixing weight, or the lead over the next."""
    made, rows = decisions.shown_all(space, stage.decisions), []
    for d in made:
        weights = [e.weight for e in d.effects if e.chosen and e.weight is not None]
        lead = d.lead_text(3) + (" (narrow)" if d.narrow else "")
        weight = f"{weights[0]:.3f}" if len(weights) == 1 else ""
        place = d.place if len(space.cell_types) == 1 else f"{d.cell_type} {d.place}"
        rows.append((place, d.chosen, weight, lead, d.over or ""))
    headings = ("place", "kept", "mixing weight", "lead", "over")
    keep = [i for i in range(len(headings)) if i < 2 or any(row[i] for row in rows)]
    caption = "Decisions in their order"
    if any(d.narrow for d in made):
        caption += "; narrow: chance in the images may have decided"
    right = [keep.index(i) for i in (2, 3) if i in keep]
    return caption, HtmlTable([headings[i] for i in keep], [[row[i] for i in keep] for row in rows], right)


def _classes(errors: Mapping[str, Any]) -> list[tuple[str, HtmlTable]]:
    """Return the classes that the network gets wrong most often; none without a confusion matrix."""
    matrix = np.array(errors.get("confusion", ()))
    if not matrix.any():
        return []
    names, images = errors["classes"], matrix.sum(1)
    right = np.diag(matrix) / np.maximum(images, 1)
    wrong = matrix - np.diag(np.diag(matrix))
    rows = [
        (names[i], f"{images[i]:,}", percent(right[i], 1), names[wrong[i].argmax()] if wrong[i].any() else "")
        for i in np.argsort(right, kind="stable")
        if images[i]
    ]
    caption = "Test images by class, the worst first"
    if len(rows) > _CLASSES:
        caption += f" ({_CLASSES} of {len(rows)})"
    headings = ("class", "images", "correct", "most often taken for")
    return [(caption, HtmlTable(headings, rows[:_CLASSES], (1, 2)))]
