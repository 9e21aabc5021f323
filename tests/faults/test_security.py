"""Nothing that is read is run; what is installed has a hash."""

import ast
import re

import numpy as np
import pytest

from tests.forking import ROOT
from tf_darts import spaces
from tf_darts.data import npz
from tf_darts.errors import UserError
from tf_darts.workdir import genotype_file

SOURCES = sorted((ROOT / "tf_darts").rglob("*.py"))
RUNS_WHAT_IT_READS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "tarfile"}


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node


def test_nothing_is_unpickled_or_evaluated():
    assert len(SOURCES) > 100
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not MODULES & {name.split(".")[0] for name in names}, path
        for call in calls(tree):
            if isinstance(call.func, ast.Name):
                assert call.func.id not in RUNS_WHAT_IT_READS, f"{path}:{call.lineno}"
            elif isinstance(call.func, ast.Attribute) and call.func.attr in ("load", "extractall", "extract"):
                owner = ast.unparse(call.func.value)
                assert call.func.attr == "load" or owner == "re", f"{path}:{call.lineno}"
                if owner in ("np", "numpy"):
                    named = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                    assert named.get("allow_pickle") == "False", f"{path}:{call.lineno}"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_hashes(name):
    text = (ROOT / name).read_text().replace("\\\n", " ")
    pins = [line for line in text.splitlines() if line and line[0] not in "#-"]
    assert len(pins) > 10 or name != "requirements.txt"
    for pin in pins:
        assert re.fullmatch(r"[\w.-]+==[\w.+-]+( +--hash=sha256:[0-9a-f]{64})+ *", pin), pin[:80]


@pytest.mark.parametrize(
    "text",
    [
        "Genotype(normal=[(__import__('os').system('touch ran'), 0)], normal_concat=range(2, 6))",
        "Genotype(normal=open('ran', 'w'), normal_concat=[])",
        "Genotype(normal=[('skip_connect', 0)] * 10**9, normal_concat=range(2, 6))",
        "Genotype(normal=[x for x in ()], normal_concat=lambda: 0)",
        '{"schema_version": 1, "__class__": "os.system"}',
        "|" * 100_000,
        "(" * 5_000,
        "Genotype(" * 5_000,
    ],
)
def test_a_genotypes_text_is_read_and_never_run(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genotype.txt").write_text(text)
    for read in (
        lambda: genotype_file.read(text, spaces.get("darts")),
        lambda: genotype_file.load("genotype.txt"),
    ):
        with pytest.raises(UserError) as error:
            read()
        assert "\n" not in str(error.value) and len(str(error.value)) < 2000
    assert not (tmp_path / "ran").exists()


class Bomb:
    def __reduce__(self):
        return (open, ("ran", "w"))


def test_a_pickle_in_an_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("arrays.npz", weights=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="cannot be read as .npz"):
        npz.read("arrays.npz")
    assert not (tmp_path / "ran").exists()
