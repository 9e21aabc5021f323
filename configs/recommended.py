"""The recipe that we recommend in NAS-Bench-201: alpha is never trained, removal is judged by the loss.

    bin/search --config=configs/recommended.py --workdir=runs/recommended --data_dir=CIFAR10.npz
    bin/select --workdir=runs/recommended

A tenth of CIFAR-10 at half its resolution, three minutes of one core. It differs from the paper's settings
at this scale (fixed alpha, accuracy on augmented images) in what probes measure: the mean loss, which a
removal changes more evenly than the count of correct images, on images as they are. How it was chosen, and
what it reaches on seeds that had no part in that: docs/results.md, configs/study_recommended.py.
"""

from tf_darts import config_files


def get_config():
    config = config_files.load("nas_bench_201_reduced")
    config.data.limit_train = 4_000
    config.search.method = "fixed_alpha"
    config.search.epochs = 20
    config.selection.method = "perturbation"
    config.selection.criterion = "loss"
    config.selection.augment_probes = False
    config.selection.compact = False  # an event's fine-tuning is over before new functions are traced
    return config
