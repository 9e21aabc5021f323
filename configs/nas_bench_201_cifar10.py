"""NAS-Bench-201 on CIFAR-10 with the paper's settings (its table 4).

    bin/run --config=configs/nas_bench_201_cifar10.py --workdir=runs/nb201 --data_dir=TFDS_DIRECTORY

Search: 16 channels, 5 cells a stage, 100 epochs; selection: 6 edge events, 25 epochs of fine-tuning; then
the benchmark's own training (16 channels, 5 cells a stage, 200 epochs at batch 256) in place of a look-up.
On a CPU with two cores a bilevel step takes one to two seconds and an epoch has 391, so the whole is for
an accelerator; a smaller one that ends in about twenty minutes:

    bin/run --config=configs/nas_bench_201_cifar10_small.py --workdir=runs/small --data_dir=TFDS_DIRECTORY
"""

from tf_darts import config as config_lib


def get_config():
    config = config_lib.default()
    config.space = "nas_bench_201"
    config.seed = 0
    config.data.split = "order"
    config.search.cells = 5
    config.search.epochs = 100

    # NAS-Bench-201's training (Dong and Yang, 2020, section 2.2), with this project's momentum SGD.
    config.training.channels = 16
    config.training.cells = 5
    config.training.epochs = 200
    config.training.batch_size = 256
    config.training.learning_rate = 0.1
    config.training.weight_decay = 5e-4
    config.training.clip_norm = 0.0
    config.training.auxiliary_weight = 0.0
    config.training.drop_path = 0.0
    config.training.cutout_length = 0
    return config
