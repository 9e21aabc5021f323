"""Partial channels and edge normalisation of PC-DARTS (Xu et al., ICLR 2020; section `pc_darts`).

Only 1/K of a node's channels go through an edge's operations; the others pass them by, and channels are
shuffled (equation 2; `layers.mixed_op.MixedOp`). What edges bring into a node is weighted by a softmax of an
alpha of their own (equation 3; `Architecture.weighs_edges`), which steadies the choice of edges. The paper
trains no alpha in the first 15 of 50 epochs (`search.alpha_warmup_epochs`).
"""

import ml_collections

from tf_darts.search.parts.search_part import SearchPart
from tf_darts.spaces import Space


class PartialChannels(SearchPart):
    """One in K channels goes through the operations; edges are weighted too."""

    weighs_edges = True

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        super().__init__(config, space)
        self.partial_channels = config.pc_darts.partial_channels
