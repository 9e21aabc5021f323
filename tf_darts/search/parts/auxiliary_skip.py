"""The auxiliary skip connection of DARTS- (Chu et al., ICLR 2021).

Beside the operations of every edge stands a skip connection (at stride 2 a factorised reduction) that is no
candidate. Its weight falls from 1 to 0 over the search: it keeps gradients flowing while candidates are weak,
so that the candidate skip connection does not win for that alone. It is 0 in fine-tuning and in probes, on
decided edges and wherever else the supernet is read.
"""

from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.models.supernet import beside_key
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import Rows, SearchPart


class AuxiliarySkip(SearchPart):
    """A skip connection times 1 - progress, on edges that are not decided."""

    auxiliary_skip = True
    refuses: ClassVar[Mapping[str, str]] = {
        name: "channels that pass the operations by are a skip connection already"
        for name in ("partial_channels", "progressive")
    }

    def beside(self, architecture: Architecture, now: Now) -> Rows:
        if tf.get_static_value(now.progress) == 1.0:  # fine-tuning: it is not even computed
            return {}
        weight = 1.0 - now.progress
        return {
            beside_key(t): weight * tf.cast(tf.reduce_any(architecture.free(t), -1), weight.dtype)
            for t in architecture.alpha
        }
