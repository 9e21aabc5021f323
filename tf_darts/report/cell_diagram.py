"""Pictures of cells: nodes on a line, every kept edge an arc above it, labelled with its operation.

The arc of an edge is a half ellipse as high as the edge is long, so that arcs between the same nodes
nest. Labels stand on their arc, at the spot near its top where they disturb least.
"""

import io
import os
from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from tf_darts.errors import UserError
from tf_darts.genotype import Choice, Genotype, validate
from tf_darts.runtime.files import write_atomically
from tf_darts.spaces import Space

# Start of an operation's name, kind for the legend, colour (distinguishable by the colour-blind).
_KINDS = (
    ("sep_conv", "separable convolution", "#0072B2"),
    ("dil_conv", "dilated convolution", "#7B4EA3"),
    ("nor_conv", "convolution", "#0072B2"),
    ("max_pool", "max pooling", "#00795A"),
    ("avg_pool", "average pooling", "#5C8A00"),
    ("skip_connect", "skip connection", "#C8500A"),
    ("noise", "noise", "#B8417F"),
    ("none", "none", "#8C8C8C"),
    ("", "other", "#333333"),
)
_INK, _FAINT = "#222222", "#A8B0B8"
_INPUT_FILL, _NODE_FILL, _OUTPUT_FILL = "#DCEBDD", "#E3ECF7", "#F8E3CF"

_INCHES = 1.4  # Distance between two nodes; everything else is in units of it.
_HALF_WIDTH, _HALF_HEIGHT = 0.29, 0.16  # Of a node's box.
_BUS = -0.52  # Height of the line that gathers the output nodes.
_FONT = 8.5


def draw_cell(space: Space, cell_type: str, genotype: Genotype, title: str | None = None) -> Figure:
    """The picture of one cell.

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
    """The picture of genotypes side by side: a column for each, a row for each cell type.

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


def figure_to_png_bytes(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a PNG file; the same figure always gives the same bytes."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save_genotype_picture(
    path: str | os.PathLike, space: Space, genotypes: Genotype | Mapping[str, Genotype], dpi: int = 110
) -> None:
    """Writes `draw_genotypes` as a PNG file, which appears whole or not at all.

    Raises:
      UserError: a genotype is not one of the space, or the file cannot be written.
    """
    write_atomically(path, figure_to_png_bytes(draw_genotypes(space, genotypes), dpi))


def _draw(space: Space, rows: list[dict[str, tuple[Choice, ...]]]) -> Figure:
    """Draws a grid of cells, each under its title."""
    positions = space.input_nodes + space.nodes + 1
    heights = []
    for cells in rows:
        longest = max(choice.target - choice.source for choices in cells.values() for choice in choices)
        heights.append(_height(longest) + 0.45)
    below = -_BUS + 0.3 if _gathers(space) else 0.35
    columns = len(rows[0])
    legend = 0.5
    width = columns * (positions - 1 + 1.1)
    height = sum(heights) + len(rows) * below + legend
    figure = Figure(figsize=(width * _INCHES, height * _INCHES), facecolor="white")
    FigureCanvasAgg(figure)
    top = height
    for cells, above in zip(rows, heights, strict=True):
        top -= above + below
        for column, (title, choices) in enumerate(cells.items()):
            axes = figure.add_axes((column / columns, top / height, 1 / columns, (above + below) / height))
            axes.set_xlim(-0.55, positions - 1 + 0.55)
            axes.set_ylim(-below, above)
            axes.set_axis_off()
            axes.text(
                -0.45,
                above - 0.16,
                title,
                fontsize=11,
                weight="bold",
                color=_INK,
                va="center",
                parse_math=False,
            )
            _draw_cell(axes, space, choices)
    _add_legend(figure, [choice for cells in rows for choices in cells.values() for choice in choices])
    return figure


def _draw_cell(axes: Axes, space: Space, choices: Iterable[Choice]) -> None:
    output = space.input_nodes + space.nodes
    _draw_output_edges(axes, space, output)
    choices = list(choices)
    arcs = _arcs(choices)
    labels = [
        axes.text(
            *arc[len(arc) // 2],
            choice.operation,
            fontsize=_FONT,
            color=_kind(choice.operation)[1],
            ha="center",
            va="center",
            zorder=4,
            parse_math=False,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
        for choice, arc in zip(choices, arcs, strict=True)
    ]
    sizes = _place_labels(axes, arcs, labels)
    for choice, arc, label, size in zip(choices, arcs, labels, sizes, strict=True):
        _, colour = _kind(choice.operation)
        style = {"color": colour, "linewidth": 1.7}
        if choice.operation == "none":
            style = {"color": colour, "linewidth": 1.1, "linestyle": (0, (4, 3))}
        # The arc is left out under its own label, so that it does not strike the text through.
        hidden = np.all(np.abs(arc - label.get_position()) < size, axis=1)
        axes.plot(*np.where(hidden[:, None], np.nan, arc).T, **style, zorder=2)
        _arrow_head(axes, arc[-8], arc[-1], colour)
    inputs = space.input_nodes
    names = ["input"] if inputs == 1 else [f"$c_{{k-{inputs - i}}}$" for i in range(inputs)]
    for node, name in enumerate(names):
        _box(axes, node, name, _INPUT_FILL)
    for node in space.targets:
        _box(axes, node, str(node), _NODE_FILL)
    _box(axes, output, "output", _OUTPUT_FILL)


def _height(span: int) -> float:
    """Height of the arc over `span` nodes: growing, so that arcs nest, but ever less."""
    return 0.66 * span**0.86


def _arcs(choices: list[Choice]) -> list[np.ndarray]:
    """Points of every edge's arc, from the top of its source to the top of its target, float [n, 2].

    Edges leave from the right half of a node and arrive at its left half; longer ones leave further
    left and arrive further right, so that the arcs of one node do not cross each other there.
    """

    def port(rank: int, count: int) -> float:
        return 0.03 + 0.22 * (rank + 0.5) / count

    angles = np.linspace(np.pi, 0.0, 201)
    arcs = []
    for choice in choices:
        targets = sorted((c.target for c in choices if c.source == choice.source), reverse=True)
        sources = sorted(c.source for c in choices if c.target == choice.target)
        start = choice.source + port(targets.index(choice.target), len(targets))
        end = choice.target - port(sources.index(choice.source), len(sources))
        x = (start + end) / 2 + (end - start) / 2 * np.cos(angles)
        height = _height(choice.target - choice.source) - _HALF_HEIGHT
        arcs.append(np.stack([x, _HALF_HEIGHT + height * np.sin(angles)], axis=1))
    return arcs


def _arrow_head(axes: Axes, tail: np.ndarray, tip: np.ndarray, colour: str) -> None:
    style = {
        "arrowstyle": "-|>,head_width=0.22,head_length=0.42",
        "color": colour,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", tip, tail, arrowprops=style, zorder=3)


def _box(axes: Axes, x: float, name: str, fill: str) -> None:
    pad = 0.06
    corner, width, height = (x - _HALF_WIDTH + pad, -_HALF_HEIGHT + pad), _HALF_WIDTH, _HALF_HEIGHT
    style = {"boxstyle": f"round,pad={pad}", "facecolor": fill, "edgecolor": _INK, "zorder": 5}
    axes.add_patch(FancyBboxPatch(corner, 2 * (width - pad), 2 * (height - pad), **style))
    axes.text(x, 0, name, fontsize=10, color=_INK, ha="center", va="center_baseline", zorder=6)


def _gathers(space: Space) -> bool:
    """Whether the output concatenates nodes; otherwise it is the last node itself."""
    return space.output_nodes != space.targets[-1:]


def _draw_output_edges(axes: Axes, space: Space, output: int) -> None:
    style = {"color": _FAINT, "linewidth": 1.5, "zorder": 1, "solid_capstyle": "round"}
    edge = output - _HALF_WIDTH - 0.01
    if not _gathers(space):
        axes.plot([output - 1, edge], [0, 0], **style)
        _arrow_head(axes, np.array([edge - 0.1, 0]), np.array([edge, 0]), _FAINT)
        return
    first = min(space.output_nodes)
    for node in space.output_nodes:
        axes.plot([node, node], [0, _BUS], **style)
    axes.plot([first, output, output], [_BUS, _BUS, -_HALF_HEIGHT - 0.1], **style)
    _arrow_head(axes, np.array([output, _BUS / 2 - 0.1]), np.array([output, -_HALF_HEIGHT]), _FAINT)
    if len(space.output_nodes) > 1:
        axes.text(
            output - 0.5, _BUS + 0.03, "concatenate", fontsize=7.5, color="#6B7580", ha="center", va="bottom"
        )


def _place_labels(axes: Axes, arcs: list[np.ndarray], labels: list[Text]) -> list[np.ndarray]:
    """Moves each label along its arc to the spot that touches fewest other labels and arcs.

    Two sweeps, shortest arc first: those have the least room.

    Returns:
      Half the width and height of each label, with a margin, in units of the axes.
    """
    renderer = axes.figure.canvas.get_renderer()
    to_units = axes.transData.inverted()
    sizes = []
    for label in labels:
        box = label.get_window_extent(renderer)
        corners = to_units.transform([(box.x0, box.y0), (box.x1, box.y1)])
        sizes.append((corners[1] - corners[0]) / 2 + (0.04, 0.03))
    middle = len(arcs[0]) // 2
    spots = [arc[middle] for arc in arcs]
    order = sorted(range(len(arcs)), key=lambda i: np.ptp(arcs[i][:, 0]))
    # From the top outwards, so that among equals the spot nearest the top wins.
    offsets = np.array(sorted(range(-45, 46), key=abs))
    for _ in range(2):
        for i in order:
            candidates = arcs[i][middle + offsets]
            costs = (offsets / 45) ** 2
            for j, arc in enumerate(arcs):
                if j != i:
                    hits = np.all(np.abs(spots[j] - candidates) < sizes[i] + sizes[j], axis=-1)
                    crossed = np.all(np.abs(arc - candidates[:, None]) < sizes[i], axis=-1).any(axis=-1)
                    costs = costs + 100 * hits + 0.7 * crossed
            spots[i] = candidates[np.argmin(costs)]
    for label, spot in zip(labels, spots, strict=True):
        label.set_position(spot)
    return sizes


def _kind(operation: str) -> tuple[str, str]:
    """Kind of an operation, for the legend, and its colour."""
    return next((kind, colour) for start, kind, colour in _KINDS if operation.startswith(start))


def _add_legend(figure: Figure, choices: list[Choice]) -> None:
    present = {_kind(choice.operation) for choice in choices}
    handles = [
        Line2D([], [], color=colour, linewidth=1.7, linestyle="--" if kind == "none" else "-", label=kind)
        for _, kind, colour in _KINDS
        if (kind, colour) in present
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=8.5,
        handlelength=1.6,
        columnspacing=1.6,
    )
