"""Every search method on a tenth of CIFAR-10: magnitude and perturbation from each supernet, three seeds.

    bin/study --config=configs/study_methods_cifar10.py --output=runs/study_methods --data_dir=CIFAR10.npz

NAS-Bench-201, smaller than configs/nas_bench_201_reduced.py: 4,000 images, 20 epochs of 31 steps. alpha's
learning rate is 63 times the paper's, as there are 63 times fewer steps. A search takes one to several
minutes of one core, by method. Nothing is trained: the table has the true accuracy.
"""

from tf_darts import config as config_lib
from tf_darts.config import files
from tf_darts.registry import METHODS
from tf_darts.study import settings


def get_config():
    config = settings.default()
    config.base = files.load("nas_bench_201_reduced")
    config.base.data.limit_train = 4_000
    config.base.search.epochs = 20
    config.base.search.alpha_learning_rate = 63 * config_lib.default().search.alpha_learning_rate
    config.base.selection.compact = False  # an event's fine-tuning is over before new functions are traced
    config.searches = {name: {"search": {"method": name}} for name in METHODS}
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
