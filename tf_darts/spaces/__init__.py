"""Search spaces by name, and the one that a config describes itself.

A new space is one `Space` value and one entry of `tf_darts.registry.SPACES`, or the section `custom_space` of
a config.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tf_darts import registry
from tf_darts.errors import UserError
from tf_darts.spaces import custom
from tf_darts.spaces.space import Block, Edge, Space, Stacking

SPACES: dict[str, Space] = {name: registry.SPACES.load(name) for name in registry.SPACES}


# Other names in use: the authors' release calls the DARTS space s5.
ALIASES = {"s5": "darts", "nasbench201": "nas_bench_201"}


def get(name: str) -> Space:
    """Return the space of this name; case and hyphens do not matter.

    Raises:
      UserError: there is none; the message lists those there are.
    """
    known = name.lower().replace("-", "_")
    known = ALIASES.get(known, known)
    if known not in SPACES:
        raise UserError(f"space: {name!r} is not known; allowed: {', '.join(SPACES)}")
    return SPACES[known]


def of(config: Mapping[str, Any]) -> Space:
    """Return the space of a whole config: one by name, or what its `custom_space` describes.

    Raises:
      UserError: there is none of this name, or the description is wrong.
    """
    return custom.make(config["custom_space"]) if config["space"] == custom.NAME else get(config["space"])


STEMS = ("plain", "imagenet")


def with_stem(space: Space, stem: str) -> Space:
    """Return the space with the stem that its networks have.

    Args:
      space: the search space.
      stem: "plain": one convolution, as in the search; "imagenet": three that halve height and width each.

    Raises:
      UserError: its cells do not take the two inputs that ImageNet's stem makes.
    """
    if stem == "plain":
        return space
    if space.stacking.name != "darts":
        raise UserError(
            f"config: training.stem is {stem!r} with a space that is stacked as {space.stacking.name!r};"
            " allowed: plain"
        )
    stacking = dataclasses.replace(space.stacking, stem_multiplier=1, stem_reductions=3)
    return dataclasses.replace(space, stacking=stacking)


__all__ = ["SPACES", "STEMS", "Block", "Edge", "Space", "Stacking", "custom", "get", "of", "with_stem"]
