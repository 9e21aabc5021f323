"""The parts of a cell's picture: nodes on a line, every edge an arc above it, labels on the arcs.

The arc of an edge is a half ellipse as high as the edge is long, so that arcs between the same nodes
nest. Labels stand on their arc, at the spot near its top where they disturb least. A cell of the usual spaces
is as wide as a phone, and its text is read there.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from tf_darts.plots.colours import FAINT, INK, INPUT_FILL, NODE_FILL, OUTPUT_FILL, SOFT
from tf_darts.spaces import Space

UP = 1.0  # Inches: the unit of heights. The unit of widths is the distance between two nodes.
_PHONE, _LEAST, _MOST = 3.55, 0.5, 0.85  # Inches: a cell's width on a phone, and limits of that distance.
_HALF_WIDTH = 0.21  # Inches, of a node's box.
HALF_HEIGHT = 0.13  # Of a node's box.
BUS = -0.4  # Height of the line that gathers the output nodes.
FONT = 8.5
_LONG = 8  # Characters of a label on one line.
PLACED = 30  # Labels of a cell for which a free spot is looked for.
_FURTHEST = 75  # Points of an arc, of 201, from its top to the furthest spot for its label.


class DrawnEdge(Protocol):
    """Where an edge begins and ends: an edge of a space, or a choice of a genotype."""

    source: int
    target: int


_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")  # no text of a picture is a formula


def cell_axes(
    figure: Figure, space: Space, place: tuple[float, float, float, float], above: float, title: str
):
    """Add axes for one cell, with a title; they are `width` wide, and `above` and `below` high."""
    axes = figure.add_axes(place)
    axes.set_xlim(-0.55, space.input_nodes + space.nodes + 0.55)
    axes.set_ylim(-below(space), above)
    axes.set_axis_off()
    style = {"fontsize": 11, "weight": "bold", "color": INK, "va": "center", "parse_math": False}
    axes.text(-0.45, above - 0.16, title, **style)
    return axes


def width(space: Space) -> float:
    """Return how wide a cell is, in distances between nodes."""
    return space.input_nodes + space.nodes + 1.1


def across(space: Space) -> float:
    """Return the distance between two nodes, inches: as large as a phone allows."""
    return min(max(_PHONE / width(space), _LEAST), _MOST)


def legend_height(entries: int, columns: int) -> float:
    """Return the height of a legend of so many entries, in units of height."""
    return 0.15 + 0.17 * -(-entries // columns)


def broken(operation: str) -> str:
    """Return an operation's name, on two lines if it is long: broken after its last underscore."""
    place = operation.rfind("_", 0, -1) + 1
    return operation if len(operation) <= _LONG or not place else f"{operation[:place]}\n{operation[place:]}"


def below(space: Space) -> float:
    """Return the room that a cell needs below its nodes, in units of height."""
    return -BUS + 0.25 if gathers(space) else 0.3


def arc_height(span: int) -> float:
    """Return the height of the arc over `span` nodes: it grows, so that arcs nest with room for labels."""
    return 0.62 * span


def edge_arcs(choices: Sequence[DrawnEdge]) -> list[np.ndarray]:
    """Return the points of every edge's arc, from its source's top to its target's top, float [n, 2].

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
        height = arc_height(choice.target - choice.source) - HALF_HEIGHT
        arcs.append(np.stack([x, HALF_HEIGHT + height * np.sin(angles)], axis=1))
    return arcs


def arrow_head(axes: Axes, tail: np.ndarray, tip: np.ndarray, colour: str) -> None:
    """Draw the head of an edge's arrow."""
    style = {
        "arrowstyle": "-|>,head_width=0.22,head_length=0.42",
        "color": colour,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", tip, tail, arrowprops=style, zorder=3)


def draw_nodes(axes: Axes, space: Space) -> None:
    """Draw the boxes of a cell's inputs, nodes and output."""
    inputs = space.input_nodes
    names = ["input"] if inputs == 1 else [f"cₖ₋{inputs - i}".translate(_SUBSCRIPTS) for i in range(inputs)]
    half = _HALF_WIDTH / across(space)
    for node, name in enumerate(names):
        draw_box(axes, node, name, INPUT_FILL, half)
    for node in space.targets:
        draw_box(axes, node, str(node), NODE_FILL, half)
    draw_box(axes, space.input_nodes + space.nodes, "out", OUTPUT_FILL, half)


def draw_box(axes: Axes, x: float, name: str, fill: str, half: float) -> None:
    """Draw the box of a node, `half` of its width to each side of x."""
    style = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": fill, "edgecolor": INK, "zorder": 5}
    corner = (x - half, -HALF_HEIGHT)
    axes.add_patch(FancyBboxPatch(corner, 2 * half, 2 * HALF_HEIGHT, mutation_aspect=1.0, **style))
    axes.text(x, 0, name, fontsize=9.5, color=INK, ha="center", va="center_baseline", zorder=6)


def gathers(space: Space) -> bool:
    """Return whether the output concatenates nodes; otherwise it is the last node itself."""
    return space.output_nodes != space.targets[-1:]


def draw_output_edges(axes: Axes, space: Space) -> None:
    """Draw what a cell's output is made of: the line that joins its output nodes, or the last one's arrow."""
    output = space.input_nodes + space.nodes
    style = {"color": FAINT, "linewidth": 1.5, "zorder": 1, "solid_capstyle": "round"}
    edge = output - _HALF_WIDTH / across(space) - 0.01
    if not gathers(space):
        axes.plot([output - 1, edge], [0, 0], **style)
        arrow_head(axes, np.array([edge - 0.1, 0]), np.array([edge, 0]), FAINT)
        return
    first = min(space.output_nodes)
    for node in space.output_nodes:
        axes.plot([node, node], [0, BUS], **style)
    axes.plot([first, output, output], [BUS, BUS, -HALF_HEIGHT - 0.1], **style)
    arrow_head(axes, np.array([output, BUS / 2 - 0.05]), np.array([output, -HALF_HEIGHT]), FAINT)
    if len(space.output_nodes) > 1:
        style = {"fontsize": FONT, "color": SOFT, "ha": "right", "va": "top"}
        axes.text(output, BUS - 0.04, "concatenate", **style)


def place_labels(axes: Axes, arcs: list[np.ndarray], labels: list[Text]) -> list[np.ndarray]:
    """Move each label along its arc to the spot that touches fewest other labels and arcs.

    Three sweeps, shortest arc first: those have the least room. Among more than `PLACED` arcs there is none
    to find, and each label stays at the top of its own: looking takes the square of their number, minutes.

    Returns:
      Half the width and height of each label, with a margin, in units of the axes.
    """
    renderer = axes.figure.canvas.get_renderer()
    to_units = axes.transData.inverted()
    sizes = []
    for label in labels:
        box = label.get_window_extent(renderer)
        corners = to_units.transform([(box.x0, box.y0), (box.x1, box.y1)])
        sizes.append((corners[1] - corners[0]) / 2 + (0.03, 0.02))
    middle = len(arcs[0]) // 2
    spots = [arc[middle] for arc in arcs]
    order = sorted(range(len(arcs)), key=lambda i: np.ptp(arcs[i][:, 0]))
    # From the top outwards, so that among equals the spot nearest the top wins.
    offsets = np.array(sorted(range(-_FURTHEST, _FURTHEST + 1), key=abs))
    for _ in range(3 if len(arcs) <= PLACED else 0):
        for i in order:
            candidates = arcs[i][middle + offsets]
            costs = (offsets / _FURTHEST) ** 2
            for j, arc in enumerate(arcs):
                if j != i:
                    hits = np.all(np.abs(spots[j] - candidates) < sizes[i] + sizes[j], axis=-1)
                    crossed = np.all(np.abs(arc - candidates[:, None]) < sizes[i], axis=-1).any(axis=-1)
                    costs = costs + 100 * hits + 3 * crossed
            spots[i] = candidates[np.argmin(costs)]
    for label, spot in zip(labels, spots, strict=True):
        label.set_position(spot)
    return sizes
