"""A selection as a stage: it reads the searched supernet and leaves a genotype."""

import pathlib

from tf_darts.config.depends import LIMIT_FIELDS
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.registry import NEEDS_NO_SUPERNET, SELECTIONS
from tf_darts.search import collapse
from tf_darts.search.setup import SearchSetup
from tf_darts.selection import top
from tf_darts.workdir import checkpoints as checkpoints_lib
from tf_darts.workdir.records import finish
from tf_darts.workdir.warnings import Warnings


def _load(setup: SearchSetup, search_folder: pathlib.Path) -> None:
    """Reads what a search has left."""
    bilevel = setup.bilevel
    checkpoints_lib.load_from(
        search_folder,
        supernet=bilevel.supernet,
        architecture=bilevel.architecture,
        alpha_optimizer=bilevel.alpha_optimizer,
        **setup.method.part_states(),
    )


def run(setup: SearchSetup, search_folder: pathlib.Path, folder: pathlib.Path) -> Genotype:
    """Select by the config's method; leave genotype.json, top.json and what the selection itself leaves.

    Args:
      setup: as the search built it; weights, alpha and Adam's state are read from the search.
      search_folder: the searched supernet.
      folder: where results go; what it holds is continued.

    Raises:
      UserError: no genotype fits the budget with what the search decided, or the selection knows no budgets.
    """
    method = setup.config.selection.method
    if method not in NEEDS_NO_SUPERNET:
        _load(setup, search_folder)
    for folder_of_other, other in setup.others.items():
        _load(other, folder_of_other)
    genotype = SELECTIONS.load(method)(setup, folder)
    budget = setup.budget
    if budget is not None and not budget.allows(genotype):
        raise UserError(
            f"config: selection.method is {method!r}, which keeps to no budget; allowed with it: 0 for"
            f" {' and '.join(f'selection.{name}' for name in LIMIT_FIELDS)}"
        )
    top.leave(setup, folder, genotype)
    signs = collapse.of_genotype(genotype)
    if method != "random":  # which is all by chance
        signs |= collapse.of_supernet(setup.space, setup.bilevel.alphas, setup.config.search.cells)
    Warnings("select").keep(folder, signs)
    finish(folder / "genotype.json", genotype.to_json(setup.space).encode())
    return genotype
