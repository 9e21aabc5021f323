"""Every name that a config may use, and where the thing of that name is.

An entry is "module:attribute", which is imported when the thing is asked for: a config is checked, and
others are added by a config, without importing TensorFlow. "FILE.py:attribute" is a thing in a file that
need not be on Python's path. A new space, operation, search method or part of one, selection, criterion or
analysis is one file and one entry here, or in a config's section `extensions`.
"""

import difflib
import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from tf_darts import trust
from tf_darts.errors import UserError, listed, show

LONGEST_NAME = 100  # of an entry, characters: it stands in names of layers, in genotypes and in messages


class Registry(dict[str, Any]):
    """A dictionary of names; the message about an unknown name says which there are.

    Args:
      field: what a name is the value of, for messages: `search.method`, or `operation`.
      entries: the entries to begin with.

    Attributes:
      built_in: the names of those; all others were added.
      asked_by: for what data added, which data: it is loaded only where the user named it too (`trust`).
    """

    def __init__(self, field: str, entries: Mapping[str, Any]):
        super().__init__(entries)
        self.field = field
        self.built_in = frozenset(entries)
        self.asked_by: dict[str, str] = {}

    def register(self, name: str, entry: Any, asked_by: str = "") -> Any:
        """Add an entry and return it.

        Args:
          name: letters, digits and _, at most `LONGEST_NAME` of them.
          entry: the thing, or where it is: "module:attribute" or "FILE.py:attribute".
          asked_by: the data that name it, for messages; "": the program itself does.

        Raises:
          UserError: the name is not an identifier or is another entry's, or the entry leads to no module or
            file. (To replace an entry, assign to it as in any dictionary.)
        """
        sound = isinstance(name, str) and name.isidentifier() and name.isascii()
        if not sound or len(name) > LONGEST_NAME:
            raise UserError(
                f"{self.field}: the name is {show(name)}; allowed: letters, digits and _, not first a digit,"
                f" at most {LONGEST_NAME} of them"
            )
        if name in self and self[name] != entry:
            raise UserError(
                f"{self.field}: the name {name!r} is taken by {show(self[name])}; allowed: another name"
            )
        if isinstance(entry, str):
            try:
                check_reference(entry)
            except ImportError as error:
                raise self._broken(name, entry, error) from None
        if not asked_by:
            self.asked_by.pop(name, None)
        elif name not in self:
            self.asked_by[name] = asked_by
        self[name] = entry
        return entry

    def check(self, name: str, place: str = "") -> None:
        """Check that there is an entry.

        Args:
          name: the name.
          place: where the name stands, as the beginning of the message; by default the registry's field.

        Raises:
          UserError: there is none; the message names the nearest entry, or all.
        """
        if name not in self:
            raise UserError(f"{place or self.field}: {show(name)} is not known; {hint(name, self)}")

    def load(self, name: str) -> Any:
        """Return the thing of this name, imported if need be.

        Raises:
          UserError: there is no entry, what it names cannot be imported, or only data name it.
        """
        self.check(name)
        entry = self[name]
        if not isinstance(entry, str):
            return entry
        if name in self.untrusted():
            raise self.refusal(name)
        try:
            return load_reference(entry)
        except ImportError as error:
            raise self._broken(name, entry, error) from error

    def untrusted(self) -> dict[str, str]:
        """Return the entries that data added and the user did not name."""
        added = {name: self[name] for name in self.asked_by if isinstance(self.get(name), str)}
        return {name: entry for name, entry in added.items() if not trust.allows(entry)}

    def refusal(self, name: str) -> UserError:
        """Return the error about an entry that the user did not name; its flag is for all such entries."""
        others = [entry for registry in EXTENSIBLE.values() for entry in registry.untrusted().values()]
        return trust.refusal(f"{self.asked_by[name]}: {self.field} {name!r}", [self[name], *others])

    def _broken(self, name: str, entry: str, error: ImportError) -> UserError:
        return UserError(f"{self.field}: {name!r} cannot be loaded from {show(entry, 150)}: {error}")


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or all that are allowed."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1) if len(name) <= LONGEST_NAME else []
    return f"did you mean {near[0]}?" if near else f"allowed: {listed(known, 20)}"


def check_reference(reference: str) -> None:
    """Check that a module or file is there. Nothing is imported.

    Args:
      reference: "module:attribute" or "FILE.py:attribute".

    Raises:
      ImportError: it is not.
    """
    module, _, attribute = reference.rpartition(":")
    if not module or not attribute.isidentifier():
        raise ImportError("allowed: module:attribute or FILE.py:attribute")
    if trust.is_file(module):
        if not os.path.isfile(module):
            raise ImportError(f"no such file {show(module, 150)}")
        return
    if trust.find_module(module) is None:
        raise ImportError(f"no module {show(module, 150)} on Python's path")


@functools.cache
def load_reference(reference: str) -> Any:
    """Import and return what "module:attribute" or "FILE.py:attribute" stands for.

    Raises:
      ImportError: there is no such module, file or attribute, or the module fails as it is imported.
    """
    check_reference(reference)
    module, _, attribute = reference.rpartition(":")
    try:
        loaded = _module_of(module) if trust.is_file(module) else importlib.import_module(module)
    except Exception as error:  # the module is a program and may fail in any way
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}, line {frame.lineno}"
        raise ImportError(f"{type(error).__name__}: {error} ({place})") from error
    if not hasattr(loaded, attribute):
        names = [name for name in vars(loaded) if not name.startswith("_")]
        raise ImportError(f"no {attribute!r} there; {hint(attribute, names)}")
    return getattr(loaded, attribute)


def absolute(reference: str) -> str:
    """Return the reference as it holds from any folder: a file's path made absolute."""
    module, _, attribute = reference.rpartition(":")
    if not trust.is_file(module):
        return reference
    return f"{os.path.abspath(os.path.expanduser(module))}:{attribute}"


def _module_of(path: str) -> ModuleType:
    """Return the module of a file, executed once however often and by whichever path it is asked for."""
    path = os.path.realpath(path)
    stem = os.path.splitext(os.path.basename(path))[0]
    name = f"{stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"no Python file {path!r}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before it runs: a dataclass looks its module up there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


# Search spaces: values of `spaces.Space`.
SPACES = Registry(
    "space",
    {
        "darts": "tf_darts.spaces.darts:DARTS",
        "darts_with_none": "tf_darts.spaces.darts:DARTS_WITH_NONE",
        "s1": "tf_darts.spaces.robust_darts:S1",
        "s2": "tf_darts.spaces.robust_darts:S2",
        "s3": "tf_darts.spaces.robust_darts:S3",
        "s4": "tf_darts.spaces.robust_darts:S4",
        "nas_bench_201": "tf_darts.spaces.nas_bench_201:NAS_BENCH_201",
    },
)

# Sources of images held in memory: functions (config.data, seed) -> `data.arrays.Arrays`.
SOURCES = Registry(
    "data.source",
    {
        "digits": "tf_darts.data.sources:digits",
        "tfds": "tf_darts.data.tfds_source:load",
        "npz": "tf_darts.data.array_file:load",
        "folder": "tf_darts.data.image_folder:load",
    },
)

# The same sources where images are decoded for each batch: (config.data, seed) -> (train, test, class names).
STREAMS = Registry(
    "data.source",
    {"tfds": "tf_darts.data.tfds_stream:parts", "folder": "tf_darts.data.image_folder:files"},
)

# Candidate operations: called with (channels, stride, affine=, seed=, name=), they return an
# `layers.operation.Operation`.
OPERATIONS = Registry(
    "operation",
    {
        "none": "tf_darts.layers.operations:Zero",
        "noise": "tf_darts.layers.operations:Noise",
        "skip_connect": "tf_darts.layers.operations:skip_connect",
        "max_pool_3x3": "tf_darts.layers.operations:MaxPool",
        "avg_pool_3x3": "tf_darts.layers.operations:AvgPool",
        "sep_conv_3x3": "tf_darts.layers.operations:sep_conv_3x3",
        "sep_conv_5x5": "tf_darts.layers.operations:sep_conv_5x5",
        "sep_conv_7x7": "tf_darts.layers.operations:sep_conv_7x7",
        "dil_conv_3x3": "tf_darts.layers.operations:dil_conv_3x3",
        "dil_conv_5x5": "tf_darts.layers.operations:dil_conv_5x5",
        "conv_7x1_1x7": "tf_darts.layers.operations:Conv1x7And7x1",
        "nor_conv_1x1": "tf_darts.layers.operations:nor_conv_1x1",
        "nor_conv_3x3": "tf_darts.layers.operations:nor_conv_3x3",
    },
)

# Search methods: subclasses of `search.methods.method.Method`.
METHODS = Registry(
    "search.method",
    {
        "darts": "tf_darts.search.methods.darts:Darts",
        "darts_second_order": "tf_darts.search.methods.second_order:SecondOrder",
        "darts_second_order_exact": "tf_darts.search.methods.second_order:ExactSecondOrder",
        "fixed_alpha": "tf_darts.search.methods.fixed_alpha:FixedAlpha",
        "sdarts_rs": "tf_darts.search.methods.darts:Darts",
        "sdarts_adv": "tf_darts.search.methods.darts:Darts",
        "gdas": "tf_darts.search.methods.darts:Darts",
        "pc_darts": "tf_darts.search.methods.darts:Darts",
        "drnas": "tf_darts.search.methods.darts:Darts",
        "sgas": "tf_darts.selection.sgas:Sgas",
        "random_sharing": "tf_darts.search.methods.random_sharing:RandomSharing",
        "beta_darts": "tf_darts.search.methods.darts:Darts",
        "darts_minus": "tf_darts.search.methods.darts:Darts",
        "fair_darts": "tf_darts.search.methods.darts:Darts",
        "oles": "tf_darts.search.methods.darts:Darts",
        "lambda_darts": "tf_darts.search.methods.darts:Darts",
        "snas": "tf_darts.search.methods.darts:Darts",
        "reinmax": "tf_darts.search.methods.darts:Darts",
        "drnas_progressive": "tf_darts.search.methods.darts:Darts",
        "shapley": "tf_darts.selection.shapley_search:ShapleySearch",
    },
)

# What a step of a search does otherwise than DARTS: subclasses of `search.parts.search_part.SearchPart`.
PARTS = Registry(
    "search.parts",
    {
        "gumbel": "tf_darts.search.parts.gumbel:Gumbel",
        "concrete": "tf_darts.search.parts.concrete:Concrete",
        "reinmax": "tf_darts.search.parts.reinmax:ReinMax",
        "dirichlet": "tf_darts.search.parts.dirichlet:Dirichlet",
        "sigmoid": "tf_darts.search.parts.sigmoid:Sigmoid",
        "random_perturbation": "tf_darts.search.parts.perturbation:RandomPerturbation",
        "adversarial_perturbation": "tf_darts.search.parts.perturbation:AdversarialPerturbation",
        "beta_decay": "tf_darts.search.parts.beta_decay:BetaDecay",
        "alpha_l2": "tf_darts.search.parts.alpha_l2:AlphaL2",
        "dirichlet_kl": "tf_darts.search.parts.dirichlet_kl:DirichletKL",
        "zero_one": "tf_darts.search.parts.zero_one:ZeroOne",
        "partial_channels": "tf_darts.search.parts.partial_channels:PartialChannels",
        "progressive": "tf_darts.search.parts.progressive:Progressive",
        "auxiliary_skip": "tf_darts.search.parts.auxiliary_skip:AuxiliarySkip",
        "frozen_operations": "tf_darts.search.parts.frozen_operations:FrozenOperations",
        "aligned_cells": "tf_darts.search.parts.aligned_cells:AlignedCells",
    },
)

# Methods that are DARTS with parts.
METHOD_PARTS: dict[str, tuple[str, ...]] = {
    "sdarts_rs": ("random_perturbation",),
    "sdarts_adv": ("adversarial_perturbation",),
    "gdas": ("gumbel",),
    "pc_darts": ("partial_channels",),
    "drnas": ("dirichlet", "dirichlet_kl"),
    "beta_darts": ("beta_decay",),
    "darts_minus": ("auxiliary_skip",),
    "fair_darts": ("sigmoid", "zero_one"),
    "oles": ("frozen_operations",),
    "lambda_darts": ("aligned_cells",),
    "snas": ("concrete",),
    "reinmax": ("reinmax",),
    "drnas_progressive": ("dirichlet", "progressive"),
}

# Methods that the comparison of ten methods (configs/study_methods_cifar10.py) does not have.
LATER_METHODS = (
    *("beta_darts", "darts_minus", "fair_darts", "oles", "lambda_darts", "snas", "reinmax"),
    *("drnas_progressive", "shapley"),
)

# Sections of the config that belong to one or a few parts; elsewhere they have to be left alone.
PART_SECTIONS: dict[str, tuple[str, ...]] = {
    "sdarts": ("random_perturbation", "adversarial_perturbation"),
    "gdas": ("gumbel",),
    "pc_darts": ("partial_channels",),
    "drnas": ("dirichlet_kl",),
    "beta_decay": ("beta_decay",),
    "alpha_l2": ("alpha_l2",),
    "zero_one": ("zero_one",),
    "frozen_operations": ("frozen_operations",),
    "aligned_cells": ("aligned_cells",),
    "snas": ("concrete",),
    "reinmax": ("reinmax",),
    "progressive": ("progressive",),
}

# The same by methods: those with the parts, and two with a section of their own.
METHOD_SECTIONS: dict[str, tuple[str, ...]] = {"sgas": ("sgas",), "shapley": ("shapley",)} | {
    section: methods
    for section, users in PART_SECTIONS.items()
    if (methods := tuple(method for method, parts in METHOD_PARTS.items() if {*users} & {*parts}))
}

# Methods that decide edges during the search, and so within the selection's budget.
DECIDING_METHODS = frozenset({"sgas"})

# Methods that never train alpha, so that its size says nothing.
UNTRAINED_ALPHA = frozenset({"fixed_alpha", "random_sharing"})

# Selections: functions (setup, folder) -> `genotypes.Genotype`. They may leave files in the folder, and
# continue what they find there.
SELECTIONS = Registry(
    "selection.method",
    {
        "magnitude": "tf_darts.selection.magnitude:run",
        "perturbation": "tf_darts.selection.darts_pt:run",
        "shapley": "tf_darts.selection.shapley:run",
        "zero_cost_pt": "tf_darts.selection.zero_cost_pt:run",
        "random": "tf_darts.selection.sampling:random_genotype",
        "supernet_ranking": "tf_darts.selection.sampling:supernet_ranking",
    },
)

# What a selection takes from the search besides the space; others need no trained supernet.
NEEDS_NO_SUPERNET = frozenset({"random", "zero_cost_pt"})
NEEDS_ALPHA = frozenset({"magnitude"})
TAKES_SEVERAL = frozenset({"perturbation"})  # all of `selection.supernets`; others take the first

# What a network that was found is compared with (`whole_way.rivals`), in the order in which they are trained.
RANDOM_CELL, RESIDUAL_NETWORK = "random_cell", "residual_network"
RIVALS = (RANDOM_CELL, RESIDUAL_NETWORK)

# Judges by the size of the mixing weight; nothing is probed. With it perturbation-based selection becomes
# the paper's DARTS+PT-Mag: the same events and fine-tuning, decided by magnitude (section 6.2).
MAGNITUDE = "magnitude"

# Zero-cost proxies, which need no training: subclasses of `selection.proxies.Proxy`.
PROXIES = {
    "nwot": "tf_darts.selection.proxies:Nwot",
    "snip": "tf_darts.selection.proxies:Snip",
    "synflow": "tf_darts.selection.proxies:SynFlow",
    "gradient_norm": "tf_darts.selection.proxies:GradientNorm",
    "fisher": "tf_darts.selection.proxies:Fisher",
    "grasp": "tf_darts.selection.proxies:Grasp",
    "jacobian_covariance": "tf_darts.selection.proxies:JacobianCovariance",
}

# Importance: from the `models.evaluator.Score` of a probe without something to how much that hurt, larger is
# more; or a subclass of `selection.criterion.Criterion`, which looks at more than a score.
CRITERIA = Registry(
    "selection.criterion",
    {
        "accuracy": "tf_darts.selection.criteria:accuracy",
        "loss": "tf_darts.selection.criteria:loss",
        "first_order": "tf_darts.selection.first_order:FirstOrder",
        **PROXIES,
        MAGNITUDE: None,
    },
)

# Criteria that make no probe, so that statistics of probes are nothing to them.
NOT_PROBED = frozenset({"first_order", *PROXIES, MAGNITUDE})

RACEABLE = ("accuracy", "loss")  # what has a paired test, image by image

# Analyses: functions of an `analysis.analysis_run.AnalysisRun` that return what a program prints. They leave
# result.json and pictures in WORKDIR/analysis/NAME, and continue what they find there.
ANALYSES = Registry(
    "analysis",
    {
        "perturbation": "tf_darts.analysis.perturbation:run",
        "strength": "tf_darts.analysis.strength:run",
        "shuffle": "tf_darts.analysis.shuffle:run",
        "skip_share": "tf_darts.analysis.skip_share:run",
        "hessian": "tf_darts.analysis.hessian:run",
    },
)

# Fields of the config, besides those that the search depends on, which what an analysis measures depends on.
# Others only say how much of it is measured, or what is made of it, and may change. The function of an added
# analysis has them as its attribute `reads`.
ANALYSIS_READS: dict[str, tuple[str, ...]] = {
    "perturbation": ("selection.augment_probes", "selection.probe_images"),
    "strength": (
        "analysis.epochs",
        "analysis.learning_rate",
        "analysis.learning_rate_min",
        "selection.weight_decay",
        "selection.drop_path",
        "selection.cutout_length",
        "selection.label_smoothing",
        "selection.noise_radius",
    ),
}

# What a config may add to, by field of its section `extensions`.
EXTENSIBLE: dict[str, Registry] = {
    "operations": OPERATIONS,
    "methods": METHODS,
    "parts": PARTS,
    "selections": SELECTIONS,
    "criteria": CRITERIA,
    "analyses": ANALYSES,
}


def check_trust() -> None:
    """Check that all code that data added is code that the user named.

    Raises:
      UserError: some is not; the message names who asks for it, and the flag for all of it.
    """
    for registry in EXTENSIBLE.values():
        for name in registry.untrusted():
            raise registry.refusal(name)
