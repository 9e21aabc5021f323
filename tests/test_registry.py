"""Things by name, loaded when they are asked for."""

import pytest

from tf_darts.errors import UserError
from tf_darts.registry import Registry


def test_an_entry_is_the_thing_or_where_it_is():
    registry = Registry("thing", {"here": print, "there": "math:sqrt"})
    registry["mine"] = "collections:OrderedDict"
    assert registry.load("here") is print
    assert registry.load("there")(9) == 3
    assert registry.load("mine").__name__ == "OrderedDict"
    assert list(registry) == ["here", "there", "mine"]


def test_an_unknown_name_is_met_with_the_nearest_or_all():
    registry = Registry("search.method", {"darts": print, "gdas": print})
    with pytest.raises(UserError, match=r"search\.method: 'dart' is not known; did you mean darts\?"):
        registry.check("dart")
    with pytest.raises(UserError, match="'zzz' is not known; allowed: darts, gdas"):
        registry.load("zzz")


@pytest.mark.parametrize("entry", ["no_such_module:x", "math:no_such", "math"])
def test_an_entry_that_leads_nowhere_is_named(entry):
    registry = Registry("thing", {"broken": entry})
    with pytest.raises(UserError, match=f"thing: 'broken' cannot be loaded from '{entry}'"):
        registry.load("broken")
