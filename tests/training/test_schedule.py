"""Learning rates by epoch."""

import numpy as np
import pytest

from tf_darts import config as config_lib
from tf_darts.errors import UserError
from tf_darts.training.schedule import learning_rate


def training(**fields):
    config = config_lib.default()
    config.training.epochs = 10
    config.training.update(fields)
    return config_lib.validate(config).training


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0.025 * (1 + np.cos(np.pi * np.arange(10) / 10)) / 2),
        ({"schedule": "linear"}, 0.025 * (1 - np.arange(10) / 10)),
        ({"schedule": "linear", "learning_rate_min": 0.005}, 0.025 - 0.02 * np.arange(10) / 10),
        ({"schedule": "exponential", "learning_rate": 0.1}, 0.1 * 0.97 ** np.arange(10)),
        ({"schedule": "exponential", "decay": 0.5}, 0.025 * 0.5 ** np.arange(10)),
        (
            {"schedule": "linear", "learning_rate": 0.5, "warmup_epochs": 5},
            0.5 * (1 - np.arange(10) / 10) * np.minimum(1, np.arange(1, 11) / 5),
        ),
    ],
)
def test_rates(fields, expected):
    found = [float(learning_rate(training(**fields), epoch)) for epoch in range(10)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"decay": 0.9},
            "training.decay is 0.9; allowed: only with training.schedule 'exponential', and training.schedule"
            " is 'cosine'",
        ),
        (
            {"schedule": "exponential", "learning_rate_min": 0.01},
            "training.learning_rate_min is 0.01; allowed: only with training.schedule 'cosine', 'linear'",
        ),
        ({"warmup_epochs": 10}, "training.warmup_epochs is 10; allowed: less than training.epochs, 10"),
        ({"schedule": "step"}, "training.schedule is 'step'; allowed: one of cosine, linear, exponential"),
    ],
)
def test_settings_that_contradict_each_other(fields, message):
    with pytest.raises(UserError, match=message):
        training(**fields)
