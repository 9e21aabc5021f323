"""Pictures of a supernet's cell: every edge a ribbon of its operations, as wide as their mixing weights."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tf_darts.plots.cell_layout import (
    FONT,
    UP,
    across,
    arc_height,
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
from tf_darts.plots.colours import INK, PAPER, shades
from tf_darts.plots.plain_figure import PlainFigure
from tf_darts.spaces import Space

_WIDTH = 0.17  # of a ribbon whose weights sum to 1, inches
_NAMED = 8  # edges of a cell of which the strongest operation is named: among more there is no room
_POINTS = 61  # of an outline's side


def draw_mixture(space: Space, cell_type: str, weights: np.ndarray, title: str | None = None) -> Figure:
    """Draw a cell of the supernet.

    Each edge is labelled with the weight of its strongest operation, and its name where there is room. An
    edge that is decided is all of one colour, one that is removed is not there.

    Args:
      space: the search space.
      cell_type: which of its cell types.
      weights: mixing weights, float [edges, operations or more]; what an edge has no operation for is not
        read.
      title: text above the cell; by default the cell type.
    """
    edges = [i for i in range(len(space.edges)) if weights[i, : len(space.candidates[cell_type][i])].any()]
    above = arc_height(max((space.edges[i].target - space.edges[i].source for i in edges), default=1)) + 0.5
    colours = shades(space.operations)
    legend = legend_height(len(colours), 2)
    height = above + below(space) + legend
    figure = PlainFigure(figsize=(width(space) * across(space), height * UP), facecolor=PAPER)
    FigureCanvasAgg(figure)
    place = (0.0, legend / height, 1.0, 1.0 - legend / height)
    axes = cell_axes(figure, space, place, above, f"{cell_type} cell" if title is None else title)
    if edges:
        _draw_edges(axes, space, cell_type, edges, weights, colours)
    draw_output_edges(axes, space)
    draw_nodes(axes, space)
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in colours.items()],
        loc="lower center",
        ncols=2,
        frameon=False,
        fontsize=FONT,
        handlelength=1.2,
        columnspacing=1.4,
    )
    return figure


def _draw_edges(
    axes: Axes, space: Space, cell_type: str, edges: list[int], weights: np.ndarray, colours: dict[str, str]
) -> None:
    arcs = edge_arcs([space.edges[i] for i in edges])
    labels, bands, filled = [], [], []
    for i, arc in zip(edges, arcs, strict=True):
        names = space.candidates[cell_type][i]
        row = np.asarray(weights[i, : len(names)], float)
        bands += _ribbon(arc, row, across(space))
        filled += [colours[name] for name in names]
        best = int(row.argmax())
        name = f"{broken(names[best])} " if len(edges) <= _NAMED else ""
        labels.append(
            axes.text(
                *arc[len(arc) // 2],
                f"{name}{row[best]:.2f}",
                fontsize=FONT,
                color=INK,
                ha="center",
                va="center",
                linespacing=0.95,
                zorder=4,
                parse_math=False,
                bbox={"facecolor": PAPER, "edgecolor": "none", "boxstyle": "round,pad=0.12"},
            )
        )
    ribbons = PolyCollection(bands, facecolors=filled, linewidths=0.0, zorder=2)
    axes.add_collection(ribbons, autolim=False)  # the limits stand; finding them would take most of the time
    place_labels(axes, arcs, labels)


def _ribbon(arc: np.ndarray, widths: Sequence[float], unit: float) -> list[np.ndarray]:
    """Return outlines of bands of these widths side by side along an arc, together centred on it.

    Args:
      arc: its points, float [n, 2].
      widths: of the bands, shares.
      unit: the unit of x, inches.
    """
    scale = np.array([unit, UP])
    arc = scale * arc[np.linspace(0, len(arc) - 1, _POINTS).round().astype(int)]
    along = np.gradient(arc, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1, keepdims=True)
    borders = _WIDTH * (np.concatenate([[0.0], np.cumsum(widths)]) - sum(widths) / 2)
    sides = [(arc + border * normal) / scale for border in borders]
    return [np.concatenate([near, far[::-1]]) for near, far in itertools.pairwise(sides)]
