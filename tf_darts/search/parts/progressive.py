"""Progressive shrinking of DrNAS: stages with fewer and fewer operations, and more channels in them.

Each stage is a search of `search.epochs`. Between two of them each edge keeps the operations of largest mean
weight, fewer channels pass them by, and weights are widened (`models.widen`). Alpha and its optimizer go on,
and schedules go over all stages together (Chen et al., ICLR 2021, section 3.4, and the authors' code; section
`progressive`). `search.progressive` runs the stages before the last.
"""

from collections.abc import Mapping
from typing import ClassVar

import ml_collections

from tf_darts.errors import UserError, show
from tf_darts.search.parts.search_part import SearchPart
from tf_darts.spaces import Space


class Progressive(SearchPart):
    """Partial channels and operations by stage; edges have no weights."""

    refuses: ClassVar[Mapping[str, str]] = {
        "partial_channels": "it has partial channels of its own",
        "shapley": "the method moves alpha by the epochs of one search",
        "fixed_alpha": "it keeps operations by alpha, which no step trains",
    }

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        super().__init__(config, space)
        progressive, channels = config.progressive, config.search.channels
        self.searches = len(progressive.partial_channels)
        candidates = max(len(edge) for rows in space.candidates.values() for edge in rows)
        first, *later = progressive.operations
        if first < candidates or any(count >= candidates for count in later):
            raise UserError(
                f"config: progressive.operations is {show(progressive.operations)}; allowed in"
                f" space {space.name!r}: at least {candidates} first, all that an edge has, then fewer than"
                f" {candidates}"
            )
        if any(channels % k for k in progressive.partial_channels):
            raise UserError(
                f"config: search.channels is {channels}; allowed: a multiple of each of"
                f" progressive.partial_channels, {show(progressive.partial_channels)}"
            )
        if config.early_stopping.window:
            raise UserError(
                f"config: early_stopping.window is {config.early_stopping.window} with the search part"
                " 'progressive', whose stages have a set length; allowed: 0"
            )

    def enter(self, stage: int) -> None:
        self.partial_channels = self.config.progressive.partial_channels[stage]
        self.operations = self.config.progressive.operations[stage]
