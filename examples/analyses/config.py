"""The paper's Proposition 1, as your own analysis, which needs no searched supernet.

    bin/analyze --config=examples/analyses/config.py --workdir=runs/proposition_1 --analysis=proposition_1

proposition_1.py stands beside this file. With another config, or without --config in a work directory, this
flag adds it:

    --config.extensions.analyses="{'proposition_1': 'examples/analyses/proposition_1.py:run'}"
"""

import pathlib

from tf_darts.extend import default_config

FOLDER = pathlib.Path(__file__).parent


def get_config():
    config = default_config()
    config.extensions.analyses = {"proposition_1": f"{FOLDER / 'proposition_1.py'}:run"}
    return config
