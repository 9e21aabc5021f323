"""NAS-Bench-201 on CIFAR-10 at the scale of the study: the paper's algorithm, smaller network and images.

    bin/run --config=configs/nas_bench_201_reduced.py --workdir=runs/reduced --data_dir=CIFAR10.npz

Cost: 10 to 15 minutes of one CPU core for search and selection, before the networks are trained.
Result, five seeds: the cells that perturbation selects have a true accuracy of 91.56 % on average, those of
magnitude 69.38 % (docs/results.md).

The network has 8 channels and one cell a stage. The 16,000 training images are averaged down to 16x16.
There are 40 epochs of 125 steps; the paper has 100 of 391. That is 8 times fewer steps, so alpha's learning
rate is 8 times the paper's: alpha gets as far. Fine-tuning takes the same share of the search, two epochs
between decisions.
"""

from tf_darts import paper


def get_config():
    config = paper.settings("nas_bench_201", "cifar10")
    config.data.source = "npz"
    config.data.downscale = 2
    config.data.limit_train = 16_000
    config.data.crop_padding = 2  # half of what 32x32 images get
    config.search.channels = 8
    config.search.cells = 1
    config.search.epochs = 40
    config.search.alpha_learning_rate *= 8
    config.search.evaluate_every = 5
    config.selection.interval = 2
    config.training.channels = 8
    config.training.cells = 1
    config.training.epochs = 30
    config.training.batch_size = 128
    return config
