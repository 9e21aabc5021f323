"""Regulariser of DrNAS: the distance to the uniform Dirichlet distribution (equation 5; section `drnas`)."""

from collections.abc import Mapping

import tensorflow as tf

from tf_darts.models.architecture import Architecture
from tf_darts.search.methods import drnas
from tf_darts.search.now import Now
from tf_darts.search.parts.search_part import REGULARISER, SearchPart

_REASON = "it is the distance between Dirichlet distributions, and alpha shapes none"


class DirichletKL(SearchPart):
    """`drnas.regularization` times the distance, summed over edges and cell types."""

    kind = REGULARISER
    needs = "dirichlet", _REASON

    def penalty(
        self, architecture: Architecture, alphas: Mapping[str, tf.Variable], now: Now
    ) -> tf.Tensor | None:
        masks = architecture.open_operations
        terms = [drnas.distance(alpha, masks[t].read_value()) for t, alpha in alphas.items()]
        return self.config.drnas.regularization * tf.add_n(terms)
