"""PC-DARTS' search on ImageNet itself: 10 % of the images fit the weights, another 2.5 % fit alpha.

    bin/search --config=configs/pc_darts_imagenet.py --workdir=runs/pc_darts_imagenet --data_dir=IMAGENET
    bin/select --config=configs/pc_darts_imagenet.py --workdir=runs/pc_darts_imagenet --data_dir=IMAGENET
    bin/train --config=configs/pc_darts_imagenet.py --workdir=runs/pc_darts_imagenet --data_dir=IMAGENET \
        --config.data.share=1

Cost: 11.5 hours on eight V100 for the search, as the authors report (3.8 GPU-days); we have not run it.
Result, of the authors: a network of 5.3 million parameters with a top-1 error of 24.2 %.

IMAGENET is a folder with train/CLASS/ and val/CLASS/. The settings are those of Xu et al., PC-DARTS (ICLR
2020), section 4.3. Alpha is fitted from epoch 36 of 50 on, by half of the channels of each edge. Images of
224x224 come through a stem that leaves 28x28.

The authors' code raises the learning rate over its first five epochs, clips alpha's gradient and has a weight
decay of 3e-4; the paper, and this config, do not. Every class has its share of both parts.
"""

from tf_darts import config as config_lib


def get_config():
    config = config_lib.default()
    config.data.source = "folder"
    config.data.test_split = "val"
    config.data.stream = True
    config.data.image_size = 224
    config.data.crop_padding = 0
    config.data.color_jitter = 0.0
    config.data.hue_jitter = 0.0
    config.data.share = 0.125
    config.data.train_fraction = 0.8  # 10 % and 2.5 % of all
    config.data.split = "class"

    config.search.method = "pc_darts"
    config.pc_darts.partial_channels = 2
    config.search.stem = "imagenet"
    config.search.epochs = 50
    config.search.alpha_warmup_epochs = 35
    config.search.batch_size = 1024
    config.search.learning_rate = 0.5
    config.search.learning_rate_min = 0.0
    config.search.weight_decay = 3e-5
    config.search.alpha_learning_rate = 6e-3
    config.search.evaluate_every = 0  # a pass over 50,000 test images takes longer than an epoch
    config.selection.method = "magnitude"

    config.training.stem = "imagenet"
    config.training.channels = 48
    config.training.cells = 14
    config.training.epochs = 250
    config.training.batch_size = 1024
    config.training.learning_rate = 0.5
    config.training.schedule = "linear"
    config.training.warmup_epochs = 5
    config.training.weight_decay = 3e-5
    config.training.drop_path = 0.0
    config.training.cutout_length = 0
    config.training.label_smoothing = 0.1
    return config
