"""Names of version 1.0 that are elsewhere now; they lead to the new ones, with a DeprecationWarning.

What the documentation of version 1.0 imports is here, for one release. `tf_darts` has Python ask here for a
module that nothing else finds; only those of `MODULES` are. To end it, remove this file and its uses, and
tests/test_old_imports.py.
"""

import functools
import importlib
import importlib.abc
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "tf_darts"
ALL = "*"  # every other name of a module: where it is under the same name

# Modules that are no more: for each name, without the package's, where it is.
MODULES: dict[str, dict[str, str]] = {
    "analysis.study": {"Study": "extend.AnalysisRun", ALL: "analysis.analysis_run"},
    "architecture": {"Architecture": "extend.Architecture", ALL: "models.architecture"},
    "benchmark": {},
    "benchmark.settings": {ALL: "tools.benchmark.settings"},
    "config_files": {ALL: "config.files"},
    "data.common": {ALL: "data.arrays"},
    "data.given": {ALL: "data.user_data"},
    "derive": {"read_genotype": "extend.read_genotype", ALL: "genotypes.derive"},
    "evaluation": {"Score": "extend.Score", ALL: "models.evaluator"},
    "export.own_layer": {"OwnOperation": "export.operation_layer.OperationLayer"},
    "genotype": {
        "Choice": "extend.Choice",
        "Genotype": "extend.Genotype",
        **{name: f"workdir.genotype_file.{name}" for name in ("load", "read", "save")},
        ALL: "genotypes.genotype",
    },
    "interop": {ALL: "models.torch_weights"},
    "layers.base": {
        "BatchNorm": "extend.BatchNorm",
        "Layer": "layers.layer.Layer",
        "NodeLayer": "layers.layer.NodeLayer",
        "Operation": "extend.Operation",
        "uniform_fan_in": "layers.layer.uniform_fan_in",
        ALL: "layers.batch_norm",
    },
    "layers.node": {"NodeOutput": "extend.NodeOutput", ALL: "layers.node_output"},
    "layers.own_operation": {"keras_operation": "extend.keras_operation", ALL: "layers.keras_operation"},
    "network": {ALL: "models.network"},
    "objective": {"Batch": "extend.Batch", ALL: "optim.losses"},
    "operation_names": {"OPERATIONS": "registry.OPERATIONS"},
    "optimizers": {
        "cosine": "optim.schedules.cosine",
        "sum_over_replicas": "extend.sum_over_replicas",
        ALL: "optim.optimizers",
    },
    "published": {ALL: "genotypes.published"},
    "runtime.workdir": {
        "JsonLines": "extend.JsonLines",
        "Stage": "workdir.stage_folder.StageFolder",
        "versions": "workdir.stage_folder.versions",
        ALL: "workdir.records",
    },
    "search.describe": {"entropy": "extend.entropy", ALL: "search.alpha_summary"},
    "search.methods.base": {"Method": "extend.Method", "Now": "extend.Now", ALL: "search.methods.method"},
    "search.methods.sgas": {ALL: "selection.sgas"},
    "spaces.base": {
        "Block": "extend.Block",
        "Edge": "extend.Edge",
        "Space": "extend.Space",
        "Stacking": "extend.Stacking",
        ALL: "spaces.space",
    },
    "supernet": {ALL: "models.supernet"},
    "supernet_file": {ALL: "search.supernet_file"},
}

# Modules that one imports for what that does, and not for a name in them: what is imported instead.
FOR_EFFECT = {"export.own_layer": "export.operation_layer"}

# Modules that are still there, without these names: they have a `__getattr__` of `names_of`.
NAMES: dict[str, dict[str, str]] = {
    "analysis": {
        "ANALYSES": "registry.ANALYSES",
        "READS": "registry.ANALYSIS_READS",
    },
    "nas_bench.nas_bench_201": {
        "Score": "nas_bench.nas_bench_201.TableScore",
        "Table": "nas_bench.nas_bench_201.NasBench201",
    },
    "search.methods": {
        "DECIDING": "registry.DECIDING_METHODS",
        "METHODS": "registry.METHODS",
        "SECTIONS": "registry.METHOD_SECTIONS",
        "UNTRAINED_ALPHA": "registry.UNTRAINED_ALPHA",
    },
    "selection": {
        "NEEDS_ALPHA": "registry.NEEDS_ALPHA",
        "NEEDS_NO_SUPERNET": "registry.NEEDS_NO_SUPERNET",
        "SELECTIONS": "registry.SELECTIONS",
        "TAKES_SEVERAL": "registry.TAKES_SEVERAL",
        "supernets_of": "config.depends.supernets_of",
    },
}


def new_place(module: str, name: str) -> str | None:
    """Return where a name of version 1.0 is, without the package's name; None if it has not moved.

    Args:
      module: its old module, without the package's name.
      name: the name in it.
    """
    names = MODULES.get(module) or NAMES.get(module, {})
    if name in names:
        return names[name]
    special = name.startswith("__")  # Python asks every module for `__path__` and the like
    return f"{names[ALL]}.{name}" if ALL in names and not special else None


def names_of(module: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that had other names in version 1.0.

    Args:
      module: the module's whole name, its `__name__`.
    """
    # No Python function stands between `_look_up` and the line that asks: the warning is about that line.
    return functools.partial(_look_up, module)


def _look_up(module: str, name: str) -> Any:
    missing = AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
    place = new_place(module.removeprefix(f"{PACKAGE}."), name)
    if place is None:
        raise missing
    home, _, new_name = place.rpartition(".")
    loaded = _load(f"{PACKAGE}.{home}")
    try:
        value = getattr(loaded, new_name)
    except AttributeError:
        raise missing from None
    _show_warnings()
    message = f"{module}.{name} is now {PACKAGE}.{place}"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return value


def _load(module: str) -> ModuleType:
    """Import a module; Python would tell an AttributeError in it as a missing name."""
    try:
        return importlib.import_module(module)
    except AttributeError as error:
        raise ImportError(f"{module} fails: {type(error).__name__}: {error}") from error


@functools.cache
def _show_warnings() -> None:
    """Have these warnings shown, once for each place, unless Python was started with other wishes.

    By default Python shows a DeprecationWarning in the main program only, and a program of ours is that, not
    the user's file.
    """
    if not sys.warnoptions:
        warnings.filterwarnings("default", rf"{PACKAGE}\.[\w.]+ is now ", DeprecationWarning)


def find_spec(fullname: str) -> ModuleSpec | None:
    """Return how to load a module that is no more; None for every other, so that its absence is an error.

    Args:
      fullname: the whole name of a module that Python does not find.
    """
    package, _, name = fullname.partition(".")
    if package != PACKAGE or name not in MODULES:
        return None
    is_package = any(other.startswith(f"{name}.") for other in MODULES)
    return ModuleSpec(fullname, _Loader(), is_package=is_package)


class _Loader(importlib.abc.Loader):
    """Makes a module of nothing but the `__getattr__` that looks its names up."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__doc__ = f"What version 1.0 had in {name}; see tf_darts/runtime/moved.py."
        vars(module)["__getattr__"] = names_of(name)
        instead = FOR_EFFECT.get(name.removeprefix(f"{PACKAGE}."))
        if instead is not None:
            _load(f"{PACKAGE}.{instead}")
            _show_warnings()
            message = f"{name} is now {PACKAGE}.{instead}"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
