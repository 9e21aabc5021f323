"""A searched supernet, as `api.search` returns it."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from tf_darts.library.run import Run
from tf_darts.report import notebook
from tf_darts.runtime import process
from tf_darts.search.replay import of_epochs
from tf_darts.workdir.records import read_json


@dataclasses.dataclass(frozen=True)
class Searched:
    """A searched supernet.

    Attributes:
      run: config and work directory.
      folder: that of the search.
    """

    run: Run = dataclasses.field(repr=False)
    folder: pathlib.Path

    @property
    def workdir(self) -> pathlib.Path:
        """The work directory."""
        return self.run.workdir

    @property
    def result(self) -> dict[str, Any]:
        """The content of result.json.

        Examples:
          >>> searched.result["space"], searched.result["steps"]
          ('nas_bench_201', 6)
        """
        return read_json(self.folder / "result.json")

    @property
    def alpha(self) -> dict[str, np.ndarray]:
        """The architecture parameters, [edges, operations] by cell type.

        Examples:
          >>> searched.alpha["normal"].shape
          (6, 5)
        """
        return {cell_type: np.array(rows) for cell_type, rows in self.result["alpha"].items()}

    @property
    def history(self) -> Any:
        """Metrics of every epoch: a pandas `DataFrame` where pandas is installed, else lists by name.

        Both have the same columns. `epoch` counts from 1; `train_loss`, `train_accuracy`, `valid_loss` and
        others of single steps are means over the epoch; nan: not measured in this epoch. Accuracies are from
        0 to 1. The columns with a slash come last: `evaluation/test_accuracy` of the supernet, all of alpha.

        Examples:
          >>> searched.history["epoch"][1], list(searched.history)[:2]
          (2, ['epoch', 'gradient_norm'])
        """
        return notebook.history(self.folder)

    @process.guest
    def _repr_html_(self) -> str:
        """Return what a notebook shows: the supernet's cells, accuracies, decisions of the search."""
        stage, config, space = self.run.contents(self.folder), self.run.config, self.run.space
        weights = of_epochs(config, space, stage.epochs, stage.decisions)
        last = next(reversed(weights.values()), {})
        facts = {**self.run.facts, "search method": config.search.method}
        return notebook.of_search(stage, space, last, facts)
