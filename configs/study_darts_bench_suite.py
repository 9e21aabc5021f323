"""DARTS-Bench-Suite with its protocol: nine benchmarks, three seeds, nine trainings of what is selected.

    bin/study --config=configs/study_darts_bench_suite.py --output=runs/suite --data_dir=CIFAR10.npz

Cost: 27 searches and 486 trainings, each of hours of an accelerator.
Result: none of the 9 benchmarks was run here at full size.

Every benchmark of configs/darts_bench_suite.py is a search. What magnitude and perturbation select is trained
with three learning rates by three weight decays, on images that the search did not see. `results.csv` has the
test accuracy of each training, their mean and the best of them. The leaderboard has mean and best.

The search method is DARTS; --config.base.search.method=oles is another. Some benchmarks alone are
configs/study_darts_bench_suite.py:deep_no_skip,deep_regular. The authors train the genotype of one
seed of three, that of the lowest validation loss. Here each is trained.
"""

from tf_darts.config import files
from tf_darts.study import settings

NAME = "darts_bench_suite"
BENCHMARKS = tuple(
    f"{supernet}_{operations}"
    for supernet in ("wide", "deep", "single_cell")
    for operations in ("regular", "no_skip", "all_skip")
)
LEARNING_RATES = (0.025, 0.1, 0.01)
WEIGHT_DECAYS = (1e-4, 3e-4, 1e-3)


def get_config(benchmarks=""):
    config = settings.default()
    config.base = files.load(NAME)
    base = config.base.to_dict()
    for name in benchmarks.split(",") if benchmarks else BENCHMARKS:
        # What is another than in the base: a flag --config.base.FIELD holds for all.
        whole = files.load(NAME, name).to_dict()
        config.searches[name] = {"space": whole["space"]} | {
            section: {field: value for field, value in fields.items() if value != base[section][field]}
            for section, fields in whole.items()
            if isinstance(fields, dict) and fields != base[section]
        }
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "perturbation": {"method": "perturbation"},
    }
    config.trains = ("magnitude", "perturbation")
    config.trainings = {
        f"lr{1000 * rate:g}e-3_wd{10_000 * decay:g}e-4": {"learning_rate": rate, "weight_decay": decay}
        for rate in LEARNING_RATES
        for decay in WEIGHT_DECAYS
    }
    config.seeds = (0, 1, 2)
    return config
