"""DrNAS as published: the search is several, each with fewer operations and more channels in them.

Every stage is a search of `search.epochs` with schedules of its own (DrNAS, section 3.4). Between two of them
each edge keeps the operations of largest mean weight, fewer channels pass them by, and weights are widened
(`models.widen`); alpha goes on. `search.progressive` runs the stages before the last.
"""

import ml_collections

from tf_darts.data.image_data import ImageData
from tf_darts.errors import UserError
from tf_darts.search.methods.method import Method
from tf_darts.spaces import Space


class Progressive(Method):
    """A stage of such a search.

    Args:
      config: as of `Method`.
      space: as of `Method`.
      stage: number of the stage, from 0; -1: the last, which selections see.

    Attributes:
      stage: the number.
      operations: that an edge has in the stage, at most.
    """

    weighs_edges = True

    def __init__(self, config: ml_collections.ConfigDict, space: Space, stage: int = -1):
        super().__init__(config, space)
        progressive = config.progressive
        self.searches = len(progressive.partial_channels)
        self.stage = stage % self.searches
        self.partial_channels = progressive.partial_channels[self.stage]
        self.operations: int = progressive.operations[self.stage]

    def earlier(self) -> list[Method]:
        return [type(self)(self.config, self.space, stage) for stage in range(self.stage)]

    def check(self, data: ImageData | None = None) -> None:
        if self.config.early_stopping.window:
            raise UserError(
                f"config: early_stopping.window is {self.config.early_stopping.window} with search.method"
                f" {self.config.search.method!r}, whose stages have a set length; allowed: 0"
            )
        channels, most = self.config.search.channels, self.config.progressive.partial_channels[0]
        if channels % most:
            raise UserError(
                f"config: search.channels is {channels}; allowed: a multiple of the first of"
                f" progressive.partial_channels, {most}"
            )
