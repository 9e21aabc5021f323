"""Things by name, loaded when they are asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

from tf_darts.errors import UserError
from tf_darts.registry import Registry, absolute

ROOT = Path(__file__).resolve().parents[1]


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


MODULE = """
import dataclasses

LOADS = []
LOADS.append(None)

@dataclasses.dataclass(frozen=True)
class Own:
    value: int = 3
"""


@pytest.fixture
def registry():
    return Registry("operation", {"double": lambda x: 2 * x, "path": "posixpath:join"})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(MODULE)
    return path


def refused(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_registered_is_found_and_given_back(registry):
    def triple(x):
        return 3 * x

    assert registry.register("triple", triple) is triple
    assert registry.load("triple") is triple
    assert registry.register("triple", triple) is triple  # the same once more
    assert registry.built_in == {"double", "path"}


def test_a_file_is_executed_once(registry, file):
    registry.register("own", f"{file}:Own")
    registry.register("loads", f"{file.parent}/../{file.parent.name}/own.py:LOADS")
    own = registry.load("own")
    assert own().value == 3 and own.__name__ == "Own"
    assert registry.load("own") is own
    assert registry.load("loads") == [None]


def test_two_files_of_one_name_are_two_modules(registry, file, tmp_path):
    other = tmp_path / "more" / "own.py"
    other.parent.mkdir()
    other.write_text("Own = 7")
    registry.register("first", f"{file}:Own")
    registry.register("second", f"{other}:Own")
    assert registry.load("second") == 7 and registry.load("first")().value == 3


def test_a_name_is_said_to_be_unknown_where_it_stands(registry):
    message = refused(registry.check, "pathh", "config: candidates: operation")
    assert message == "config: candidates: operation: 'pathh' is not known; did you mean path?"
    registry.check("path")


@pytest.mark.parametrize("name", ["", "3x3", "a-b", "a b", "a.b", "ä", 3, None])
def test_a_name_is_an_identifier(registry, name):
    message = refused(registry.register, name, len)
    assert f"operation: the name is {name!r}; allowed: letters, digits and _" in message
    assert name not in registry


def test_a_name_is_not_taken_twice(registry):
    before = dict(registry)
    assert "'path' is taken by 'posixpath:join'; allowed: another" in refused(registry.register, "path", len)
    assert dict(registry) == before
    registry["path"] = len  # on purpose
    assert registry.load("path") is len


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("posixpath", "allowed: module:attribute or FILE.py:attribute"),
        (":join", "allowed: module:attribute or FILE.py:attribute"),
        ("posixpath:", "allowed: module:attribute or FILE.py:attribute"),
        ("posixpath:a.b", "allowed: module:attribute or FILE.py:attribute"),
        ("nowhere_at_all:x", "no module 'nowhere_at_all' on Python's path"),
        ("nowhere.at.all:x", "no module 'nowhere.at.all' on Python's path"),
        ("..:x", "no module '..' on Python's path"),
        ("nowhere/at/all.py:x", "no such file 'nowhere/at/all.py'"),
    ],
)
def test_what_leads_nowhere_is_not_registered(registry, entry, problem):
    message = refused(registry.register, "new", entry)
    assert message == f"operation: 'new' cannot be loaded from {entry!r}: {problem}"
    assert "new" not in registry


def test_registering_a_file_does_not_execute_it(registry, file):
    file.write_text("raise RuntimeError('executed')")
    registry.register("own", f"{file}:Own")
    assert "RuntimeError: executed" in refused(registry.load, "own")


def test_a_file_that_fails_or_lacks_the_thing(registry, file):
    registry.register("lacking", f"{file}:Onw")
    message = refused(registry.load, "lacking")
    assert message.endswith("own.py:Onw': no 'Onw' there; did you mean Own?")
    failing = file.with_name("failing.py")
    failing.write_text("x = 1\ny = x / 0\n")
    registry.register("failing", f"{failing}:y")
    for _ in range(2):  # it is not taken for loaded the second time
        message = refused(registry.load, "failing")
        assert f"ZeroDivisionError: division by zero ({failing}, line 2)" in message


def test_a_file_is_named_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("own.py:Own") == f"{tmp_path}/own.py:Own"
    assert absolute("~/own.py:Own") == f"{Path.home()}/own.py:Own"
    assert absolute("a.b:Own") == "a.b:Own"


def test_no_tensorflow():
    code = "import sys, tf_darts.registry; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
