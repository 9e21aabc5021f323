"""The DARTS space on CIFAR-10 with alpha never trained (the paper's "fix alpha"; its table 4).

    bin/run --config=configs/darts_cifar10_fixed_alpha.py --workdir=runs/fixed --data_dir=TFDS_DIRECTORY

Costs a little less than configs/darts_cifar10.py: no alpha steps, and selection by perturbation only.
"""

from configs import darts_cifar10


def get_config():
    config = darts_cifar10.get_config()
    config.search.method = "fixed_alpha"
    return config
