"""Fixtures of whole runs on own images."""

import pytest

from tests.search import tiny
from tf_darts.export import latency
from tf_darts.models.latency_table import LatencyTable
from tf_darts.runtime import strategy


@pytest.fixture(scope="module")
def short_runs():
    """The strategy of a machine with one device (the tests have two), networks of one stage, no timing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strategy, "start", lambda runtime, guest=False: tiny.one_device())
        patch.setattr(latency, "measure", lambda parts, threads=1: LatencyTable(dict.fromkeys(parts, 0.01)))
        patch.setattr(latency, "scaled", lambda table, *_: table)
        tiny.one_stage(patch)
        yield
