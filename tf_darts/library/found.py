"""What `api.find` found."""

import dataclasses
import pathlib

from tf_darts.library.selected import Selected
from tf_darts.library.trained import Trained
from tf_darts.own_images.plan import Plan
from tf_darts.whole_way.whole_run import WholeRun


@dataclasses.dataclass(frozen=True)
class Found:
    """What `find` found.

    Attributes:
      trained: the network.
      selected: its genotype, with the decisions that led to it.
      plan: what was picked and predicted.
      outcome: the network beside its rivals; as text, the table and what it says.
      exported: the folder of model.keras, the SavedModel, the TFLite files and the model card.
    """

    trained: Trained
    selected: Selected
    plan: Plan
    outcome: WholeRun = dataclasses.field(repr=False)
    exported: pathlib.Path

    def _repr_html_(self) -> str:
        """Return what a notebook shows: that of the network."""
        return self.trained._repr_html_()
