"""Settings for a small folder of small images (docs/tutorial.md), where they differ from the published ones.

bin/search --config=examples/tutorial/config.py --data_dir=FOLDER --workdir=runs/tutorial
"""

from tf_darts import extend


def get_config():
    config = extend.default_config()
    config.space = "nas_bench_201"
    config.data.source = "folder"
    config.data.image_size = 8  # images are resized to this
    config.data.test_fraction = 0.3  # held out, as the folder has no test/
    config.data.crop_padding = 1
    config.data.flip = False  # a mirrored digit is no digit

    config.search.channels = 8
    config.search.cells = 1
    config.search.epochs = 60
    config.search.batch_size = 32
    config.search.alpha_learning_rate = 3e-3  # ten times the published one, as there are few steps
    config.search.evaluate_every = 5

    config.selection.interval = 3
    config.selection.compact = False  # an event's fine-tuning is over before new functions are traced

    config.training.channels = 8
    config.training.cells = 1
    config.training.epochs = 30
    config.training.batch_size = 32
    config.training.auxiliary_weight = 0.0  # the auxiliary head is for images of 32x32
    config.training.drop_path = 0.0
    config.training.cutout_length = 0
    return config
