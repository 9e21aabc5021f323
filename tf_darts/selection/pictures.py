"""The selected cells in TensorBoard."""

import pathlib

from tf_darts.genotype import Genotype
from tf_darts.report import panels
from tf_darts.report.cell_diagram import draw_genotypes, figure_to_png_bytes
from tf_darts.runtime.metrics import Metrics
from tf_darts.search.setup import Setup


def show(setup: Setup, metrics: Metrics, genotype: Genotype, step: int) -> None:
    """The selected cells as a picture in TensorBoard."""
    picture = draw_genotypes(setup.space, {setup.config.selection.method: genotype})
    metrics.image("genotype", figure_to_png_bytes(picture), step)
    metrics.text("genotype", panels.genotype_text(genotype, setup.space))
    metrics.close()


def show_alone(setup: Setup, folder: pathlib.Path, genotype: Genotype) -> None:
    """The same for a selection that has no metrics of its own."""
    metrics = Metrics(folder, 0, setup.config.runtime.tensorboard, "selection")
    panels.begin(metrics, setup.config, with_config=False)
    show(setup, metrics, genotype, 0)
