"""The recipe that we recommend in NAS-Bench-201: SDARTS-RS, probed once, in two supernets together.

    bin/run --config=configs/recommended.py --workdir=runs/recommended --data_dir=CIFAR10.npz

All of CIFAR-10 at half its resolution, 12 epochs for each of the two supernets: half an hour of one core for
search and selection (bin/search, bin/select), before the network is trained. It differs from the paper's
DARTS+PT in three ways. Alpha is perturbed at random in every step (SDARTS-RS), which keeps a supernet from
leaning on one operation of an edge. All edges are decided from one set of probes of the searched supernet,
without fine-tuning. And the probes of two supernets, searched with different seeds, count together: which of
two operations took over an edge's work is chance in one supernet, and seldom the same chance in two. How it
was chosen, and what it reaches on seeds that had no part in that: docs/results.md,
configs/study_recommended.py. In four minutes: configs/recommended_small.py.
"""

from tf_darts import config as config_lib
from tf_darts.config import files


def get_config():
    config = files.load("nas_bench_201_reduced")
    config.data.limit_train = 0  # all
    config.search.method = "sdarts_rs"
    config.search.epochs = 12
    # There are 8.3 times fewer steps than the paper has.
    config.search.alpha_learning_rate = 8.5 * config_lib.default().search.alpha_learning_rate
    config.selection.method = "perturbation"
    config.selection.one_shot = True
    config.selection.supernets = 2
    return config
