"""Spaces S2 and S4 on CIFAR-10, reduced: magnitude and perturbation, both trained, five seeds.

    bin/study --config=configs/study_s2_s4.py --output=runs/study_s2_s4 --data_dir=CIFAR10.npz

Cost: 6 hours of one CPU core with AVX-512 in all, twice as many without. Two jobs run at a time.
Result: perturbation is better on nine of ten seeds: in S2 by 2.8 points of test accuracy on average, in S4
by 5.9 (docs/results.md).

Here DARTS fails most visibly: S2 offers a skip connection beside a separable convolution on every edge, S4
noise beside it. The supernet has 8 channels and 5 cells. The 6,000 training images are averaged down to
16x16. There are 30 epochs of 47 steps; the paper has 50 of 391. That is 14 times fewer steps, so alpha's
learning rate is 14 times the paper's. What is selected is trained from scratch on the same images, as long
for each.
"""

from tf_darts import paper
from tf_darts.study import settings


def get_config():
    config = settings.default()
    base = config.base = paper.settings("s2", "cifar10")
    base.data.source = "npz"
    base.data.downscale = 2
    base.data.limit_train = 6_000
    base.data.crop_padding = 2  # half of what 32x32 images get
    base.search.channels = 8
    base.search.cells = 5
    base.search.epochs = 30
    base.search.alpha_learning_rate *= 14
    base.search.evaluate_every = 10
    base.selection.interval = 1
    base.training.channels = 8
    base.training.cells = 8
    base.training.epochs = 40
    base.training.auxiliary_weight = 0.0  # its head needs 32x32 images
    base.training.drop_path = 0.0  # for 600 epochs, not for 40
    base.training.cutout_length = 8
    config.searches = {name: {"space": name} for name in ("s2", "s4")}
    config.selections = {name: {"method": name} for name in ("magnitude", "perturbation")}
    config.trains = ("magnitude", "perturbation")
    config.seeds = (0, 1, 2, 3, 4)
    config.jobs = 2
    return config
