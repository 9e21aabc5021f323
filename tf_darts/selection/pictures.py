"""The selected cells in TensorBoard."""

import pathlib

from tf_darts.genotypes.genotype import Genotype
from tf_darts.plots.cell_diagram import draw_genotypes
from tf_darts.plots.plain_figure import png_of
from tf_darts.search.setup import SearchSetup
from tf_darts.workdir import tensorboard_texts
from tf_darts.workdir.metrics import Metrics


def show(setup: SearchSetup, metrics: Metrics, genotype: Genotype, step: int) -> None:
    """Show the selected cells as a picture in TensorBoard."""
    titled = {setup.config.selection.method: genotype}
    if (png := png_of("genotype", lambda: draw_genotypes(setup.space, titled))) is not None:
        metrics.image("genotype", png, step)
    metrics.text("genotype_text", tensorboard_texts.genotype_text(genotype, setup.space))
    metrics.close()


def show_alone(setup: SearchSetup, folder: pathlib.Path, genotype: Genotype) -> None:
    """Show the cells of a selection that has no metrics of its own."""
    metrics = Metrics(folder, 0, setup.config.runtime.tensorboard, "selection")
    tensorboard_texts.begin(metrics, setup.config, with_config=False)
    show(setup, metrics, genotype, 0)
