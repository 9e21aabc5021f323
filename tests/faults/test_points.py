"""The points at which `tests.faults.kill` kills a run are functions that are there."""

import importlib
import operator

import pytest

from tests.faults import inject
from tests.faults.kill import POINTS


@pytest.mark.parametrize(("kind", "arguments"), [fault for faults in POINTS.values() for fault in faults])
def test_a_point_is_there(kind, arguments):
    assert callable(getattr(inject, kind))
    if isinstance(arguments[0], str):
        module, _, name = arguments[0].partition(":")
        assert callable(operator.attrgetter(name)(importlib.import_module(module)))
