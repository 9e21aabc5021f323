"""The cases that are checked; without TensorFlow."""

import dataclasses
from typing import Any

PROGRAMS = ("search", "probe", "finetuning", "training")
PRECISIONS = ("float32", "mixed_bfloat16")
# A lowered program, in its case's folder; the records beside it may be kept without.
PROGRAM_FILE = "program.mlir"

# The published settings of each space on CIFAR-10, by config field.
PUBLISHED: dict[str, dict[str, Any]] = {
    "darts": {
        "search.channels": 16,
        "search.cells": 8,
        "training.channels": 36,
        "training.cells": 20,
        "training.batch_size": 96,
    },
    "nas_bench_201": {
        "search.channels": 16,
        "search.cells": 5,
        "training.channels": 16,
        "training.cells": 5,
        "training.batch_size": 256,
        "training.auxiliary_weight": 0.0,
    },
}
# The fewest that hold a cell of every kind; `darts`: a normal one, then its two reductions.
FEWEST_CELLS = {"darts": 3, "nas_bench_201": 1}
IMAGES = 50_000


@dataclasses.dataclass(frozen=True)
class Chip:
    """A generation of TPUs; peaks as in Google's documentation of the generation.

    Attributes:
      topology: smallest of four chips, as libtpu names it.
      flops: peak of a core in bfloat16, per second.
      bandwidth: of its memory, bytes per second.
    """

    topology: str
    flops: float
    bandwidth: float


# A v4 chip has 275 TFLOP/s and 1228 GB/s for two cores; a v5e chip 197 and 819 for its one.
CHIPS = {
    "v4": Chip("v4:2x2x1", 275e12 / 2, 1228e9 / 2),
    "v5e": Chip("v5e:2x2", 197e12, 819e9),
}


@dataclasses.dataclass(frozen=True)
class CompiledCase:
    """A step to lower and compile.

    Attributes:
      space: a key of `PUBLISHED`.
      program: one of `PROGRAMS`.
      precision: one of `PRECISIONS`.
      cells: depth of the supernet, as the space counts it; 0: as published. Also of the network.
      replicas: cores that share a global batch, each with one of `batch`.
      batch: images in a core's batch; 0: as published.
    """

    space: str
    program: str
    precision: str
    cells: int = 0
    replicas: int = 1
    batch: int = 0

    @property
    def name(self) -> str:
        """The case's name in files and tables."""
        size = f"{self.cells}_cells" if self.cells else "full"
        batch = f"-batch_{self.batch}" if self.batch else ""
        return f"{self.space}-{self.program}-{self.precision}-{size}-{self.replicas}{batch}"

    @classmethod
    def of_name(cls, name: str) -> "CompiledCase":
        """Return the case of this name.

        Raises:
          ValueError: no case has it.
        """
        space, program, precision, size, replicas, *more = name.split("-")
        cells = 0 if size == "full" else int(size.removesuffix("_cells"))
        batch = int(more[0].removeprefix("batch_")) if more else 0
        case = cls(space, program, precision, cells, int(replicas), batch)
        if case.name != name:
            raise ValueError(f"no case is called {name!r}")
        return case


def cells_of(size: str, space: str) -> int:
    """Return the cells, as `CompiledCase` has them, of a size: `full`, `fewest` or a number of cells.

    Raises:
      ValueError: it is neither, or fewer than hold a cell of every kind.
    """
    if size in ("full", "fewest"):
        return 0 if size == "full" else FEWEST_CELLS[space]
    if not size.isdecimal() or int(size) < FEWEST_CELLS[space]:
        raise ValueError(
            f"{size!r}; allowed: full, fewest, or a number of cells from {FEWEST_CELLS[space]} on"
        )
    return int(size)


def batch_of(batch: str) -> int:
    """Return the images in a batch, as `CompiledCase` has them: `published` or a number.

    Raises:
      ValueError: it is neither.
    """
    if batch == "published":
        return 0
    if not batch.isdecimal() or not int(batch):
        raise ValueError(f"{batch!r}; allowed: published, or a number of images from 1 on")
    return int(batch)


def sizes(case: CompiledCase) -> dict[str, Any]:
    """Return the config fields of a case."""
    fields = {"data.limit_train": IMAGES, **PUBLISHED[case.space]}
    if case.cells:
        fields |= {"search.cells": case.cells, "training.cells": case.cells}
    if case.batch:
        fields |= {"search.batch_size": case.batch, "training.batch_size": case.batch}
    return fields
