"""Sampler of DrNAS: rows drawn from a Dirichlet distribution that alpha shapes (Chen et al., ICLR 2021)."""

from tf_darts.models.architecture import Architecture
from tf_darts.search.methods import drnas
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import SAMPLER, Rows, SearchPart


class Dirichlet(SearchPart):
    """Draws in both halves of a step; what alpha says of an operation is its mean weight."""

    kind = SAMPLER
    normalise = staticmethod(drnas.mean)

    def sample(self, architecture: Architecture, now: Now, half: str) -> Rows | None:
        return drnas.draw_all(architecture, now, f"drnas/{half}")
