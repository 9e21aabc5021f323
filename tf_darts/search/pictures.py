"""Pictures of alpha and of the supernet's cells for TensorBoard, while they change."""

import functools

import numpy as np

from tf_darts.models.architecture import Architecture
from tf_darts.plots.heat_map import alpha_map, weights_map
from tf_darts.plots.mixture_diagram import draw_mixture
from tf_darts.plots.plain_figure import png_of
from tf_darts.workdir.metrics import Metrics

# Drawing takes about half a second for each cell type, as long as many steps of a small supernet.
MOMENTS, STEPS = 10, 200  # most pictures of a kind, and steps for each of them
_DPI = 80


def moments(number: int, steps: int) -> set[int]:
    """Choose at most `MOMENTS` of some epochs or decisions, evenly, the first and the last among them.

    Args:
      number: how many there are.
      steps: that they take together; with few of them the moments are few.
    """
    most = max(2, min(MOMENTS, steps // STEPS))
    return {round(place) for place in np.linspace(0, number - 1, min(number, most))}


def histograms(metrics: Metrics, architecture: Architecture, step: int) -> None:
    """Show the distributions of alpha and of the mixing weights of what is still open."""
    if not metrics.shown:
        return
    weights = architecture.mixing_weights()
    for cell_type, alpha in architecture.alpha.items():
        is_open = architecture.open_operations[cell_type].numpy()
        shown = weights[cell_type].numpy()[:, : is_open.shape[1]]
        metrics.histogram(cell_type, alpha.numpy()[is_open], step, "alpha")
        metrics.histogram(cell_type, shown[is_open], step, "mixing_weights")


def pictures(metrics: Metrics, architecture: Architecture, step: int, title: str, group: str = "") -> None:
    """Draw heat maps of alpha and mixing weights, and each cell with its mixing weights as widths.

    Args:
      metrics: where they go.
      architecture: whose alpha it is.
      step: the step that they are shown at.
      title: when it is.
      group: of the tags.
    """
    if not metrics.shown:
        return
    space, weights = architecture.space, architecture.mixing_weights()
    for cell_type, alpha in architecture.alpha.items():
        values = weights[cell_type].numpy()
        drawn = {
            "cell": functools.partial(draw_mixture, space, cell_type, values, f"{cell_type} cell, {title}"),
            "alpha": functools.partial(alpha_map, space, cell_type, alpha.numpy()),
            "mixing_weights": functools.partial(weights_map, space, cell_type, values),
        }
        for name, draw in drawn.items():
            tag = f"{name}/{cell_type}"
            if (png := png_of(tag, draw, _DPI)) is not None:
                metrics.image(tag, png, step, group)
