"""Sampler of GDAS: one operation an edge, with the gradient of the Gumbel-softmax (section `gdas`)."""

from tf_darts.models.architecture import Architecture
from tf_darts.search.methods import gdas
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import SAMPLER, Rows, SearchPart


class Gumbel(SearchPart):
    """Rows with weight exactly 1 on the largest of alpha plus Gumbel noise (Dong and Yang, CVPR 2019)."""

    kind = SAMPLER

    def sample(self, architecture: Architecture, now: Now, half: str) -> Rows | None:
        return {
            t: gdas.straight_through(
                architecture, t, now.draw_seed(f"gdas/{half}/{t}"), gdas.temperature(self.config, now)
            )
            for t in architecture.alpha
        }
