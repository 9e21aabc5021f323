"""Does the operation help? The search of config.py with it and without it, three seeds.

    bin/study --config=examples/own_operation/study.py --output=runs/own_study

The study trains every selected network from scratch. It compares each, seed by seed, with the network that
perturbation selects without the operation. It takes about twenty minutes on two CPU cores.
"""

import pathlib
import runpy

from tf_darts import extend

FOLDER = pathlib.Path(__file__).parent
OWN = "squeeze_excite"


def get_config():
    config = extend.default_study()
    config.base = runpy.run_path(str(FOLDER / "config.py"))["get_config"]()
    candidates = config.base.custom_space.candidates
    others = {t: tuple(name for name in names if name != OWN) for t, names in candidates.items()}
    config.searches = {"with": {}, "without": {"custom_space": {"candidates": others}}}
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "perturbation": {"method": "perturbation"},
    }
    config.trains = ("magnitude", "perturbation")
    config.baseline = "without/perturbation"
    config.seeds = (0, 1, 2)
    config.jobs = 2
    return config
