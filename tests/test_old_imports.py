"""Names of version 1.0: they work, each use warns with the new name, and nothing here uses one."""

import ast
import functools
import importlib
import json
import re
import subprocess
import sys
import types
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import tf_darts
from tests.search import tiny
from tests.test_extending import run, small
from tf_darts import config as config_lib
from tf_darts import registry, spaces, trust
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.export.operation_layer import OperationLayer
from tf_darts.runtime import moved

ROOT = Path(__file__).resolve().parents[1]
OLD_FILE = ROOT / "tests" / "old_user_file.py"

# What README.md, docs/ and configs/ of version 1.0 imported or named, and where it is now.
DOCUMENTED = {
    "analysis.ANALYSES": "registry.ANALYSES",
    "analysis.study.Study": "extend.AnalysisRun",
    "architecture.Architecture": "extend.Architecture",
    "benchmark.settings.default": "tools.benchmark.settings.default",
    "config_files.load": "config.files.load",
    "data.common.Arrays": "data.arrays.Arrays",
    "data.common.bad": "data.arrays.bad",
    "derive.read_genotype": "extend.read_genotype",
    "evaluation.Score": "extend.Score",
    "export.own_layer.OwnOperation": "export.operation_layer.OperationLayer",
    "genotype.Genotype": "extend.Genotype",
    "genotype.from_text": "genotypes.genotype.from_text",
    "interop.export": "models.torch_weights.export",
    "interop.load": "models.torch_weights.load",
    "interop.names": "models.torch_weights.names",
    "layers.base.BatchNorm": "extend.BatchNorm",
    "layers.base.Operation": "extend.Operation",
    "layers.base.synchronized_batch_norms": "layers.batch_norm.synchronized_batch_norms",
    "layers.node.NodeOutput": "extend.NodeOutput",
    "layers.own_operation.keras_operation": "extend.keras_operation",
    "nas_bench.nas_bench_201.Table": "nas_bench.nas_bench_201.NasBench201",
    "network.Network": "models.network.Network",
    "objective.loss_and_correct": "optim.losses.loss_and_correct",
    "operation_names.OPERATIONS": "registry.OPERATIONS",
    "optimizers.SGD": "optim.optimizers.SGD",
    "optimizers.sum_over_replicas": "extend.sum_over_replicas",
    "published.PUBLISHED": "genotypes.published.PUBLISHED",
    "runtime.workdir.JsonLines": "extend.JsonLines",
    "runtime.workdir.write_json": "workdir.records.write_json",
    "search.describe.entropy": "extend.entropy",
    "search.methods.METHODS": "registry.METHODS",
    "search.methods.base.Method": "extend.Method",
    "search.methods.base.Now": "extend.Now",
    "search.methods.sgas.Sgas": "selection.sgas.Sgas",
    "selection.SELECTIONS": "registry.SELECTIONS",
    "spaces.base.Space": "extend.Space",
    "spaces.base.Stacking": "extend.Stacking",
    "spaces.base.edges_of": "spaces.space.edges_of",
    "supernet.Supernet": "models.supernet.Supernet",
    "supernet_file.write": "search.supernet_file.write",
}


def there(dotted):
    """Return what is under a dotted name of this version."""
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(f"tf_darts.{module}"), name)


@pytest.mark.parametrize("old", DOCUMENTED)
def test_a_name_that_was_documented_leads_to_the_new_one(old):
    module, _, name = old.rpartition(".")
    new = DOCUMENTED[old]
    with pytest.warns(DeprecationWarning) as told:
        found = getattr(importlib.import_module(f"tf_darts.{module}"), name)
    assert found is there(new)
    # A module that is imported for what it does warns of that too, where it is imported first.
    assert str(told[-1].message) == f"tf_darts.{old} is now tf_darts.{new}"
    assert told[-1].filename == __file__


def test_every_place_in_the_tables_is_there():
    for module, names in (moved.MODULES | moved.NAMES).items():
        for name, place in names.items():
            if name == moved.ALL:
                importlib.import_module(f"tf_darts.{place}")
            else:
                assert there(place) is not None, (module, name)
    for place in moved.FOR_EFFECT.values():
        importlib.import_module(f"tf_darts.{place}")


def test_modules_of_the_tables_are_gone_or_there_as_said():
    for module in moved.MODULES:
        path = ROOT / "tf_darts" / module.replace(".", "/")
        assert not path.with_suffix(".py").exists() and not list(path.glob("*.py")), module
    for module, names in moved.NAMES.items():
        assert not set(names) & set(vars(importlib.import_module(f"tf_darts.{module}"))), module


def test_both_forms_of_import_work():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        from tf_darts import interop, supernet_file  # as docs/import.md of 1.0

        assert not told  # a module says nothing before a name in it is used
        assert interop.load is there("models.torch_weights.load")
        assert supernet_file.write is there("search.supernet_file.write")
        assert len(told) == 2


PROGRAM = """
import sys
from tf_darts import registry

before = set(sys.modules)
assert "tensorflow" not in before
registry.load_reference("user_file.py:names")
"""
USER_FILE = """
for i in range(3):
    from tf_darts.operation_names import OPERATIONS
    from tf_darts.search.methods import METHODS

names = [*OPERATIONS, *METHODS]
"""


def python(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )


def test_a_program_shows_each_warning_once_at_the_users_line(tmp_path):
    (tmp_path / "user_file.py").write_text(USER_FILE)
    done = python("-c", PROGRAM, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"(\w+\.py):(\d+): DeprecationWarning: (.*)\n", done.stderr)
    assert shown == [
        ("user_file.py", "3", "tf_darts.operation_names.OPERATIONS is now tf_darts.registry.OPERATIONS"),
        ("user_file.py", "4", "tf_darts.search.methods.METHODS is now tf_darts.registry.METHODS"),
    ]


def test_python_can_be_told_to_hide_or_refuse_them(tmp_path):
    (tmp_path / "user_file.py").write_text(USER_FILE)
    done = python("-W", "ignore::DeprecationWarning", "-c", PROGRAM, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = python("-W", "error::DeprecationWarning", "-c", PROGRAM, cwd=tmp_path)
    assert done.returncode == 1
    assert "DeprecationWarning: tf_darts.operation_names.OPERATIONS is now" in done.stderr


def test_what_is_missing_stays_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'tf_darts\.layers\.bases'"):
        importlib.import_module("tf_darts.layers.bases")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'tf_darts\.interop\.load'"):
        importlib.import_module("tf_darts.interop.load")
    old, methods = (importlib.import_module(f"tf_darts.{m}") for m in ("layers.base", "search.methods"))
    for module in (old, methods):
        message = f"module '{module.__name__}' has no attribute 'Operations'"
        with pytest.raises(AttributeError, match=re.escape(message)):
            module.Operations  # noqa: B018 - asking is what is tested
        with pytest.raises(ImportError, match="cannot import name 'Operations'"):
            exec(f"from {module.__name__} import Operations", {})
    assert not hasattr(old, "__path__")


@pytest.mark.parametrize("failure", ["import no_such_module_anywhere", "None.missing"])
def test_a_new_module_that_fails_is_told_as_that(failure, monkeypatch):
    class Fails:
        def find_spec(self, name, path=None, target=None):
            if name == "tf_darts.fails":
                exec(failure, {})

    monkeypatch.setattr(sys, "meta_path", [Fails(), *sys.meta_path])
    monkeypatch.setitem(moved.MODULES, "old_one", {moved.ALL: "fails"})
    with pytest.raises(ImportError, match="no_such_module_anywhere|tf_darts.fails fails: AttributeError"):
        exec("from tf_darts.old_one import anything", {})
    sys.modules.pop("tf_darts.old_one", None)


def test_python_asks_for_old_modules_last_and_for_them_only():
    finders = [i for i, finder in enumerate(sys.meta_path) if finder is tf_darts._Moved]
    assert len(finders) == 1 and finders[0] > sys.meta_path.index(importlib.machinery.PathFinder)
    for name in (
        *("layers.base", "other.layers.base", "tf_darts.layers", "tf_darts.layers.base.more"),
        *("tf_darts", "tf_darts.runtime", "tf_darts.runtime.moved"),
    ):
        assert tf_darts._Moved.find_spec(name) is None
    assert tf_darts._Moved.find_spec("tf_darts.layers.base") is not None


def test_the_tables_are_read_when_an_old_name_is_asked_for():
    program = """
import sys
import tf_darts
from tf_darts import config, extend
print("tf_darts.runtime.moved" in sys.modules)
from tf_darts.config_files import names
print("tf_darts.runtime.moved" in sys.modules)
"""
    done = python("-c", program, cwd=ROOT)
    assert done.stdout.split() == ["False", "True"], done.stderr


@pytest.fixture
def old_file(monkeypatch, registries):
    """Tell with which warnings the old user file is imported, and where it is."""
    tiny.one_stage(monkeypatch)
    registry.load_reference.cache_clear()
    for name in [n for n in sys.modules if n.startswith("old_user_file_")]:
        del sys.modules[name]
    return str(OLD_FILE)


def test_a_user_file_of_version_1_0_still_runs(old_file, tmp_path):
    config = small(config_lib.default())
    config.space = "custom"
    config.custom_space.stacking = "nas_bench_201"
    config.custom_space.nodes, config.custom_space.kept_edges = 1, 0
    config.custom_space.candidates = ("skip_connect", "gated_conv", "plain_conv")
    config.extensions.operations = {n: f"{old_file}:{c}" for n, c in OPERATIONS.items()}
    config.extensions.methods = {"sharpened": f"{old_file}:Sharpened"}
    config.search.method = "sharpened"
    config.extensions.criteria = {"odds": f"{old_file}:odds"}
    config.selection.criterion = "odds"
    config.extensions.selections = {"doubting_skips": f"{old_file}:doubting_skips"}
    config.extensions.analyses = {"undecided": f"{old_file}:undecided"}
    trust.allow(old_file)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DeprecationWarning)
        config = config_lib.validate(config)
        made, genotype, rows = run(config, tmp_path)
    ours = [str(w.message) for w in told if w.filename == old_file]
    assert sorted(set(ours)) == [
        "tf_darts.derive.read_genotype is now tf_darts.extend.read_genotype",
        "tf_darts.layers.base.Operation is now tf_darts.extend.Operation",
        "tf_darts.layers.own_operation.keras_operation is now tf_darts.extend.keras_operation",
        "tf_darts.search.describe.entropy is now tf_darts.extend.entropy",
        "tf_darts.search.methods.base.Method is now tf_darts.extend.Method",
    ]
    # The perturbation selection with the old criterion, among the old operations.
    assert rows[0]["criterion"] == "odds" and rows[0]["chosen"] == genotype.cells["normal"][0].operation
    names = [probe["operation"] for probe in rows[0]["probes"]]
    assert names == ["skip_connect", "gated_conv", "plain_conv"]
    assert type(made.method).__name__ == "Sharpened"
    # The old selection and the old analysis, of the same supernet.
    chosen = registry.SELECTIONS.load("doubting_skips")(made, tmp_path)
    assert chosen.cells["normal"][0].operation in names
    of_workdir = AnalysisRun(
        "undecided", tmp_path, config, spaces.of(config), None, functools.cache(lambda: made)
    )
    assert "nats" in registry.ANALYSES.load("undecided")(of_workdir)
    assert (tmp_path / "analysis" / "undecided" / "result.json").is_file()


OPERATIONS = {"gated_conv": "GatedConv", "plain_conv": "plain_conv"}


def test_a_keras_file_of_version_1_0_is_read(old_file, tmp_path):
    registry.OPERATIONS.register("gated_conv", f"{old_file}:GatedConv")
    x = keras.Input((8, 8, 4))
    layer = OperationLayer("gated_conv", f"{old_file}:GatedConv", 4, 2, name="edge")
    model = keras.Model(x, layer(x))
    new, old = tmp_path / "new.keras", tmp_path / "old.keras"
    model.save(new)
    as_version_1_0(new, old)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
    loaded = keras.models.load_model(old)
    np.testing.assert_array_equal(loaded(images), model(images))


def as_version_1_0(new, old):
    """Write a Keras file as version 1.0 did: another module and another name of the layer's class."""
    with zipfile.ZipFile(new) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = parts["config.json"].decode()
    for name, before in (
        ("tf_darts.export.operation_layer", "tf_darts.export.own_layer"),
        ("OperationLayer", "OwnOperation"),
    ):
        assert name in config
        config = config.replace(name, before)
    parts["config.json"] = config.encode()
    weights = old.with_suffix(".h5")
    weights.write_bytes(parts["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        file.move("layers/operation_layer", "layers/own_operation")
    parts["model.weights.h5"] = weights.read_bytes()
    with zipfile.ZipFile(old, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    assert json.loads(config)["config"]["layers"][1]["registered_name"] == "tf_darts>OwnOperation"


def is_old(dotted):
    """Tell whether a dotted name is one of version 1.0, or begins with one."""
    parts = dotted.removeprefix("tf_darts.").split(".")
    for i in range(1, len(parts) + 1):
        module, after = ".".join(parts[:i]), parts[i : i + 1]
        if module in moved.MODULES or (after and after[0] in moved.NAMES.get(module, ())):
            return True
    return False


REFERENCE = r"tf_darts(\.\w+)+(:\w+)?"


def old_names(text):
    """Return the names of version 1.0 that a source imports, uses through an import, or has as a string."""
    tree, found, modules = ast.parse(text), [], {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(alias.name)
                if alias.asname:
                    modules[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found.append(f"{node.module}.{alias.name}")
                modules[alias.asname or alias.name] = found[-1]
        elif isinstance(node, ast.Constant) and re.fullmatch(REFERENCE, str(node.value)):
            found.append(node.value.replace(":", "."))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            found.append(f"{modules[node.value.id]}.{node.attr}")
    return sorted({name for name in found if name.startswith("tf_darts.") and is_old(name)})


def test_old_names_are_found():
    for text, found in {
        "from tf_darts.layers.base import Operation": "tf_darts.layers.base.Operation",
        "import tf_darts.interop": "tf_darts.interop",
        "from tf_darts import interop as i": "tf_darts.interop",
        "from tf_darts.search.methods import METHODS": "tf_darts.search.methods.METHODS",
        "from tf_darts import selection\nselection.SELECTIONS": "tf_darts.selection.SELECTIONS",
        "x = 'tf_darts.derive:read_genotype'": "tf_darts.derive.read_genotype",
    }.items():
        assert old_names(text) == [found]
    assert not old_names("from tf_darts.selection import select\nfrom tf_darts.genotypes import derive")


def test_nothing_here_uses_an_old_name():
    own = [OLD_FILE, Path(__file__)]
    folders = ("tf_darts", "configs", "examples", "tests")
    paths = [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py")) if p not in own]
    assert len(paths) > 200
    texts = {p: p.read_text(encoding="utf-8") for p in paths}
    assert {str(p.relative_to(ROOT)): names for p, t in texts.items() if (names := old_names(t))} == {}


def test_no_page_shows_an_old_name():
    pages = [ROOT / "README.md", *sorted(ROOT.glob("CONTRIBUTING.md")), *sorted((ROOT / "docs").glob("*.md"))]
    found = {}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        shown = [name for name in re.findall(r"\btf_darts(?:\.\w+)+", text) if is_old(name)]
        for block in re.findall(r"```python\n(.*?)```", text, re.S):
            shown += old_names(block)
        if shown:
            found[page.name] = shown
    assert found == {}


def test_a_module_of_old_names_is_a_module():
    module = importlib.import_module("tf_darts.layers.base")
    assert isinstance(module, types.ModuleType) and "version 1.0" in module.__doc__
