"""A search in seconds: one cell of three edges, two operations, on a few of scikit-learn's digits."""

from tf_darts import config as config_lib


def get_config():
    config = config_lib.default()
    config.space = "custom"
    config.custom_space.stacking = "nas_bench_201"
    config.custom_space.nodes = 2
    config.custom_space.candidates = ("skip_connect", "nor_conv_1x1")
    config.custom_space.kept_edges = 0
    config.data.source = "digits"
    config.data.limit_train, config.data.limit_test = 64, 20
    config.data.crop_padding, config.data.flip = 1, False
    config.search.channels, config.search.cells = 2, 1
    config.search.epochs, config.search.batch_size = 3, 8
    config.search.alpha_learning_rate = 0.1
    config.selection.interval = 1
    config.training.channels, config.training.cells = 4, 1
    config.training.epochs, config.training.batch_size = 2, 8
    # At the usual rate rounding can grow a thousandfold within a few steps of so few images: on one processor
    # it did, on another it did not.
    config.training.learning_rate = 0.002
    config.training.auxiliary_weight = 0.0
    config.training.drop_path = 0.0
    config.training.cutout_length = 0
    config.runtime.steps_per_call = 2
    config.runtime.sync_batch_norm = True
    config.runtime.tensorboard = False
    return config
