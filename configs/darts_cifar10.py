"""The DARTS space on CIFAR-10 with the paper's settings (DARTS+PT; its table 2).

    bin/run --config=configs/darts_cifar10.py --workdir=runs/darts_cifar10 --data_dir=TFDS_DIRECTORY

Search: 16 channels, 8 cells, 50 epochs; selection: 14 edge events and 3 node events, 5 epochs of fine-tuning
between two; training: 36 channels, 20 cells, 600 epochs. The paper gives 0.8 GPU-days (GTX 1080 Ti) for
search and selection. On two CPU cores a bilevel step takes about 7 s and the search has 19,550 of them: only
for trying out.
"""

from tf_darts import config as config_lib


def get_config():
    config = config_lib.default()
    config.data.split = "order"  # the first 25,000 images fit the weights, as in the authors' release
    config.seed = 2
    return config
