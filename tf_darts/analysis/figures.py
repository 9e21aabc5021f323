"""Pictures of measured operations: bars by edge (paper, figure 1), choices by edge (figure 2), scatter."""

import math
from collections.abc import Sequence

from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from tf_darts.analysis import measures
from tf_darts.layers.operations import has_weights
from tf_darts.plots.heat_map import new

LEFT, RIGHT = "#0072B2", "#D55E00"  # distinguishable by the colour-blind
_WITH_WEIGHTS, _WITHOUT = "#F2B8A0", "#D6E4F0"
_COLUMNS = 4


def _grid(figure: Figure, number: int):
    """Return axes for this number of pictures; hide those left over."""
    columns = min(_COLUMNS, number)
    axes = figure.subplots(math.ceil(number / columns), columns, squeeze=False).ravel()
    for spare in axes[number:]:
        spare.set_axis_off()
    return axes[:number]


def bars(rows: Sequence[dict], left: str, right: str) -> Figure:
    """Draw for every edge two bars per operation: one measure on the left axis, another on the right one."""
    edges = measures.by_edge(rows)
    columns = min(_COLUMNS, len(edges))
    figure = new(3.4 * columns, 2.5 * math.ceil(len(edges) / columns) + 0.5)
    handles = []
    for axes, ((cell_type, _), of_edge) in zip(_grid(figure, len(edges)), edges.items(), strict=True):
        beside = axes.twinx()
        places = range(len(of_edge))
        for ax, measure, shift, colour in ((axes, left, -0.2, LEFT), (beside, right, 0.2, RIGHT)):
            values = [row[measure] for row in of_edge]
            handles.append(ax.bar([p + shift for p in places], values, 0.38, color=colour))
            ax.tick_params(axis="y", colors=colour, labelsize=7)
            low, high = min(values), max(values)
            if measure != left:  # accuracies lie close together: the axis begins near them
                room = 0.15 * (high - low) or max(abs(high), 1e-3) * 0.1
                ax.set_ylim(low - room, high + room)
        names = [row["operation"] for row in of_edge]
        axes.set_xticks(places, names, rotation=30, ha="right", fontsize=7)
        axes.set_title(f"{cell_type} {of_edge[0]['edge_name']}", fontsize=9)
    labels = [measures.LABELS[left], measures.LABELS[right]]
    figure.legend(handles[:2], labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def chosen(rows: Sequence[dict], by: Sequence[str]) -> Figure:
    """Draw a table of the best operation of every edge by each measure; those with weights are darker."""
    edges = measures.by_edge([row for row in rows if row["allowed"]])
    names = [[measures.best(of_edge, measure)["operation"] for measure in by] for of_edge in edges.values()]
    figure = new(2.2 + 1.9 * len(by), 1.3 + 0.32 * len(edges))
    axes = figure.subplots()
    coloured = [[float(has_weights(name)) for name in row] for row in names]
    axes.imshow(coloured, cmap=ListedColormap([_WITHOUT, _WITH_WEIGHTS]), vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(names):
        for x, name in enumerate(row):
            axes.text(x, y, name, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(by)), [measures.LABELS[m].replace(" (", "\n(") for m in by], fontsize=7)
    axes.xaxis.tick_top()
    labels = [f"{cell_type} {of_edge[0]['edge_name']}" for (cell_type, _), of_edge in edges.items()]
    axes.set_yticks(range(len(edges)), labels, fontsize=8)
    axes.set_xlabel("best operation by each measure; darker: with weights of its own", fontsize=8)
    return figure


def scatter(rows: Sequence[dict], pairs: Sequence[tuple[str, str]], compared: Sequence[dict]) -> Figure:
    """Draw a scatter for each pair of measures: a point per operation, a colour per edge."""
    columns = min(_COLUMNS, len(pairs))
    figure = new(3.4 * columns, 3.0 * math.ceil(len(pairs) / columns))
    edges = measures.by_edge([row for row in rows if row["allowed"]])
    for axes, (x, y), found in zip(_grid(figure, len(pairs)), pairs, compared, strict=True):
        for number, of_edge in enumerate(edges.values()):
            axes.scatter(
                [row[x] for row in of_edge], [row[y] for row in of_edge], s=14, color=f"C{number % 10}"
            )
        axes.set_xlabel(measures.LABELS[x], fontsize=7)
        axes.set_ylabel(measures.LABELS[y], fontsize=7)
        axes.tick_params(labelsize=7)
        within = measures.Interval(**found["within_edges"]["spearman"])
        axes.set_title(f"Spearman within edges {within}", fontsize=8)
    return figure
