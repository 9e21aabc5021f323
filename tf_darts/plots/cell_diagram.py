"""Pictures of cells: every kept edge an arc, labelled with its operation."""

import os
from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype, validate
from tf_darts.plots.cell_layout import (
    FONT,
    UP,
    across,
    arc_height,
    arrow_head,
    below,
    broken,
    cell_axes,
    draw_nodes,
    draw_output_edges,
    edge_arcs,
    legend_height,
    place_labels,
    width,
)
from tf_darts.plots.colours import KINDS, PAPER, kind_of
from tf_darts.plots.plain_figure import PlainFigure, figure_to_png_bytes
from tf_darts.spaces import Space
from tf_darts.workdir.files import write_atomically


def draw_cell(space: Space, cell_type: str, genotype: Genotype, title: str | None = None) -> Figure:
    """Draw one cell of a genotype.

    Args:
      space: the search space.
      cell_type: which of its cell types.
      genotype: the architecture.
      title: text above the cell; by default the cell type.

    Raises:
      UserError: the genotype or the cell type is not one of the space.
    """
    if cell_type not in space.cell_types:
        allowed = ", ".join(space.cell_types)
        raise UserError(f"cell type {cell_type!r} is not one of space {space.name!r}; allowed: {allowed}")
    validate(genotype, space)
    cells = {cell_type if title is None else title: genotype.cells[cell_type]}
    return _draw(space, [cells])


def draw_genotypes(space: Space, genotypes: Genotype | Mapping[str, Genotype]) -> Figure:
    """Draw genotypes side by side: a column for each, a row for each cell type.

    Args:
      space: the search space.
      genotypes: one genotype, or several by the title of their column.

    Raises:
      UserError: a genotype is not one of the space.
    """
    titled = {"": genotypes} if isinstance(genotypes, Genotype) else dict(genotypes)
    if not titled:
        raise ValueError("draw_genotypes needs at least one genotype")
    for genotype in titled.values():
        validate(genotype, space)
    rows = []
    for cell_type in space.cell_types:
        heading = f"{cell_type} cell"
        rows.append({f"{t}: {heading}" if t else heading: g.cells[cell_type] for t, g in titled.items()})
    return _draw(space, rows)


def save_genotype_picture(
    path: str | os.PathLike, space: Space, genotypes: Genotype | Mapping[str, Genotype], dpi: int = 150
) -> None:
    """Write the picture of `draw_genotypes` as a PNG file, which appears whole or not at all.

    Raises:
      UserError: a genotype is not one of the space, or the file cannot be written.
    """
    write_atomically(path, figure_to_png_bytes(draw_genotypes(space, genotypes), dpi))


def _draw(space: Space, rows: list[dict[str, tuple[Choice, ...]]]) -> Figure:
    """Draw a grid of cells, each under its title."""
    heights = []
    for cells in rows:
        longest = max(choice.target - choice.source for choices in cells.values() for choice in choices)
        heights.append(arc_height(longest) + 0.5)
    bottom = below(space)
    columns = len(rows[0])
    present = {
        kind_of(choice.operation) for cells in rows for choices in cells.values() for choice in choices
    }
    height = sum(heights) + len(rows) * bottom + legend_height(len(present), 2 * columns)
    inches = (columns * width(space) * across(space), height * UP)
    figure = PlainFigure(figsize=inches, facecolor=PAPER)
    FigureCanvasAgg(figure)
    top = height
    for cells, above in zip(rows, heights, strict=True):
        top -= above + bottom
        for column, (title, choices) in enumerate(cells.items()):
            place = (column / columns, top / height, 1 / columns, (above + bottom) / height)
            axes = cell_axes(figure, space, place, above, title)
            _draw_cell(axes, space, choices)
    _add_legend(figure, present, 2 * columns)
    return figure


def _draw_cell(axes: Axes, space: Space, choices: Iterable[Choice]) -> None:
    draw_output_edges(axes, space)
    choices = list(choices)
    arcs = edge_arcs(choices)
    labels = [
        axes.text(
            *arc[len(arc) // 2],
            broken(choice.operation),
            fontsize=FONT,
            color=kind_of(choice.operation)[1],
            ha="center",
            va="center",
            zorder=4,
            linespacing=0.95,
            parse_math=False,
            path_effects=[withStroke(linewidth=3, foreground=PAPER)],
        )
        for choice, arc in zip(choices, arcs, strict=True)
    ]
    sizes = place_labels(axes, arcs, labels)
    spots = np.array([label.get_position() for label in labels])
    for choice, arc in zip(choices, arcs, strict=True):
        _, colour = kind_of(choice.operation)
        style = {"color": colour, "linewidth": 1.7}
        if choice.operation == "none":
            style = {"color": colour, "linewidth": 1.1, "linestyle": (0, (4, 3))}
        # The arc is left out under labels, so that it strikes no text through.
        hidden = np.all(np.abs(arc[:, None] - spots) < sizes, axis=-1).any(axis=-1)
        axes.plot(*np.where(hidden[:, None], np.nan, arc).T, **style, zorder=2)
        arrow_head(axes, arc[-8], arc[-1], colour)
    draw_nodes(axes, space)


def _add_legend(figure: Figure, present: set[tuple[str, str]], columns: int) -> None:
    handles = [
        Line2D([], [], color=colour, linewidth=1.7, linestyle="--" if kind == "none" else "-", label=kind)
        for _, kind, colour in KINDS
        if (kind, colour) in present
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=columns,
        frameon=False,
        fontsize=FONT,
        handlelength=1.6,
        columnspacing=1.6,
    )
