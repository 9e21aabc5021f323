"""The recipe that we recommend in NAS-Bench-201: SDARTS-RS, probed once, in two supernets together.

    bin/run --config=configs/recommended.py --workdir=runs/recommended --data_dir=CIFAR10.npz

Cost: half an hour of one CPU core for search and selection, before the network is trained.
Result, five seeds: a cell with a true accuracy of 94.36 % on each; the best of the space has 94.37 %
(docs/results.md). These seeds had no part in the choice of the recipe.

It sees all of CIFAR-10 at half its resolution, for 12 epochs in each of the two supernets. It differs from
the paper's DARTS+PT in three ways:

- Alpha is perturbed at random in every step (SDARTS-RS). This keeps a supernet from leaning on one
  operation of an edge.
- All edges are decided from one set of probes of the searched supernet, without fine-tuning.
- The probes of two supernets, searched with different seeds, count together. In one supernet it is chance
  which of two operations took over an edge's work. In two it is seldom the same chance.

configs/study_recommended.py compares it with the paper's settings. For minutes:
configs/recommended_small.py.
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
