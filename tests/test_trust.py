"""What was named may be loaded, and nothing else; to look for a module imports nothing."""

import csv
import shlex
import sys

import pytest

from tf_darts import extend, registry, trust
from tf_darts.errors import UserError


@pytest.fixture(autouse=True)
def nothing_is_trusted(monkeypatch):
    """What fixtures of other files trust counts for nothing here."""
    monkeypatch.setattr(trust, "_named", {})


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that code leaves which runs: `own.py`, and the packages `strange` and `strange.deep`."""
    path = tmp_path / "ran"
    runs = f"open({str(path)!r}, 'w').close()\nthing = 1\n"
    (tmp_path / "strange" / "deep").mkdir(parents=True)
    for name in (
        "own.py",
        "a,b.py",
        "strange/__init__.py",
        "strange/deep/__init__.py",
        "strange/deep/ops.py",
    ):
        (tmp_path / name).write_text(runs)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    for name in [name for name in sys.modules if name.partition(".")[0] == "strange"]:
        del sys.modules[name]


def test_to_look_for_a_module_imports_nothing_of_it(marker):
    registry.check_reference("strange.deep.ops:thing")
    assert trust.find_module("strange.deep.ops").origin == str(marker.parent / "strange" / "deep" / "ops.py")
    for missing in ("strange.deep.none", "strange.deep.ops.none", "none.deep", "", "strange..ops"):
        assert trust.find_module(missing) is None
    assert not marker.exists() and "strange" not in sys.modules


@pytest.mark.parametrize(
    ("named", "allowed", "refused"),
    [
        ("own.py", ["own.py:thing", "../{}/own.py:thing"], ["a,b.py:thing", "strange.deep.ops:thing"]),
        ("strange", ["strange.deep.ops:x", "strange:x", "strange/deep/ops.py:x"], ["own.py:x", "os:system"]),
        ("strange.deep", ["strange.deep.ops:x"], ["strange:x", "strange/deep/ops.py:x"]),
        ("strange/deep", ["strange.deep.ops:x", "strange/deep/ops.py:x"], ["strange:x"]),
    ],
)
def test_what_is_below_a_name_is_allowed(marker, monkeypatch, named, allowed, refused):
    monkeypatch.chdir(marker.parent)
    extend.trust(named)
    for reference in allowed:
        assert trust.allows(reference.format(marker.parent.name)), reference
    for reference in refused:
        assert not trust.allows(reference), reference
        with pytest.raises(UserError, match="^this is code in '.*', which a file asks for and you did not"):
            trust.demand(reference, "this")
    assert not marker.exists()


def test_a_name_that_is_nowhere_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("gone.py", "no_such_module_anywhere", "/no/folder"):
        with pytest.raises(UserError, match=f"^--trust: '{name}' is not there; allowed: a file, a folder,"):
            extend.trust(name)
    assert trust.named() == ()


def test_the_flag_is_read_as_it_was_meant(marker):
    places = [str(marker.parent / "a,b.py"), "strange.deep"]
    (flag,) = shlex.split(trust.flag(places))
    name, _, value = flag.partition("=")
    assert name == "--trust" and next(csv.reader([value])) == places
    assert trust.flag([]) == ""


def test_an_entry_of_the_programs_own_needs_no_trust_and_one_of_data_does(marker):
    entries, reference = registry.Registry("thing", {}), f"{marker.parent / 'own.py'}:thing"
    entries.register("own", reference, asked_by="runs/config.json")
    with pytest.raises(UserError, match="^runs/config.json: thing 'own' is code in '.*own.py', which a file"):
        entries.load("own")
    assert not marker.exists()
    entries.register("own", reference)
    entries.register("own", reference, asked_by="runs/config.json")  # once more: it stays the program's
    assert entries.load("own") == 1 and marker.exists()
