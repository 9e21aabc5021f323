"""NAS-Bench-201 on CIFAR-10 at the scale of the study: the paper's algorithm, smaller network and images.

    bin/run --config=configs/nas_bench_201_reduced.py --workdir=runs/reduced --data_dir=CIFAR10.npz

8 channels, one cell a stage, 16,000 training images averaged down to 16x16; 40 epochs of 125 steps.
"""

from configs import nas_bench_201_cifar10


def get_config():
    config = nas_bench_201_cifar10.get_config()
    config.data.source = "npz"
    config.data.downscale = 2
    config.data.limit_train = 16_000
    config.data.crop_padding = 2  # half of what 32x32 images get
    config.search.channels = 8
    config.search.cells = 1
    config.search.epochs = 40
    config.search.evaluate_every = 5
    config.training.channels = 8
    config.training.cells = 1
    config.training.epochs = 30
    config.training.batch_size = 128
    return config
