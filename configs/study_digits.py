"""Every search method on scikit-learn's digits: magnitude and perturbation from each supernet, three seeds.

SGAS decides during the search: as published by magnitude (sgas), or by perturbation (sgas_pt).

    bin/study --config=configs/study_digits.py --output=runs/study_digits

The scale of configs/quickstart.py; selected networks are trained as there. Hours on two CPU cores; for two
methods, leave the others out of `searches`.
"""

from tf_darts.config import files
from tf_darts.registry import METHODS
from tf_darts.study import settings


def get_config():
    config = settings.default()
    config.base = files.load("quickstart")
    config.searches = {name: {"search": {"method": name}} for name in METHODS}
    config.searches["sgas_pt"] = {"search": {"method": "sgas"}, "sgas": {"decision": "accuracy"}}
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "perturbation": {"method": "perturbation"},
    }
    config.trains = ("magnitude", "perturbation")
    config.seeds = (0, 1, 2)
    config.jobs = 2
    return config
