"""Search methods on scikit-learn's digits: magnitude and perturbation from each supernet, three seeds.

    bin/study --config=configs/study_digits.py --output=runs/study_digits

Cost: 2.3 hours of one CPU core in all. Two jobs run at a time.
Result: perturbation is better in 22 of 27 pairs of a method and a seed, by 3.00 points of true accuracy on
average (docs/results.md).

Methods that came to this package later are in configs/study_leaderboard.py. The scale is that of
configs/quickstart.py, and selected networks are trained as there. SGAS decides during the search: by
magnitude, as published (sgas), or by perturbation (sgas_pt). For two methods, leave the others out of
`searches`.
"""

from tf_darts.config import files
from tf_darts.registry import LATER_METHODS, METHODS
from tf_darts.study import settings


def get_config():
    config = settings.default()
    config.base = files.load("quickstart")
    config.searches = {name: {"search": {"method": name}} for name in METHODS if name not in LATER_METHODS}
    config.searches["sgas_pt"] = {"search": {"method": "sgas"}, "sgas": {"decision": "accuracy"}}
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "perturbation": {"method": "perturbation"},
    }
    config.trains = ("magnitude", "perturbation")
    config.seeds = (0, 1, 2)
    config.jobs = 2
    return config
