"""Perturbations of SDARTS as parts: the weights are fitted at perturbed mixing weights (section `sdarts`)."""

from collections.abc import Mapping
from typing import ClassVar

import ml_collections

from tf_darts.search.methods import sdarts
from tf_darts.search.parts.search_part import PERTURBATION, SAMPLER, SearchPart
from tf_darts.spaces import Space

_SAMPLED = "it moves the probabilities of alpha, which a sampler does not use"


class RandomPerturbation(sdarts.RandomNoise, SearchPart):
    """Uniform noise within the radius (SDARTS-RS)."""

    kind = PERTURBATION
    refuses: ClassVar[Mapping[str, str]] = {SAMPLER: _SAMPLED}


class AdversarialPerturbation(sdarts.AdversarialNoise, SearchPart):
    """The noise within the radius that raises the training loss most (SDARTS-ADV)."""

    kind = PERTURBATION
    refuses: ClassVar[Mapping[str, str]] = {
        SAMPLER: _SAMPLED,
        "auxiliary_skip": "its losses are those of the candidates alone",
    }

    def __init__(self, config: ml_collections.ConfigDict, space: Space):
        super().__init__(config, space)
        self.weight_passes = sdarts.attack_passes(config)
