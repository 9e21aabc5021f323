"""A small space with cells of two types, stacked as DARTS stacks them: normal, reduce, reduce (, normal)."""

from tests.search import tiny
from tf_darts.spaces import Space, darts

NORMAL = ("none", "skip_connect", "max_pool_3x3", "nor_conv_1x1")
REDUCE = ("skip_connect", "avg_pool_3x3", "nor_conv_3x3")

# Two nodes; the second has three edges (2, 3, 4) and keeps two.
SPACE = Space(
    name="two cells",
    input_nodes=2,
    nodes=2,
    candidates={"normal": (NORMAL,) * 5, "reduce": (REDUCE,) * 5},
    output_nodes=(2, 3),
    kept_edges=2,
    stacking=darts.STACKING,
    batch_norm_after=darts.POOLS,
    none_in_genotype=False,
)


def setup(strategy=None, **fields):
    """Cells normal, reduce, reduce and normal; 19 validation images: batches of 8, 8 and 3."""
    fields = {"data__limit_train": 39, "search__cells": 4, "search__alpha_scale": 1.0, **fields}
    return tiny.setup(tiny.config(**fields), SPACE, strategy)
