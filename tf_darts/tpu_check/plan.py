"""A plan on paper: how long a search would take on TPUs at least, from what its steps compute and move.

python -m tf_darts.tpu_check.plan prints the table of docs/scaling.md.
"""

import dataclasses

from tf_darts import config as config_lib
from tf_darts import cost, memory, spaces
from tf_darts.selection import schedule
from tf_darts.supernet import Supernet
from tf_darts.tpu_check.cases import CHIPS, IMAGES, PUBLISHED, Chip

BATCH, PIXELS = 64, (32, 32, 3)
CHIP_COUNTS = {"one v4 chip": 1, "v4-8": 4, "v4-32": 16, "v4-512": 256}
# A tensor that is kept for gradients is written and read, and so is its gradient.
MOVES_OF_PASS, MOVES_FORWARD = 4, 2
LINKS = 300e9  # of a v4 chip to its neighbours, bytes per second, all together
LATENCY = 30e-6  # of a call and of an all-reduce, seconds: a guess, which bounds how small a share may be


@dataclasses.dataclass(frozen=True)
class Work:
    """What a space's search is made of, by image where not said otherwise.

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


def work(space_name: str) -> Work:
    """The published search and selection in a space."""
    config = config_lib.default()
    sizes = PUBLISHED[space_name]
    space, channels, cells = spaces.get(space_name), sizes["search.channels"], sizes["search.cells"]
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
    return Work(
        2.0 * cost.multiply_adds(supernet, PIXELS),
        two - one,
        weights,
        config.search.epochs * per_epoch,
        epochs * per_epoch,
        probes,
    )


def step_seconds(found: Work, chip: Chip, chips: int, batch: int, bytes_of: float) -> float:
    """The least that a bilevel step takes.

    Args:
      found: the work.
      chip: its kind of core.
      chips: of that kind that share the batch.
      batch: global batch, images.
      bytes_of: 1 for float32 activations, 0.5 for bfloat16.
    """
    share = batch / (2 * chips)  # a chip has two cores
    compute = share * cost.BILEVEL_STEP * found.flops / chip.flops
    moved = share * 2 * MOVES_OF_PASS * found.kept * bytes_of / chip.bandwidth
    summed = 0.0 if chips == 1 else 2 * found.weights / LINKS
    return max(compute, moved) + summed + LATENCY


def probe_seconds(found: Work, chip: Chip, chips: int, bytes_of: float) -> float:
    """The least that all probes take: whole batches, a different one on each core."""
    batches = -(-IMAGES // 2 // BATCH)
    rounds = -(-batches // (2 * chips))
    one = max(
        BATCH * found.flops / chip.flops, BATCH * MOVES_FORWARD * found.kept * bytes_of / chip.bandwidth
    )
    return found.probes * rounds * one


def table() -> list[str]:
    """Lines of a table in Markdown."""
    lines = [
        "| space | where | activations | batch | step, ms | search, min | fine-tuning, min | probes, min |",
        "|---|---|---|---|---|---|---|---|",
    ]
    chip, facts = CHIPS["v4"], []
    for name in PUBLISHED:
        found = work(name)
        for precision, bytes_of in (("float32", 1.0), ("bfloat16", 0.5)):
            for where, chips in CHIP_COUNTS.items():
                if chips > BATCH // 2:
                    continue  # less than an image for a core: see the text
                step = step_seconds(found, chip, chips, BATCH, bytes_of)
                minutes = [t / 60 for t in (found.steps * step, found.tuning * step)]
                minutes.append(probe_seconds(found, chip, chips, bytes_of) / 60)
                cells = [name, where, precision, str(BATCH), f"{1e3 * step:.1f}"]
                lines.append(f"| {' | '.join([*cells, *(f'{m:.1f}' for m in minutes)])} |")
        per = f"{found.flops / 1e9:.2f} GFLOP forward and {found.kept / 1e6:.0f} MB kept for each image"
        facts.append(f"{name}: {per}; {found.weights / 1e6:.1f} MB of weights; {found.probes} probes.")
    return [*lines, "", *facts]


if __name__ == "__main__":
    print("\n".join(table()))
