"""NAS-Bench-201 on part of CIFAR-10 at a reduced size, for two CPU cores.

    bin/run --config=configs/nas_bench_201_cifar10_small.py --workdir=runs/small --data_dir=TFDS_DIRECTORY

Cost: about twenty minutes on two CPU cores.
Result, seed 0: both networks reach a test accuracy of 71 %. The cell that perturbation selects has a true
accuracy of 93.46 %, that of magnitude 91.79 % (docs/results.md).

It is the paper's algorithm with 8 channels, one cell a stage, 8,000 training images and fewer epochs.
"""

from tf_darts import paper


def get_config():
    config = paper.settings("nas_bench_201", "cifar10")
    config.data.limit_train = 8000
    config.data.limit_test = 2000
    config.search.channels = 8
    config.search.cells = 1
    config.search.epochs = 30
    config.selection.interval = 2
    config.training.channels = 8
    config.training.cells = 1
    config.training.epochs = 30
    config.training.batch_size = 128
    return config
