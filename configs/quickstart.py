"""Search, selection and training on scikit-learn's digits: the whole way in a few minutes.

    bin/quickstart
or, once the environment is there,
    bin/run --config=configs/quickstart.py --workdir=runs/quickstart

1,437 training and 360 test images of 8x8 pixels; a NAS-Bench-201 supernet of 8 channels and one cell a
stage.
"""

from tf_darts import config as config_lib


def get_config():
    config = config_lib.default()
    config.space = "nas_bench_201"
    config.data.source = "digits"
    config.data.crop_padding = 1
    config.data.flip = False  # a mirrored digit is no digit

    config.search.channels = 8
    config.search.cells = 1
    config.search.epochs = 40
    config.search.batch_size = 32

    config.selection.interval = 3

    config.training.channels = 8
    config.training.cells = 1
    config.training.epochs = 40
    config.training.batch_size = 48
    config.training.auxiliary_weight = 0.0
    config.training.drop_path = 0.0
    config.training.cutout_length = 0
    return config
