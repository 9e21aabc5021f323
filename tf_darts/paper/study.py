"""A study (`bin/study`) of rows of the paper's tables."""

from collections.abc import Sequence

import ml_collections

from tf_darts import paper
from tf_darts.errors import UserError
from tf_darts.paper.settings import DATA_SETS, METHODS, SEARCHES
from tf_darts.study import settings

SEEDS = (0, 1, 2, 3)  # the paper's means, and its best, are over four


def of_rows(names: Sequence[str]) -> ml_collections.ConfigDict:
    """Return the study that has these rows as selections; the first is the baseline.

    Raises:
      UserError: a name is no row's, rows are of several spaces or data sets, or nothing is selected in one.
    """
    rows = [paper.row(name) for name in names]
    first = rows[0]
    for row in rows:
        if (row.space, row.data_set) != (first.space, first.data_set):
            raise UserError(
                f"config: rows {first.name} and {row.name} are of different spaces or data sets; allowed:"
                " rows of one space and data set"
            )
        if METHODS[row.method].selection is None or DATA_SETS[row.data_set].searched_on:
            raise UserError(
                f"config: row {row.name} has no search and selection of its own; allowed: rows that have"
            )
    config = settings.default()
    config.base = paper.settings(first.space, first.data_set)
    methods = {row.method: METHODS[row.method] for row in rows}
    config.searches = {method.search: SEARCHES[method.search] for method in methods.values()}
    config.selections = {name: method.selection for name, method in methods.items()}
    config.only_for = {name: (method.search,) for name, method in methods.items()}
    config.trains = tuple(row.method for row in rows if row.trains)
    config.baseline = (
        f"{methods[first.method].search}/{first.method}" if len(methods) > 1 else settings.WITHOUT
    )
    config.seeds = SEEDS
    return config
