"""The rows of the paper's tables: what is searched and selected how, the published figures, and the config.

A row is a search space, a data set and a method; its name is SPACE_DATASET_METHOD. Its config is the default
with what `settings` lays over it; `figures` has what is published. Rows without a figure are settings that
the paper or its release has and whose figures are not in the paper's body.
"""

from tf_darts.paper.figures import Figure
from tf_darts.paper.rows import ROWS, PaperRow, row, settings

__all__ = ["ROWS", "Figure", "PaperRow", "row", "settings"]
