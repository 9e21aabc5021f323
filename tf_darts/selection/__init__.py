"""From a searched supernet to a genotype: selections by name.

A selection is one function (setup, folder) -> genotype and one entry here; it may leave files in the
folder, and continues what it finds there.
"""

import ml_collections

from tf_darts.registry import Registry

_HERE = "tf_darts.selection"

SELECTIONS = Registry(
    "selection.method",
    {
        "magnitude": f"{_HERE}.magnitude:run",
        "perturbation": f"{_HERE}.perturb_and_finetune:run",
        "random": f"{_HERE}.sampling:random_genotype",
        "supernet_ranking": f"{_HERE}.sampling:supernet_ranking",
    },
)

# What a selection takes from the search besides the space; others need no trained supernet.
NEEDS_NO_SUPERNET = frozenset({"random"})
NEEDS_ALPHA = frozenset({"magnitude"})
TAKES_SEVERAL = frozenset({"perturbation"})  # all of `selection.supernets`; others take the first


def supernets_of(config: ml_collections.ConfigDict) -> int:
    """How many supernets a config's selection looks at."""
    return config.selection.supernets if config.selection.method in TAKES_SEVERAL else 1
