"""NAS-Bench-201's table: the true accuracies of every genotype of the space (Dong and Yang, ICLR 2020).

Each of the 15,625 genotypes was trained by the benchmark's authors, at 16 channels and five cells a stage, on
three data sets. Different genotypes may be the same function (a path through `none` counts for nothing, say):
they were trained one by one, have accuracies of their own, and count here as different. A genotype is
found by its text form, so the one that was selected is the one that is looked up.

The figures come with the package (`of_package`); a file of yours may have more columns.
"""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import ml_collections
import numpy as np

from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench import packaged, table_file
from tf_darts.runtime import moved
from tf_darts.spaces.nas_bench_201 import NAS_BENCH_201 as SPACE

DATA_SETS = tuple(table_file.PREFIXES)
SPLITS = tuple(table_file.ACCURACIES)
PACKAGED = "tf_darts"  # the source of the table that comes with the package
# What accuracies are compared with, and how tables say it; the mean of all cells is what a random one has.
REFERENCES = {"random": "random cell, mean", "resnet": "ResNet's cell", "best": "best of the space"}
# ResNet's cell: two convolutions of 3x3 in a row, and a skip connection around them.
RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"


def accuracy_column(data_set: str, split: str) -> str:
    """Return the name of the column of accuracies for one of `DATA_SETS` and one of `SPLITS`."""
    return f"{table_file.PREFIXES[data_set]}_{table_file.ACCURACIES[split]}"


@dataclasses.dataclass(frozen=True)
class TableScore:
    """How good an architecture is on one split of a data set.

    Attributes:
      accuracy: top-1, percent, mean over the benchmark's runs.
      rank: 1 for the best; one more than the number of architectures that are strictly better, so that
        equals share the smaller rank.
      regret: the best accuracy of the table on this split minus this one, percentage points.
    """

    accuracy: float
    rank: int
    regret: float


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the table says about one architecture.

    Attributes:
      index: the benchmark's number of it.
      text: the text form of the genotype.
      scores: by data set and split.
      parameters: number of trainable weights of the benchmark's network, by data set.
      multiply_adds: multiply-adds of its convolutions and classifier for one image, by data set.
    """

    index: int
    text: str
    scores: Mapping[str, Mapping[str, TableScore]]
    parameters: Mapping[str, int]
    multiply_adds: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Reference:
    """What an accuracy in the table can be compared with.

    Attributes:
      kind: random, resnet or best.
      accuracy: top-1, percent.
      rank: as `TableScore.rank`; None: of a mean.
      regret: as `TableScore.regret`.
    """

    kind: str
    accuracy: float
    rank: int | None
    regret: float

    @property
    def name(self) -> str:
        """How a row of a table says it."""
        return REFERENCES[self.kind]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Mean and standard deviation of a random search's result, in the unit of the column."""

    mean: float
    std: float


@dataclasses.dataclass(frozen=True, eq=False)
class NasBench201:
    """The table in memory; a look-up takes a tenth of a millisecond.

    Attributes:
      texts: the text form of each architecture, in the order of the benchmark's index.
      columns: every column of numbers, by its name in the file, float64 [15625], nan in gaps; read-only.
      source: where it comes from: the file, or PACKAGED.
    """

    texts: tuple[str, ...]
    columns: Mapping[str, np.ndarray]
    source: str

    @classmethod
    def load(cls, path: str | os.PathLike) -> "NasBench201":
        """Read a file (of the form in `tf_darts.nas_bench.table_file`) and check all of it.

        Raises:
          UserError: the file is missing, unreadable, or not the whole table; one line that names the place.
        """
        return cls._of(*table_file.read(path), os.fspath(path))

    @classmethod
    def parse(cls, text: str, name: str = "NAS-Bench-201 table") -> "NasBench201":
        """Read the text of an unpacked file as `load` does; `name` says in messages where it comes from."""
        return cls._of(*table_file.parse(text, name), name)

    @classmethod
    def of_package(cls) -> "NasBench201":
        """Return what comes with the package: the columns that every file has."""
        return _of_package()

    @classmethod
    def _of(cls, texts: list[str], columns: dict[str, np.ndarray], source: str) -> "NasBench201":
        for column in columns.values():
            column.flags.writeable = False
        return cls(tuple(texts), columns, source)

    def __len__(self) -> int:
        return len(self.texts)

    @functools.cached_property
    def _rows(self) -> dict[str, int]:
        return {text: row for row, text in enumerate(self.texts)}

    @functools.cached_property
    def _ranked(self) -> dict[str, tuple[np.ndarray, float]]:
        """By column: the ranks, and the best value."""
        return {}

    @functools.cached_property
    def operations(self) -> np.ndarray:
        """int8 [15625, 6 edges]: each architecture's operation on each edge.

        Edges are in the order of `Space.edges` (1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2), operations are counted
        in the order of `spaces.nas_bench_201.OPERATIONS`: rows and columns of alpha.
        """
        known = table_file.architectures()
        return np.array([known[text] for text in self.texts], np.int8)

    def column(self, name: str) -> np.ndarray:
        """Return a column of numbers by its name in the file, float64 [15625].

        Raises:
          UserError: the table has none of this name.
        """
        if name not in self.columns:
            raise UserError(
                f"NAS-Bench-201 table: no column {name!r}; allowed: {', '.join(sorted(self.columns))}"
            )
        return self.columns[name]

    def _whole(self, name: str) -> np.ndarray:
        """Return a column, which has to be without gaps."""
        values = self.column(name)
        if np.isnan(values).any():
            raise UserError(f"NAS-Bench-201 table: column {name!r} has gaps; allowed: a column without")
        return values

    def index(self, genotype: Genotype) -> int:
        """Return the benchmark's index of a genotype, 0 to 15624.

        Raises:
          UserError: it is not a genotype of the NAS-Bench-201 space.
        """
        return self._rows[genotype.to_text(SPACE)]

    def genotype(self, index: int) -> Genotype:
        """Return the genotype of this index, 0 to 15624."""
        return genotype_lib.from_text(self.texts[index], SPACE)

    def ranks(self, column: str) -> np.ndarray:
        """Return every architecture's rank by a column, int64 [15625] (`TableScore.rank`); gaps come last."""
        return self._ranks_and_best(column)[0]

    def _ranks_and_best(self, column: str) -> tuple[np.ndarray, float]:
        if column not in self._ranked:
            values = np.nan_to_num(self.column(column), nan=-np.inf)
            better = len(values) - np.searchsorted(np.sort(values), values, side="right")
            self._ranked[column] = better + 1, float(values.max())
        return self._ranked[column]

    def lookup(self, genotype: Genotype) -> Entry:
        """Look up what the table says about a genotype.

        Raises:
          UserError: it is not a genotype of the NAS-Bench-201 space.
        """
        index = self.index(genotype)
        return Entry(
            index=index,
            text=self.texts[index],
            scores={d: {s: self._score(accuracy_column(d, s), index) for s in SPLITS} for d in DATA_SETS},
            parameters=self._counts(table_file.PARAMETERS, index),
            multiply_adds=self._counts(table_file.MULTIPLY_ADDS, index),
        )

    def _score(self, column: str, index: int) -> TableScore:
        ranks, best = self._ranks_and_best(column)
        accuracy = float(self.column(column)[index])
        # The file has six decimals; a difference of such numbers has more only by rounding.
        return TableScore(accuracy, int(ranks[index]), round(best - accuracy, 6))

    def references(self, column: str) -> tuple[Reference, ...]:
        """Return what any accuracy of a column can be compared with, the worst first.

        The mean of all architectures is what a random cell has; ResNet's cell is what an expert tries first.

        Raises:
          UserError: no such column, or one with gaps.
        """
        mean, best = self.random_search(column).mean, int(self.column(column).argmax())
        drawn = Reference("random", mean, None, self._score(column, best).accuracy - mean)
        known = (("resnet", self._rows[RESNET]), ("best", best))
        scores = ((kind, self._score(column, index)) for kind, index in known)
        return drawn, *(Reference(kind, s.accuracy, s.rank, s.regret) for kind, s in scores)

    def _counts(self, cost: str, index: int) -> dict[str, int]:
        prefixes = table_file.PREFIXES.items()
        return {d: round(1e6 * float(self.column(f"{prefix}_{cost}")[index])) for d, prefix in prefixes}

    def operation_strength(self, column: str) -> np.ndarray:
        """Measure how good an operation is on an edge: the mean over all architectures that have it there.

        Args:
          column: name of the column that is averaged, an accuracy say.

        Returns:
          float64 [6 edges, 5 operations], in the column's unit; edges and operations in the order of
          `operations`, that is, of alpha.

        Raises:
          UserError: no such column, or one with gaps.
        """
        values, kinds = self._whole(column), SPACE.num_operations
        sums = [np.bincount(edge, weights=values, minlength=kinds) for edge in self.operations.T]
        return np.stack(sums) / [np.bincount(edge, minlength=kinds) for edge in self.operations.T]

    def random_search(self, column: str, budget: int = 1, by: str | None = None) -> Distribution:
        """Compute what random search reaches: exactly, over all its draws, not for some seeds.

        The search draws `budget` genotypes, uniformly and independently, and keeps the best by one column.

        Args:
          column: the column that its result is judged by.
          budget: number of draws, at least 1; with 1, the result is a uniformly random genotype.
          by: the column that it chooses by (the first of equals); the same as `column` where None.

        Raises:
          UserError: no such column, one with gaps, or a budget below 1.
        """
        if budget < 1:
            raise UserError(f"random search: budget is {budget!r}; allowed: an integer of at least 1")
        values = self._whole(column)
        # The best of n draws is at most as good as g with probability (share that is at most as good)^n.
        # Of those that are equally good each is as likely as the others.
        _, group, sizes = np.unique(self._whole(by or column), return_inverse=True, return_counts=True)
        reached = (np.cumsum(sizes) / len(values)) ** budget
        weights = (np.diff(reached, prepend=0.0) / sizes)[group]
        mean = float(weights @ values)
        return Distribution(mean, float(weights @ (values - mean) ** 2) ** 0.5)


@functools.cache
def _of_package() -> NasBench201:
    return NasBench201._of(*packaged.read(), PACKAGED)


def of_space(name: str) -> NasBench201 | None:
    """Return the table that comes with the package; None in every other space than its own."""
    return NasBench201.of_package() if name == SPACE.name else None


def of_config(config: ml_collections.ConfigDict) -> NasBench201 | None:
    """Return the table of a config's space: the file that `report.table` names, or that of the package.

    It is None in every other space, whose true accuracies nobody knows.

    Raises:
      UserError: the file is missing, or is not the table.
    """
    if not config.report.table:
        return of_space(config.space)
    try:
        return NasBench201.load(config.report.table)
    except UserError as error:
        raise UserError(f"report.table: {error}") from None


if not TYPE_CHECKING:  # a type checker need not accept names of version 1.0
    __getattr__ = moved.names_of(__name__)
