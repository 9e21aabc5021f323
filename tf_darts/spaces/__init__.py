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
from tf_darts.spaces.space import ENLARGE, STEMS, Block, Edge, Space, Stacking

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

    Its supernets and networks enlarge images as `data.enlarge` says.

    Raises:
      UserError: there is none of this name, or the description is wrong.
    """
    space = custom.make(config["custom_space"]) if config["space"] == custom.NAME else get(config["space"])
    enlarge = config["data"]["enlarge"]
    if enlarge == space.stacking.enlarge:
        return space
    return dataclasses.replace(space, stacking=dataclasses.replace(space.stacking, enlarge=enlarge))


def with_stem(space: Space, stem: str, section: str = "training") -> Space:
    """Return the space with the stem that its supernets or networks have.

    Args:
      space: the search space, as `of` returns it.
      stem: "plain": one convolution; "pooled": the same, ReLU and a max pooling that halves height and width,
        and a convolution with such a pooling between the stages of NAS-Bench-201 too; "imagenet": three
        convolutions that halve them each.
      section: of the config that names it: "search" for supernets.

    Raises:
      UserError: its cells do not take the two inputs that ImageNet's stem makes.
    """
    if stem == "plain":
        return space
    stacking = dataclasses.replace(space.stacking, stem=stem, pooled_blocks=stem == "pooled")
    if stem == "imagenet":
        if stacking.name != "darts":
            raise UserError(
                f"config: {section}.stem is {stem!r} with a space that is stacked as {stacking.name!r};"
                " allowed: plain, pooled"
            )
        if section == "training":  # PC-DARTS' supernet has a stem as wide as that for small images
            stacking = dataclasses.replace(stacking, stem_multiplier=1)
    return dataclasses.replace(space, stacking=stacking)


__all__ = [
    "ENLARGE",
    "SPACES",
    "STEMS",
    "Block",
    "Edge",
    "Space",
    "Stacking",
    "custom",
    "get",
    "of",
    "with_stem",
]
