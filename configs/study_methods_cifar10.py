"""Search methods on a tenth of CIFAR-10: magnitude and perturbation from each supernet, three seeds.

    bin/study --config=configs/study_methods_cifar10.py --output=runs/study_methods --data_dir=CIFAR10.npz

Cost: 2.6 hours of one CPU core in all. Two jobs run at a time.
Result: perturbation is better in 22 of 27 pairs of a method and a seed, by 6.17 points of true accuracy on
average (docs/results.md).

Methods that came to this package later are in configs/study_leaderboard.py. The scale is
smaller than that of configs/nas_bench_201_reduced.py: 4,000 images, 20 epochs of 31 steps. That is 63 times
fewer steps than the paper has, so alpha's learning rate is 63 times the paper's. Nothing is trained: the
table has the true accuracy.
"""

from tf_darts import config as config_lib
from tf_darts.config import files
from tf_darts.registry import LATER_METHODS, METHODS
from tf_darts.study import settings


def get_config():
    config = settings.default()
    config.base = files.load("nas_bench_201_reduced")
    config.base.data.limit_train = 4_000
    config.base.search.epochs = 20
    config.base.search.alpha_learning_rate = 63 * config_lib.default().search.alpha_learning_rate
    config.base.selection.compact = False  # an event's fine-tuning is over before new functions are traced
    config.searches = {name: {"search": {"method": name}} for name in METHODS if name not in LATER_METHODS}
    # SGAS decides after epochs 10, 15, ... of 50; here after 5, 8, ... of 20. As published by magnitude, or,
    # sgas_pt, by perturbation.
    schedule = {"warmup_epochs": 4, "interval": 3}
    config.searches["sgas"]["sgas"] = schedule
    config.searches["sgas_pt"] = {"search": {"method": "sgas"}, "sgas": schedule | {"decision": "accuracy"}}
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "perturbation": {"method": "perturbation"},
    }
    config.seeds = (0, 1, 2)
    config.jobs = 2
    return config
