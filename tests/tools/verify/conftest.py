"""What the tests of verification share."""

import numpy as np
import pytest

from tests.tools.verify.made import supernet_reference
from tf_darts import spaces
from tf_darts.tools import verify


@pytest.fixture(autouse=True)
def few_nudges(monkeypatch):
    """Try few nudges: six are for files whose gradients need them, and here would only take time."""
    monkeypatch.setattr(verify, "NUDGES", 1)


@pytest.fixture
def never_computed(monkeypatch):
    """Fail where something is computed: what is wrong has to be found before."""

    def fail(*arguments):
        pytest.fail("something was computed")

    monkeypatch.setattr(verify, "_compare_supernet", fail)
    monkeypatch.setattr(verify, "_compare_network", fail)


@pytest.fixture(scope="module")
def small() -> dict[str, np.ndarray]:
    return supernet_reference(spaces.get("nas_bench_201"), 2, 1, 4, probes=[("normal", 0, 3)])
