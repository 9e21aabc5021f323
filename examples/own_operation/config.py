"""Your own search space, with your own operation, on scikit-learn's digits.

    bin/run --config=examples/own_operation/config.py --workdir=runs/own_operation

The cells are those of DARTS with two nodes. One of the candidates is the operation of squeeze_excite.py, in
this folder. The run takes about two minutes on two CPU cores.
"""

import pathlib

from tf_darts import extend

FOLDER = pathlib.Path(__file__).parent


def get_config():
    config = extend.default_config()
    config.extensions.operations = {"squeeze_excite": f"{FOLDER / 'squeeze_excite.py'}:SqueezeExcite"}
    config.space = "custom"
    config.custom_space.nodes = 2
    config.custom_space.candidates = {
        "normal": ("skip_connect", "sep_conv_3x3", "squeeze_excite"),
        "reduce": ("max_pool_3x3", "skip_connect", "squeeze_excite"),
    }
    config.custom_space.batch_norm_after = ("max_pool_3x3",)

    config.data.source = "digits"
    config.data.test_fraction = 0.5
    config.data.limit_train = 896  # halves of 14 batches each
    config.data.crop_padding = 1
    config.data.flip = False  # a mirrored digit is no digit

    config.search.channels = 8
    config.search.cells = 3
    config.search.epochs = 40
    config.search.batch_size = 32
    config.search.alpha_learning_rate = 3e-3
    config.search.evaluate_every = 5

    config.selection.interval = 3
    config.selection.compact = False  # an event's fine-tuning is over before new functions are traced

    config.training.channels = 8
    config.training.cells = 3
    config.training.epochs = 10
    config.training.batch_size = 48
    config.training.auxiliary_weight = 0.0
    config.training.drop_path = 0.0
    config.training.cutout_length = 0
    return config
