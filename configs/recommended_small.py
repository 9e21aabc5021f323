"""A recipe for minutes in NAS-Bench-201: alpha is never trained, removal is judged by the loss.

    bin/run --config=configs/recommended_small.py --workdir=runs/recommended_small --data_dir=CIFAR10.npz

8,000 images of CIFAR-10 at half its resolution, 20 epochs: four minutes of one core for search and selection
(bin/search, bin/select), before the network is trained. It differs from the paper's DARTS+PT (fixed alpha) in
what a probe measures: the mean loss instead of the count of correct images, which turns on the few images
that a removal pushes over a boundary. Where there is half an hour, configs/recommended.py selects better. How
it was chosen, and what it reaches on seeds that had no part in that: docs/results.md,
configs/study_recommended_small.py.
"""

from tf_darts.config import files


def get_config():
    config = files.load("nas_bench_201_reduced")
    config.data.limit_train = 8_000
    config.search.method = "fixed_alpha"
    config.search.epochs = 20
    config.selection.method = "perturbation"
    config.selection.criterion = "loss"
    config.selection.compact = False  # an event's fine-tuning is over before new functions are traced
    return config
