"""Searches since DARTS-PT and selections since DARTS-PT, each with each, in NAS-Bench-201 on CIFAR-10.

    bin/study --config=configs/study_leaderboard.py --output=runs/leaderboard --data_dir=CIFAR10.npz

Cost: 85 searches, of three minutes each (small: 4,000 images), or of ten minutes or more (16,000).
Result: the best three are one-shot probes, after beta-DARTS with running statistics and after alpha that is
never trained: 93.6 to 93.7 % (docs/results.md).

With configs/study_leaderboard.py:small the scale is that of configs/study_methods_cifar10.py, otherwise that
of configs/nas_bench_201_reduced.py. Two jobs run at a time.

The questions: does a better search make the selection unimportant? Is one backward pass as good as all
probes? A search here has fewer steps than published, and alpha's learning rate is larger by the same factor.

- `one_shot` decides all edges by probes of the searched supernet; `first_order` by one backward pass.
- `one_shot_running` and `one_shot_recalibrated` normalise probes by other statistics than those of the batch.
- `zero_cost_pt` looks at no searched supernet, so it is made once, for `darts`.
- `threshold` is FairDARTS's own.

SGAS decides during its search and is left out. So is second-order DARTS, for its cost.
"""

from tf_darts import config as config_lib
from tf_darts.config import files
from tf_darts.study import settings

SEARCHES = (
    *("darts", "fixed_alpha", "random_sharing", "sdarts_rs", "sdarts_adv", "gdas", "pc_darts", "drnas"),
    *("drnas_progressive", "beta_darts", "darts_minus", "fair_darts", "oles", "lambda_darts", "snas"),
    *("reinmax", "shapley"),
)
# Searches after which probes are made with other statistics of the batch norms, too.
STATISTICS = ("darts", "fixed_alpha", "sdarts_rs", "drnas", "beta_darts")
FEWER_STEPS = {"small": 63, "reduced": 8}  # than published
FAIR_LEARNING_RATE = 3e-3  # alpha's, ten times that of the others


def get_config(scale="reduced"):
    config = settings.default()
    config.base = files.load("nas_bench_201_reduced")
    if scale == "small":
        config.base.data.limit_train = 4_000
        config.base.search.epochs = 20
        config.base.selection.compact = False  # tracing anew takes longer
    factor = FEWER_STEPS[scale]
    config.base.search.alpha_learning_rate = factor * config_lib.default().search.alpha_learning_rate
    config.searches = {name: {"search": {"method": name}} for name in SEARCHES}
    config.searches["fair_darts"]["search"]["alpha_learning_rate"] = factor * FAIR_LEARNING_RATE
    config.searches["drnas_progressive"]["search"]["epochs"] = config.base.search.epochs // 2  # two stages
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "perturbation": {"method": "perturbation"},
        "one_shot": {"method": "perturbation", "one_shot": True},
        "one_shot_running": {"method": "perturbation", "one_shot": True, "probe_statistics": "running"},
        "one_shot_recalibrated": {
            "method": "perturbation",
            "one_shot": True,
            "probe_statistics": "recalibrated",
        },
        "first_order": {"method": "perturbation", "one_shot": True, "criterion": "first_order"},
        "shapley": {"method": "shapley", "probe_batch_size": 1024},
        "zero_cost_pt": {"method": "zero_cost_pt", "probe_batch_size": 256},
        "threshold": {"method": "magnitude", "threshold": 0.85},
    }
    config.only_for = {
        "zero_cost_pt": ("darts",),
        "threshold": ("fair_darts",),
        "one_shot_running": STATISTICS,
        "one_shot_recalibrated": STATISTICS,
    }
    config.baseline = "perturbation"  # the one that all searches have
    config.analyses = ("perturbation",)  # alpha and removal beside the true strength of operations
    config.seeds = (0, 1, 2, 3, 4)
    config.jobs = 2
    return config
