"""NAS-Bench-201 on CIFAR-10, reduced: magnitude and perturbation as the search goes on, five seeds.

    bin/study --config=configs/study_search_epochs.py --output=runs/study_epochs --data_dir=CIFAR10.npz

Cost: 2.5 hours of one CPU core for searches and selections. Two jobs run at a time.
Result: from 10 to 40 epochs magnitude falls from 90.36 to 69.38 % of true accuracy, perturbation from 93.57
to 91.56 %, on average (docs/results.md).

The search is that of configs/study_nas_bench_201.py, ended after a quarter, a half and all of its 40
epochs: does perturbation hold where magnitude collapses?
"""

from tf_darts.config import files
from tf_darts.study import settings


def get_config():
    config = settings.default()
    config.base = files.load("nas_bench_201_reduced")
    config.searches = {f"after_{n}": {"search": {"stop_after": n}} for n in (10, 20, 40)}
    config.selections = {name: {"method": name} for name in ("magnitude", "perturbation")}
    config.seeds = (0, 1, 2, 3, 4)
    config.jobs = 2
    return config
