"""A small study: two searches, three selections, two seeds."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
from configs import quickstart
from tf_darts.study import settings

def get_config():
    config = settings.default()
    config.base = quickstart.get_config()
    config.base.data.limit_train, config.base.data.limit_test = 32, 16
    config.base.search.channels, config.base.search.epochs, config.base.search.batch_size = 2, 1, 8
    config.base.training.channels, config.base.training.epochs = 2, 1
    config.base.training.batch_size = 16
    config.base.runtime.tensorboard = False
    config.searches = {"darts": {}, "fixed": {"search": {"method": "fixed_alpha", "evaluate_every": 1}}}
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "by_loss": {"method": "perturbation", "criterion": "loss", "one_shot": True, "probe_images": 8},
        "random": {"method": "random"},
    }
    config.seeds = (0, 1)
    config.jobs = 2
    return config
"""


def small():
    """Return the study's config."""
    scope = {}
    exec(CONFIG, scope)
    return scope["get_config"]()
