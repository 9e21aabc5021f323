"""Signs that a search has collapsed, with what people do about it."""

import math
from collections.abc import Collection, Mapping

from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.architecture import Architecture
from tf_darts.search.alpha_summary import entropy, skip_share_of
from tf_darts.spaces import Space

LOW_ENTROPY = 0.05  # of the largest that an edge can have


def of_alpha(architecture: Architecture, skip_share: float) -> dict[str, str]:
    """Return what is suspicious about alpha, by kind of sign; empty: nothing.

    Args:
      architecture: alpha and what is decided.
      skip_share: share of skip connections among the edges that magnitude would keep.
    """
    found = {}
    if skip_share == 1.0:
        found["skip_connections"] = (
            "alpha is largest for skip connections on every edge that magnitude would keep. What helps:"
            " selection by perturbation; stopping early (early_stopping.window); a larger"
            " search.weight_decay; search.method sdarts_rs, sdarts_adv or drnas"
        )
    for cell_type, probabilities in architecture.probabilities().items():
        undecided = architecture.undecided_edges(cell_type)
        if not undecided:
            continue
        rows = probabilities.numpy()[undecided]
        largest = math.log(architecture.open_operations[cell_type].numpy()[undecided].sum(1).max())
        if entropy(rows) < LOW_ENTROPY * largest:
            found[f"entropy/{cell_type}"] = (
                f"alpha of {cell_type} cells has all but decided: its entropy is {entropy(rows):.3f} of at"
                f" most {largest:.3f}, so it learns no more. What helps: a smaller"
                " search.alpha_learning_rate, a larger search.alpha_weight_decay, or fewer epochs"
            )
    return found


def of_supernet(space: Space, there: Collection[str], cells: int) -> dict[str, str]:
    """Return which cells of a genotype a supernet says nothing about, by kind of sign.

    Args:
      space: the search space.
      there: the cell types that the supernet has.
      cells: its depth, `search.cells`.
    """
    return {
        f"absent/{cell_type}": (
            f"the supernet has no {cell_type} cell, with search.cells {cells}: nothing is decided of it, and"
            f" the genotype's {cell_type} cell is by chance. What helps: more search.cells"
        )
        for cell_type in space.cell_types
        if cell_type not in there
    }


def of_genotype(genotype: Genotype) -> dict[str, str]:
    """Return what is suspicious about a selected genotype, by kind of sign."""
    if skip_share_of(genotype) < 1.0:
        return {}
    return {
        "skip_connections": (
            "every edge of the genotype is a skip connection: the search has collapsed. What helps: stopping"
            " it early (early_stopping.window), a larger search.weight_decay, or search.method sdarts_rs,"
            " sdarts_adv or drnas"
        )
    }


def of_accuracy(values: Mapping[str, float], name: str, images: int, classes: int) -> dict[str, str]:
    """Return a warning where an accuracy may be that of guessing.

    Args:
      values: metrics by name.
      name: of the accuracy, 0 to 1; where it is not among them nothing is said.
      images: that it was measured on.
      classes: of the data.
    """
    chance = 1.0 / classes
    limit = chance + 3.0 * math.sqrt(chance * (1.0 - chance) / images)
    if name not in values or values[name] > limit:
        return {}
    return {
        "chance": (
            f"{name} is {100 * values[name]:.1f} %, which guessing among {classes} classes reaches too. What"
            " helps: more epochs, another learning rate, a look at images and labels"
        )
    }
