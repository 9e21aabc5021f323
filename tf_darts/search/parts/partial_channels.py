"""Partial channels and edge normalisation of PC-DARTS as a part (section `pc_darts`)."""

from collections.abc import Mapping
from typing import ClassVar

import ml_collections

from tf_darts.search.parts.search_part import SearchPart
from tf_darts.spaces import Space


class PartialChannels(SearchPart):
    """One in K channels goes through the operations; edges are weighted too (Xu et al., ICLR 2020)."""

    weighs_edges = True
    refuses: ClassVar[Mapping[str, str]] = {
        name: "the method has partial channels of its own" for name in ("pc_darts", "drnas_progressive")
    }

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        super().__init__(config, space)
        self.partial_channels = config.pc_darts.partial_channels
