"""What is measured: the cases, what the scaling study varies, and the programs' config of a case."""

import dataclasses
from typing import Any

import ml_collections

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype, from_text
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.spaces import Space


@dataclasses.dataclass(frozen=True)
class BenchmarkCase:
    """A supernet and a network of one space, and their batches.

    Attributes:
      name: its name in the config, the table and the plot.
      space: the search space's name.
      channels: initial channels C of the supernet.
      cells: depth of the supernet, as the space's stacking counts it.
      batch_size: images of a batch of each half.
      image_size: side of the images, pixels; they have three channels.
      classes: number of classes.
      genotype: what is trained from scratch: a name in `genotypes.published.PUBLISHED` or a text form, or "".
      training_channels: initial channels of that network.
      training_cells: its depth.
      training_batch_size: images of its batch.
      operations: use only the first so many candidate operations of every edge; 0: all.
    """

    name: str
    space: str
    channels: int = 16
    cells: int = 8
    batch_size: int = 64
    image_size: int = 32
    classes: int = 10
    genotype: str = ""
    training_channels: int = 36
    training_cells: int = 20
    training_batch_size: int = 96
    operations: int = 0

    def search_space(self) -> Space:
        """Return the space, with the first `operations` candidates only if that is not 0."""
        space = spaces.get(self.space)
        return first_operations(space, self.operations) if self.operations else space

    def to_genotype(self) -> Genotype:
        """Return the genotype that `genotype` names."""
        return PUBLISHED.get(self.genotype) or from_text(self.genotype, spaces.get(self.space))


# The architecture that NAS-Bench-201 gives the best accuracy on CIFAR-10.
_BEST_201 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"

CASES: dict[str, BenchmarkCase] = {
    case.name: case
    for case in (
        BenchmarkCase("darts", "darts", genotype="darts_pt_s5_0"),
        BenchmarkCase(
            "nas_bench_201",
            "nas_bench_201",
            cells=5,
            genotype=_BEST_201,
            training_channels=16,
            training_cells=5,
            training_batch_size=256,
        ),
        BenchmarkCase("s2", "s2", genotype="darts_pt_s2_1"),
    )
}

# The scaling study changes one of these at a time.
SCALING_BASE = BenchmarkCase("base", "darts", channels=8, cells=5, batch_size=32)
SCALED = ("channels", "cells", "batch_size", "operations")


def get(name: str) -> BenchmarkCase:
    """Return the case of this name; another space's name makes a case with default sizes, nothing trained.

    Raises:
      UserError: the name is neither a case's nor a space's.
    """
    if name in CASES:
        return CASES[name]
    if name in spaces.SPACES:
        depth = 5 if spaces.get(name).stacking.name == "nas_bench_201" else 8
        return BenchmarkCase(name, name, cells=depth)
    known = list(dict.fromkeys([*CASES, *spaces.SPACES]))
    raise UserError(f"config: cases names {name!r}; allowed: {', '.join(known)}, separated by commas")


def scaled(base: BenchmarkCase, field: str, value: int) -> BenchmarkCase:
    """Return the base with one field changed, named after it."""
    change: dict[str, Any] = {field: value, "name": f"{field}={value}"}
    return dataclasses.replace(base, **change)


def first_operations(space: Space, count: int) -> Space:
    """Return the space with the first `count` candidates of every edge.

    Raises:
      UserError: an edge has fewer.
    """
    fewest = min(len(row) for rows in space.candidates.values() for row in rows)
    if not 1 <= count <= fewest:
        raise UserError(f"config: operations is {count}; allowed: 1 to {fewest}, as space {space.name} has")
    candidates = {t: tuple(row[:count] for row in rows) for t, rows in space.candidates.items()}
    return dataclasses.replace(space, name=f"{space.name}_first_{count}", candidates=candidates)


def program_config(case: BenchmarkCase, settings: dict[str, Any]) -> ml_collections.ConfigDict:
    """Return the programs' config for a case; both implementations take their hyperparameters from it.

    Args:
      case: what is measured.
      settings: the benchmark's config as a plain dictionary.
    """
    config = config_lib.default()
    config.seed = settings["seed"]
    config.search.channels, config.search.cells = case.channels, case.cells
    config.search.batch_size = case.batch_size
    config.selection.interval = settings["interval"]
    config.training.channels, config.training.cells = case.training_channels, case.training_cells
    config.training.batch_size = case.training_batch_size
    if spaces.get(case.space).stacking.name == "nas_bench_201":  # as NAS-Bench-201 itself trains
        config.training.auxiliary_weight = config.training.drop_path = config.training.clip_norm = 0.0
        config.training.cutout_length = 0
    elif case.image_size != 32:  # the one size that the auxiliary head takes
        config.training.auxiliary_weight = 0.0
    config.runtime.deterministic = settings["deterministic"]
    config.runtime.precision = settings["precision"]
    config.runtime.kernels = settings["kernels"]
    config.runtime.xla = settings["xla"]
    return config
