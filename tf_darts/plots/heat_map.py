"""Heat maps of alpha and of mixing weights: edges by operations, at one moment or over the epochs."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from tf_darts.plots.colours import FAINT, INK, PAPER
from tf_darts.plots.plain_figure import PlainFigure
from tf_darts.spaces import Space

PANEL = 3.6  # inches: a panel of a page, as wide as a phone
TEXT = 8.5  # points: the smallest text of a panel, eleven pixels
_SEQUENTIAL, _DIVERGING = "viridis", "RdBu_r"


def new(width: float, height: float) -> PlainFigure:
    """Return an empty figure of this size, inches, whose parts make room for each other."""
    figure = PlainFigure(figsize=(width, height), facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def alpha_map(space: Space, cell_type: str, alpha: np.ndarray) -> Figure:
    """Draw alpha with its values.

    Args:
      space: the search space.
      cell_type: which of its cell types.
      alpha: float [edges, operations].
    """
    values = _by_name(space, cell_type, alpha)
    largest = float(np.nanmax(np.abs(values))) or 1.0
    return _map(
        space, values, f"alpha, {cell_type} cell", _DIVERGING, Normalize(-largest, largest), "{:+.2f}"
    )


def weights_map(space: Space, cell_type: str, weights: np.ndarray) -> Figure:
    """Draw mixing weights with their values; the colours' scale grows by the square root, the same for all.

    Args:
      space: the search space.
      cell_type: which of its cell types.
      weights: float [edges, operations or more]; what is not open has weight 0.
    """
    values = _by_name(space, cell_type, weights)
    scale = PowerNorm(0.5, 0.0, 1.0)
    return _map(space, values, f"mixing weights, {cell_type} cell", _SEQUENTIAL, scale, "{:.2f}")


def over_epochs(space: Space, cell_type: str, weights: Sequence[np.ndarray], epochs: Sequence[int]) -> Figure:
    """Draw the mixing weight of every operation over the epochs: a block of rows for every edge.

    Args:
      space: the search space.
      cell_type: which of its cell types.
      weights: after each of the epochs, float [edges, operations or more].
      epochs: their numbers, from 1.
    """
    names = [
        (str(edge), name) for e, edge in enumerate(space.edges) for name in space.candidates[cell_type][e]
    ]
    rows = np.stack(
        [
            np.concatenate([w[e, : len(c)] for e, c in enumerate(space.candidates[cell_type])])
            for w in weights
        ],
        axis=1,
    )
    figure = new(PANEL, 1.1 + 0.155 * len(rows))
    axes = figure.subplots()
    extent = (0.5, len(epochs) + 0.5, len(rows) - 0.5, -0.5)
    top = max(float(rows.max()), 1e-6)
    image = axes.imshow(
        rows, aspect="auto", cmap=_SEQUENTIAL, vmin=0.0, vmax=top, extent=extent, interpolation="nearest"
    )
    places = _ticks(len(epochs))
    axes.set_xticks([p + 1 for p in places], [str(epochs[p]) for p in places], fontsize=TEXT)
    axes.set_xlabel("epoch of the search", fontsize=TEXT)
    axes.set_yticks(range(len(names)), [name for _, name in names], fontsize=TEXT)
    axes.tick_params(length=0)
    first = 0
    for e, edge in enumerate(space.edges):
        count = len(space.candidates[cell_type][e])
        if e:
            axes.axhline(first - 0.5, color=PAPER, linewidth=2.0)
        axes.text(
            1.015,
            1.0 - (first + count / 2) / len(rows),
            str(edge),
            transform=axes.transAxes,
            fontsize=TEXT,
            color=INK,
            va="center",
            rotation=90 if count > 2 else 0,
        )
        first += count
    bar = figure.colorbar(image, ax=axes, location="top", fraction=0.05, aspect=30, pad=0.01)
    bar.ax.tick_params(labelsize=TEXT)
    bar.set_label(f"mixing weight, {cell_type} cell", fontsize=TEXT)
    bar.outline.set_visible(False)
    axes.spines[:].set_visible(False)
    return figure


def _by_name(space: Space, cell_type: str, values: np.ndarray) -> np.ndarray:
    """Return values by edge and name of the operation, NaN where an edge has no such candidate."""
    columns = {name: i for i, name in enumerate(space.operations)}
    named = np.full((len(space.edges), len(columns)), np.nan)
    for e, names in enumerate(space.candidates[cell_type]):
        for o, name in enumerate(names):
            named[e, columns[name]] = values[e, o]
    return named


def _map(space: Space, values: np.ndarray, title: str, colours: str, scale: Normalize, form: str) -> Figure:
    edges, operations = values.shape
    width, height = 0.65 + 0.74 * operations, 1.3 + 0.25 * edges
    # Without layout, which takes most of the time.
    figure = PlainFigure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    figure.subplots_adjust(0.55 / width, 0.95 / height, 1.0 - 0.1 / width, 1.0 - 0.3 / height)
    shades = matplotlib.colormaps[colours].with_extremes(bad="#eeeeee")
    axes.imshow(values, aspect="auto", cmap=shades, norm=scale)
    axes.set_title(title, fontsize=9.5, loc="left", color=INK)
    axes.set_xticks(range(operations), space.operations, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(edges), [str(edge) for edge in space.edges], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_color(FAINT)
    brightness = shades(scale(np.nan_to_num(values)))[..., :3] @ (0.299, 0.587, 0.114)
    for (e, o), value in np.ndenumerate(values):
        if not np.isnan(value):
            ink = "#111111" if brightness[e, o] > 0.55 else "#ffffff"
            axes.text(o, e, form.format(value), fontsize=7.5, color=ink, ha="center", va="center")
    return figure


def _ticks(number: int, most: int = 6) -> list[int]:
    """Return at most `most` evenly spaced positions among `number` epochs, the last among them."""
    return sorted({round(p) for p in np.linspace(0, number - 1, min(number, most))})
