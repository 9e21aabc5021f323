"""Analyses without what their tests do not look at."""

import pytest

from tf_darts.analysis import measures


@pytest.fixture(scope="module")
def few_resamples():
    """Take confidence intervals of few resamples; test_measures.py is about them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "RESAMPLES", 20)
        yield
