"""Rows of the paper's tables: space, data set and method, with figures, config and commands."""

import dataclasses
import difflib
import shlex

import ml_collections

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.paper.figures import WITHOUT_FIGURE, Figure, published
from tf_darts.paper.settings import COMMON, DATA_SETS, METHODS, SEARCHES, SPACES, TRAINING
from tf_darts.runtime import command


@dataclasses.dataclass(frozen=True)
class PaperRow:
    """A row of the paper's tables.

    Attributes:
      space: a name of `SPACES`.
      data_set: a name of `DATA_SETS`.
      method: a name of `METHODS`.
      figures: what is published.
    """

    space: str
    data_set: str
    method: str
    figures: tuple[Figure, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.space}_{self.data_set}_{self.method}"

    @property
    def label(self) -> str:
        """The method as the paper calls it."""
        return METHODS[self.method].label

    @property
    def tables(self) -> tuple[str, ...]:
        """Where figures of the row stand, each place once."""
        return tuple(dict.fromkeys(figure.source for figure in self.figures))

    @property
    def workdir(self) -> str:
        """Its work directory in the commands: that of all rows of the same search."""
        data_set = DATA_SETS[self.data_set]
        search = "" if data_set.searched_on else f"_{METHODS[self.method].search}"
        return f"runs/{self.space}_{self.data_set}{search}"

    @property
    def trains(self) -> bool:
        """Whether the figure comes of training a network; in NAS-Bench-201 the benchmark's table has it."""
        return METHODS[self.method].selection is not None and self.space != "nas_bench_201"

    def config(self) -> ml_collections.ConfigDict:
        """Return the row's config, which the caller may change; --data_dir has the place of the data set."""
        method, config = METHODS[self.method], settings(self.space, self.data_set)
        config.update(SEARCHES[method.search])
        if method.selection is not None:
            # A name of its own, so that selections from one supernet lie side by side.
            config.selection.update(method.selection, name=self.method)
        return config

    def commands(self) -> tuple[str, ...]:
        """Return the row's commands, in their order; rows of one search share its work directory."""
        method, data_set = METHODS[self.method], DATA_SETS[self.data_set]
        if data_set.searched_on:
            return self._transfer()
        place = shlex.quote(data_set.place)
        shared = f"--config=configs/paper.py:{self.name} --workdir={self.workdir} --data_dir={place}"
        search, select = (f"{command.of(name)} {shared}" for name in ("search", "select"))
        if method.analysis:
            return search, f"{command.of('analyze')} {shared} --analysis={method.analysis}"
        if not self.trains:
            return search, select
        return search, select, f"{command.of('train')} {shared}"

    def _transfer(self) -> tuple[str, ...]:
        """Return the commands where a network is trained on another data set than it was found on."""
        method, data_set = METHODS[self.method], DATA_SETS[self.data_set]
        before, genotype = (), method.genotype
        if not genotype:
            found = dataclasses.replace(self, data_set=data_set.searched_on)
            before = found.commands()[:2]
            genotype = f"{found.workdir}/selection/{self.method}/genotype.json"
        train = (
            f"{command.of('train')} --config=configs/paper.py:{self.name} --workdir={self.workdir}"
            f" --data_dir={shlex.quote(data_set.place)} --genotype={genotype} --name={self.method}"
        )
        return *before, train


def settings(space: str, data_set: str) -> ml_collections.ConfigDict:
    """Return the paper's settings for a space and a data set, whatever the method.

    Args:
      space: a name of `SPACES`.
      data_set: a name of `DATA_SETS`.
    """
    config = config_lib.default()
    config.update(COMMON)
    config.update(SPACES[space])
    config.update(DATA_SETS[data_set].settings)
    if spaces.get(space).stacking.name == "darts":
        config.update(TRAINING.get(data_set, {}))
    return config


def _rows() -> dict[str, PaperRow]:
    figures: dict[tuple[str, str, str], list[Figure]] = {}
    for key, figure in published():
        figures.setdefault(key, []).append(figure)
    for key in WITHOUT_FIGURE:
        figures.setdefault(key, [])
    rows = [PaperRow(*key, tuple(values)) for key, values in figures.items()]
    return {row.name: row for row in rows}


ROWS: dict[str, PaperRow] = _rows()


def row(name: str) -> PaperRow:
    """Return the row of this name.

    Raises:
      UserError: there is none; the message names the nearest.
    """
    if name in ROWS:
        return ROWS[name]
    near = " or ".join(difflib.get_close_matches(name, ROWS, n=3))
    hint = f"did you mean {near}?" if near else f"{command.of('list')} prints all"
    raise UserError(f"--config=configs/paper.py:ROW: ROW is {name!r}; {hint}")
