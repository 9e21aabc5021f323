"""A benchmark of DARTS-Bench-Suite, by its name: a supernet and a set of operations, on CIFAR-10.

    bin/run --config=configs/darts_bench_suite.py --workdir=runs/wide --data_dir=CIFAR10.npz
    bin/run --config=configs/darts_bench_suite.py:deep_no_skip --workdir=runs/deep --data_dir=CIFAR10.npz

Cost: hours of an accelerator, with one training; configs/study_darts_bench_suite.py has nine.
Result: none of the 9 benchmarks was run here at full size.

A name is SUPERNET_OPERATIONS (Jha et al., AutoML 2025):

- wide: 18 channels, 4 cells. deep: 7 channels, 18 cells. single_cell: 26 channels, one cell of 8 nodes.
- regular: the operations of DARTS, `none` too. no_skip: these without the skip connection. all_skip: each
  has a skip connection beside it.

The search sees the first half of the training images, halved again for weights and alpha. The network is
trained on the second half, at the supernet's size. docs/studies.md says what differs from the authors' code.
"""

from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.spaces.darts import DARTS_WITH_NONE, OPERATIONS, POOLS

# Channels, cells, nodes of a cell, and images in a batch of the search.
SUPERNETS = {"wide": (18, 4, 4, 96), "deep": (7, 18, 4, 64), "single_cell": (26, 1, 8, 96)}
REGULAR, NO_SKIP, ALL_SKIP = "regular", "no_skip", "all_skip"
NAMES = tuple(f"{supernet}_{kind}" for supernet in SUPERNETS for kind in (REGULAR, NO_SKIP, ALL_SKIP))
MODULE = "tf_darts.layers.with_skip"
WITH_SKIP = (
    *("max_pool_3x3_with_skip", "avg_pool_3x3_with_skip", "skip_connect_with_skip"),
    *("sep_conv_3x3_with_skip", "sep_conv_5x5_with_skip", "dil_conv_3x3_with_skip", "dil_conv_5x5_with_skip"),
)


def get_config(name="wide_regular"):
    if name not in NAMES:
        raise UserError(f"{name!r} is no benchmark; allowed: {', '.join(NAMES)}")
    supernet = next(s for s in SUPERNETS if name.startswith(f"{s}_"))
    channels, cells, nodes, batch = SUPERNETS[supernet]
    config = config_lib.default()
    config.data.source = "npz"
    config.data.split = "order"
    config.data.training_only = 0.5
    config.search.channels = config.training.channels = channels
    config.search.cells = config.training.cells = cells
    config.search.epochs = 100
    config.search.batch_size = batch
    config.training.epochs = 300
    config.training.batch_size = 512
    config.training.auxiliary_weight = 0.0
    config.training.drop_path = 0.3
    kind = name.removeprefix(f"{supernet}_")
    if (kind, nodes) == (REGULAR, 4):
        config.space = DARTS_WITH_NONE.name
        return config
    config.space = "custom"
    config.custom_space.nodes = nodes
    config.custom_space.output_nodes = tuple(range(nodes - 2, nodes + 2))  # the last four
    if kind == ALL_SKIP:
        names = WITH_SKIP
        config.extensions.operations = {name: f"{MODULE}:{name}" for name in names}
    else:
        left_out = "skip_connect" if kind == NO_SKIP else ""
        names = ("none", *(operation for operation in OPERATIONS if operation != left_out))
        config.custom_space.batch_norm_after = tuple(sorted(POOLS))
    config.custom_space.candidates = names
    return config
