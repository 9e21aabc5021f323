"""A plan on paper: how long a search would take on TPUs at least, from what libtpu counts in its steps.

The compiler's cost analysis of a supernet, of few cells where the full one was not compiled, is compared with
what formulas say of the same supernet; the formulas for the full size are corrected by that.

python -m tf_darts.tools.tpu_check.plan results/tpu_check prints the tables of docs/scaling.md.
"""

import dataclasses
import functools
import math
import pathlib
import sys
from collections.abc import Sequence

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.models import cost, memory
from tf_darts.models.supernet import Supernet
from tf_darts.plots.table import markdown
from tf_darts.selection import schedule
from tf_darts.tools.tpu_check import run
from tf_darts.tools.tpu_check.cases import CHIPS, IMAGES, PUBLISHED, Chip

BATCH, PIXELS = 64, (32, 32, 3)
CHIP, PRECISION = "v4", "mixed_bfloat16"
# Where, how many cores (a chip has two), and the global batch.
PLACES = (
    ("one core", 1, 64),
    ("one v4 chip", 2, 64),
    ("one v4 chip", 2, 256),
    ("v4-8", 8, 64),
    ("v4-8", 8, 512),
    ("v4-32", 32, 64),
    ("v4-32", 32, 2048),
)
# Batches that a step draws from a half. The compiler counts all of the half as read for each; they are not.
DRAWN = {"search": 2, "probe": 1}
# A tensor that is kept for gradients is written and read, and so is its gradient; a step has two passes.
MOVES_OF_STEP, MOVES_FORWARD = 8, 2
LINKS = 300e9  # of a v4 chip to its neighbours, bytes per second, all together
LATENCY = 30e-6  # of a call and of an all-reduce, seconds: a guess, which bounds how small a share may be

_FORETOLD = (
    "space",
    "step",
    "chip",
    "from cells",
    "GFLOP: foretold",
    "libtpu",
    "GB moved: foretold",
    "libtpu",
)


@dataclasses.dataclass(frozen=True)
class CoreWork:
    """The work of a supernet's search by formulas, for an image where not said otherwise.

    Attributes:
      flops: of a forward pass.
      kept: bytes kept for the gradients of a pass, in float32.
      weights: bytes of all weights.
      steps: bilevel steps of the search.
      tuning: steps of fine-tuning in the selection.
      probes: probes of the selection, each over the validation half.
    """

    flops: float
    kept: float
    weights: float
    steps: int
    tuning: int
    probes: int

    @property
    def of_step(self) -> "ProgramCost":
        """The cost of a bilevel step, for an image."""
        return ProgramCost(cost.BILEVEL_STEP * self.flops, MOVES_OF_STEP * self.kept)

    @property
    def of_probe(self) -> "ProgramCost":
        """The cost of a probe, for an image."""
        return ProgramCost(self.flops, MOVES_FORWARD * self.kept)


@dataclasses.dataclass(frozen=True)
class ProgramCost:
    """What a program computes and moves.

    Attributes:
      flops: floating point operations.
      moved: bytes to and from the memory.
    """

    flops: float
    moved: float

    def __mul__(self, other: "ProgramCost") -> "ProgramCost":
        return ProgramCost(self.flops * other.flops, self.moved * other.moved)

    def over(self, other: "ProgramCost") -> "ProgramCost":
        """Divide each by the other's."""
        return ProgramCost(self.flops / other.flops, self.moved / other.moved)

    def seconds(self, chip: Chip) -> float:
        """Return the least seconds that a core takes for it."""
        return max(self.flops / chip.flops, self.moved / chip.bandwidth)


@dataclasses.dataclass(frozen=True)
class Counted:
    """What the compiler counts in a step of one core, beside the formulas.

    Attributes:
      program: `search` or `probe`.
      cells: of the supernet that was compiled.
      counts: of the compiler.
      formulas: for the same supernet and batch.
    """

    program: str
    cells: int
    counts: ProgramCost
    formulas: ProgramCost

    @property
    def ratio(self) -> ProgramCost:
        """The factors that correct the formulas."""
        return self.counts.over(self.formulas)


def depth(space_name: str, cells: int) -> int:
    """Return the cells of a supernet, where 0 stands for the published number."""
    return cells or PUBLISHED[space_name]["search.cells"]


@functools.cache
def work(space_name: str, cells: int = 0) -> CoreWork:
    """Return the work of the published search and selection in a space.

    Args:
      space_name: a key of `PUBLISHED`.
      cells: depth of the supernet; 0: as published.
    """
    config = config_lib.default()
    space, channels = spaces.get(space_name), PUBLISHED[space_name]["search.channels"]
    cells = depth(space_name, cells)
    supernet = Supernet(space, channels, cells, 10)
    two, one = (memory.estimate(space, channels, cells, n, PIXELS) for n in (2, 1))
    weights = sum(v.shape.num_elements() for v in supernet.trainable_variables) * memory.BYTES
    undecided = {t: list(range(len(space.edges))) for t in space.cell_types}
    nodes = {t: list(space.topology_nodes) for t in space.cell_types}
    planned, epochs = schedule.plan(space, undecided, config.selection.interval, schedule.by_index, nodes)
    probes = 0
    for p in planned:
        if p.kind == "operation":
            probes += len(space.candidates[p.cell_type][p.place])
        else:  # an edge is dropped in each round
            probes += sum(range(space.kept_edges + 1, len(space.incoming(p.place)) + 1))
    per_epoch = -(-IMAGES // 2 // BATCH)
    return CoreWork(
        2.0 * cost.multiply_adds(supernet, PIXELS),
        two - one,
        weights,
        config.search.epochs * per_epoch,
        epochs * per_epoch,
        probes,
    )


def compiled(rows: Sequence[dict], space_name: str, program: str, batch: int = 0) -> dict:
    """Return the row of what was compiled for one core with the most cells.

    Args:
      rows: from `run.found`.
      space_name: a key of `PUBLISHED`.
      program: `search` or `probe`.
      batch: as in `cases.CompiledCase`.

    Raises:
      UserError: nothing of it was compiled.
    """
    wanted = {"space": space_name, "program": program, "precision": PRECISION, "chip": CHIP, "batch": batch}
    found = [row for row in _on_one_core(rows) if wanted.items() <= row.items()]
    if not found:
        told = ", ".join(f"--{name}={value or 'published'}" for name, value in wanted.items())
        raise UserError(f"no record of {told}; bin/tpu_check with these and --output=FOLDER makes it")
    return max(found, key=lambda row: depth(space_name, row["cells"]))


def _on_one_core(rows: Sequence[dict]) -> list[dict]:
    """Return the rows of what was compiled for one core."""
    return [row for row in rows if "flops" in row and row["replicas"] == 1]


def moved(row: dict) -> float:
    """Return the bytes that a step moves."""
    return row["bytes_accessed"] - DRAWN[row["program"]] * IMAGES / 2 * math.prod(PIXELS)


def counted(rows: Sequence[dict], space_name: str, program: str) -> Counted:
    """Return what the compiler counts in the published batch, beside the formulas for the same supernet.

    Raises:
      UserError: it was not compiled.
    """
    return beside_formulas(compiled(rows, space_name, program))


def beside_formulas(row: dict) -> Counted:
    """Return what the compiler counts in a step, beside the formulas for it."""
    name, program = row["space"], row["program"]
    small = work(name, row["cells"])
    formulas = {"search": small.of_step, "probe": small.of_probe}[program] * ProgramCost(BATCH, BATCH)
    return Counted(program, depth(name, row["cells"]), ProgramCost(row["flops"], moved(row)), formulas)


def foretold(rows: Sequence[dict]) -> list[tuple[dict, Counted, ProgramCost]]:
    """Predict what was compiled at full size from what was compiled with fewer cells too.

    Returns:
      For each such step and chip: the row of the full size, the most of the fewer cells, and what the
      formulas for the full size say when corrected by those.
    """
    alike = {"precision": PRECISION, "batch": 0}
    steps = [row for row in _on_one_core(rows) if alike.items() <= row.items() and row["program"] in DRAWN]
    found = []
    for full in (row for row in steps if not row["cells"]):
        same = {name: full[name] for name in ("space", "program", "chip")}
        fewer = [row for row in steps if row["cells"] and same.items() <= row.items()]
        if fewer:
            few = beside_formulas(max(fewer, key=lambda row: row["cells"]))
            found.append((full, few, few.ratio * beside_formulas(full).formulas))
    return found


def spread(rows: Sequence[dict], images: int) -> float:
    """Return how many times the bytes of an image a core with so many moves, beside the published batch.

    What a core has less of than a row of its registers holds is filled up with zeros. Of the supernet of
    NAS-Bench-201.

    Raises:
      UserError: it was not compiled.
    """
    name = "nas_bench_201"
    row = compiled(rows, name, "search", 0 if images == BATCH else images)
    alike = compiled([r for r in rows if r["cells"] == row["cells"]], name, "search")
    return (moved(row) / images) / (moved(alike) / BATCH)


def step_seconds(found: CoreWork, image: ProgramCost, chip: Chip, cores: int, batch: int) -> float:
    """Return the least seconds that a bilevel step takes.

    Args:
      found: the work.
      image: the cost of a step for each image.
      chip: the kind of core.
      cores: of that kind that share the batch.
      batch: global batch, images.
    """
    share = batch / cores
    summed = 0.0 if cores <= 2 else 2 * found.weights / LINKS  # the two of a chip need no link
    return (image * ProgramCost(share, share)).seconds(chip) + summed + LATENCY


def probe_seconds(found: CoreWork, image: ProgramCost, chip: Chip, cores: int) -> float:
    """Return the least seconds that all probes take: whole batches, a different one on each core."""
    batches = -(-IMAGES // 2 // BATCH)
    rounds = -(-batches // cores)
    return found.probes * rounds * (image * ProgramCost(BATCH, BATCH)).seconds(chip)


def tables(rows: Sequence[dict]) -> str:
    """Return tables in Markdown: the plan, its parts, how well they hold, and what a core's batch costs.

    Raises:
      UserError: of a space no bilevel step or no probe was compiled, or not with all of the batches.
    """
    plan, basis, facts = [], [], []
    chip = CHIPS[CHIP]
    for name in PUBLISHED:
        found = work(name)
        search, probe = (counted(rows, name, program) for program in ("search", "probe"))
        basis += [
            (name, one.program, str(one.cells), *_figures(one.formulas, one.counts))
            for one in (search, probe)
        ]
        for where, cores, batch in PLACES:
            share = ProgramCost(1.0, spread(rows, batch // cores))
            seconds = step_seconds(found, search.ratio * found.of_step * share, chip, cores, batch)
            minutes = [n * BATCH / batch * seconds / 60 for n in (found.steps, found.tuning)]
            minutes.append(probe_seconds(found, probe.ratio * found.of_probe, chip, cores) / 60)
            plan.append((name, where, str(batch), f"{1e3 * seconds:.1f}", *(f"{m:.1f}" for m in minutes)))
        per = f"{found.flops / 1e9:.2f} GFLOP forward and {found.kept / 1e6:.0f} MB kept for each image"
        facts.append(f"{name}: {per}; {found.weights / 1e6:.1f} MB of weights; {found.probes} probes.")
    checks = [
        (
            *(full[name] for name in ("space", "program", "chip")),
            str(few.cells),
            *_figures(expected, beside_formulas(full).counts),
        )
        for full, few, expected in foretold(rows)
    ]
    shares = sorted({batch // cores for _, cores, batch in PLACES})
    spreads = [(str(images), f"{spread(rows, images):.2f}") for images in shares]
    parts = (
        markdown(
            ("space", "where", "batch", "step, ms", "search, min", "fine-tuning, min", "probes, min"), plan
        ),
        "\n".join(facts),
        markdown(
            ("space", "step", "cells", "GFLOP: formulas", "libtpu", "GB moved: formulas", "libtpu"), basis
        ),
        markdown(_FORETOLD, checks, texts=3),
        markdown(("images of a core", "bytes of an image, beside those with 64"), spreads, texts=0),
    )
    return "\n\n".join(parts)


def _figures(expected: ProgramCost, counts: ProgramCost) -> tuple[str, ...]:
    """Format GFLOP and GB moved, the compiler's after those that were expected."""
    return (
        f"{expected.flops / 1e9:.1f}",
        f"{counts.flops / 1e9:.1f}",
        f"{expected.moved / 1e9:.2f}",
        f"{counts.moved / 1e9:.2f}",
    )


if __name__ == "__main__":
    print(tables(run.found(pathlib.Path(sys.argv[1]))))
