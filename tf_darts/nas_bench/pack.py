"""Makes the file of NAS-Bench-201's accuracies that comes with the package, from a whole table.

    python -m tf_darts.nas_bench.pack nb201.csv.gz

The table is one that bin/convert_nats_bench makes. Parameters and multiply-adds are not taken from it:
they are those of our own networks.
"""

import os
import sys

import numpy as np

from tf_darts.genotypes.genotype import from_text
from tf_darts.models import cost
from tf_darts.models.network import Network
from tf_darts.nas_bench import packaged, table_file
from tf_darts.spaces.nas_bench_201 import NAS_BENCH_201 as SPACE
from tf_darts.spaces.nas_bench_201 import OPERATIONS
from tf_darts.workdir.files import write_atomically

# The benchmark's networks: channels, cells a stage; classes and side of the images (pixels) by data set.
CHANNELS, CELLS = 16, 5
DATA = {"CIFAR-10": (10, 32), "CIFAR-100": (100, 32), "ImageNet16-120": (120, 16)}


def costs() -> np.ndarray:
    """Return parameters and multiply-adds by our own networks, as in the file: int64 [2, 3, 6].

    All edges of this space have the same width and resolution in each cell, so that an operation costs the
    same on each of them.
    """
    edges, found = len(SPACE.edges), []
    for data_set in table_file.PREFIXES:
        base, *others = (costs_of(operation, *DATA[data_set]) for operation in OPERATIONS)
        found.append([base, *((np.array(other) - base) // edges for other in (base, *others))])
    return np.array(found).transpose(2, 0, 1)


def costs_of(operation: str, classes: int, side: int) -> tuple[int, int]:
    """Return parameters and multiply-adds of the network with one operation on all edges."""
    genotype = from_text("|@~0|+|@~0|@~1|+|@~0|@~1|@~2|".replace("@", operation), SPACE)
    model = Network(SPACE, genotype, channels=CHANNELS, cells=CELLS, classes=classes)
    parameters = sum(v.shape.num_elements() for v in model.trainable_variables)
    return parameters, cost.multiply_adds(model, (side, side))


def main(path: str) -> None:
    """Read a table, and write the package's file."""
    write_atomically(packaged.PATH, packaged.pack(*table_file.read(path), costs()))
    print(f"{packaged.PATH}: {os.path.getsize(packaged.PATH):,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
