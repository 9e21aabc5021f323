"""Every field of a config does something: code reads it, and a stage depends on it or it says how one runs.

Beside settings that make it idle it is refused.
"""

import ast
import fnmatch
import functools

import ml_collections
import pytest

from tests import imports
from tf_darts import config as config_lib
from tf_darts.config import FIELDS, NAMES, checks
from tf_darts.errors import UserError
from tf_darts.workdir import stage_folders

pytestmark = pytest.mark.usefixtures("registries")

ALL = ("search", "selection", "training")

# The stages whose results depend on a field, by the first pattern that fits.
DEPEND = {
    "selection.name": (),  # says where the result is
    "extensions.*": (),  # where things are; what they are called is in the fields that name them
    "comparison.*": (),  # what is trained beside what was found
    "own_images.*": (),  # what is picked stands in other fields
    "report.*": (),  # what is shown
    "runtime.*": (),  # where and how fast
    "analysis.*": (),  # of analyses, which come after the stages: `tf_darts.registry.ANALYSIS_READS`
    "data.*": ALL,
    "custom_space.*": ALL,
    "seed": ALL,
    "space": ALL,
    "training.*": ("training",),
    "selection.*": ("selection",),
    "*": ("search", "selection"),
}

# What else a field needs to be read, or the others to be valid beside it.
BESIDE = {
    "selection.latency_table": {"selection.max_latency_ms": 1.0},  # of a table the content matters
    "custom_space.*": {
        "space": "custom",
        "custom_space.candidates": ("none", "skip_connect", "sep_conv_3x3"),
    },
    "data.image_size": {"data.source": "folder", "data.path": "images"},
    "data.fit": {"data.source": "folder", "data.path": "images"},
    "data.stream": {"data.crop_padding": 0},
    "data.test_resize": {"data.stream": True, "data.crop_padding": 0},
    "data.*_jitter": {"data.stream": True, "data.crop_padding": 0},
    "early_stopping.ratio": {"early_stopping.window": 2},
    "search.fixed_alpha_scale": {"search.method": "fixed_alpha"},
    "sdarts.*": {"search.method": "sdarts_adv"},
    "sgas.history": {"search.method": "sgas", "sgas.criterion": 2},
    "training.decay": {"training.schedule": "exponential"},
    "runtime.tpu": {"runtime.strategy": "tpu"},
    "runtime.logical_devices": {"runtime.strategy": "mirrored"},
    "selection.supernets": {"selection.one_shot": True},
    "report.table": {"space": "nas_bench_201"},
    "selection.recalibration_batches": {"selection.probe_statistics": "recalibrated"},
    "selection.threshold": {"space": "nas_bench_201"},
    "own_images.plan": {},
    "own_images.*": {"own_images.plan": True},
    **{
        f"{name}.*": {"search.method": name}
        for name in ("gdas", "pc_darts", "drnas", "sgas", "snas", "reinmax", "shapley")
    },
    "beta_decay.*": {"search.method": "beta_darts"},
    "zero_one.*": {"search.method": "fair_darts"},
    "frozen_operations.*": {"search.method": "oles"},
    "aligned_cells.*": {"search.method": "lambda_darts"},
    "alpha_l2.*": {"search.parts": ("alpha_l2",)},
    "progressive.*": {"search.method": "drnas_progressive"},
}

# Values other than the default where none is found by type.
VALUES = {
    "comparison.rivals": ("random_cell",),
    "own_images.budget": "200k",
    "custom_space.candidates": ("none", "skip_connect", "max_pool_3x3"),
    "custom_space.output_nodes": (4, 5),
    "custom_space.batch_norm_after": ("skip_connect",),
    "runtime.logical_devices": 2,
    "search.learning_rate": 0.5,
    "search.parts": ("beta_decay",),
    "progressive.partial_channels": (6, 2),
    "progressive.operations": (5, 2),
    "training.learning_rate": 0.5,
    "training.learning_rate_min": 0.01,
    "analysis.learning_rate_min": 0.001,
    "data.test_resize": 300,
    "data.share": 0.5,
    "selection.topology_criterion": "loss",
}


def first_fitting(patterns, name, default=None):
    return next((value for pattern, value in patterns.items() if fnmatch.fnmatch(name, pattern)), default)


def field_of(name):
    section, _, field = name.rpartition(".")
    return FIELDS[section][field]


def another(name):
    """A value of the field's own that is not its default."""
    field = field_of(name)
    if name in VALUES:
        return VALUES[name]
    if name.startswith("extensions."):
        return {"own": "math:sqrt"}
    default = field.default
    if isinstance(default, bool):
        candidates = [not default]
    elif isinstance(default, int):
        candidates = [default + 1, default - 1]
    elif isinstance(default, float):
        candidates = [default / 2, default + 0.01, 1.0]
    else:
        candidates = [*field.names, "other"]
    return next(value for value in candidates if value != default and field.check(value))


def laid(values):
    """The default config with other values."""
    config = config_lib.default().to_dict()
    for name, value in values.items():
        section, _, field = name.rpartition(".")
        (config[section] if section else config)[field] = value
    return ml_collections.ConfigDict(config)


def beside(name):
    return first_fitting(BESIDE, name, {})


def depending(before, after):
    """Names of the stages that cannot be continued with the other config."""

    def stages(config):
        return (
            stage_folders.search_stage("run", config),
            stage_folders.selection_stage("run", config),
            stage_folders.training_stage("run", config, "name", "genotype"),
        )

    found = []
    for name, old, new in zip(ALL, stages(before), stages(after), strict=True):
        lines = config_lib.differences(old.depends_on(), new.depends_on())
        if [line for line in lines if line.partition(":")[0] not in new.free]:
            found.append(name)
    return tuple(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_changes_what_stages_depend_on_or_only_how_they_run(name):
    before, after = laid(beside(name)), laid({**beside(name), name: another(name)})
    if name not in ("search.method", "space"):
        config_lib.validate(before)
        config_lib.validate(after)
    assert depending(before, after) == first_fitting(DEPEND, name)


IDLE = [
    f"{section}.{field}"
    for pattern in checks.READ_WITH
    for section, _, only in [pattern.rpartition(".")]
    for field in (FIELDS[section] if only == "*" else [only])
]


@pytest.mark.parametrize("name", IDLE)
def test_a_field_that_nothing_reads_is_refused(name):
    idle = {}
    if name == "sgas.history":
        idle = {"search.method": "sgas"}
    elif name == "sdarts.attack_steps":
        idle = {"search.method": "sdarts_rs"}
    elif name == "training.learning_rate_min":
        idle = {"training.schedule": "exponential"}
    elif name in ("data.path", "data.test_split"):
        idle = {"data.source": "digits"}
    config_lib.validate(laid(idle))
    with pytest.raises(UserError) as caught:
        config_lib.validate(laid({**idle, name: another(name)}))
    message = str(caught.value)
    assert (
        message.startswith(f"config: {name} is {another(name)!r}; allowed: only with ")
        and "\n" not in message
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"selection.racing_confidence": 0.9, "selection.criterion": "magnitude"},
            "selection.racing_confidence is 0.9 with criterion magnitude; allowed: 0, or a criterion that"
            " is probed image by image",
        ),
        (
            {"search.method": "fixed_alpha", "selection.topology_criterion": "magnitude"},
            "selection.topology_criterion is 'magnitude' with search.method 'fixed_alpha': alpha was never",
        ),
        (
            {"selection.topology_criterion": "loss", "space": "nas_bench_201"},
            "selection.topology_criterion is 'loss' with space 'nas_bench_201', whose nodes keep all",
        ),
        (
            {"data.image_size": 16, "data.source": "digits"},
            "data.image_size is 16; allowed: only with data.source 'folder', or data.stream True, and"
            " data.source is 'digits', data.stream is False",
        ),
        (
            {"selection.probe_statistics": "running", "selection.criterion": "first_order"},
            "selection.probe_statistics is 'running' with criterion first_order, which probes nothing;"
            " allowed: 'batch'",
        ),
        (
            {
                "selection.threshold": 0.5,
                "search.parts": ("partial_channels",),
                "space": "nas_bench_201",
            },
            "selection.threshold is 0.5 with the search part 'partial_channels'",
        ),
        (
            {"search.method": "fixed_alpha", "selection.order": "least_certain"},
            "selection.order is 'least_certain' with search.method 'fixed_alpha': alpha was never",
        ),
        (
            {"early_stopping.ratio": 0.5},
            "early_stopping.ratio is 0.5; allowed: only with early_stopping.window of at least 1, and",
        ),
    ],
)
def test_what_is_said_of_an_idle_field(values, message):
    with pytest.raises(UserError) as caught:
        config_lib.validate(laid(values))
    assert message in str(caught.value)


def test_racing_one_of_two_criteria_is_no_idle_setting():
    values = {"selection.racing_confidence": 0.9, "selection.criterion": "magnitude"}
    config_lib.validate(laid({**values, "selection.topology_criterion": "loss"}))


@pytest.mark.parametrize(
    "values",
    [
        {"search.method": "fixed_alpha", "selection.method": "random", "selection.order": "least_certain"},
        {"selection.probe_statistics": "running", "selection.topology_criterion": "first_order"},
        {"selection.probe_statistics": "running", "selection.method": "magnitude"},
    ],
)
def test_what_another_choice_reads_may_be_set(values):
    config_lib.validate(laid(values))


# Reading: where code asks for a field by a name that is no attribute, the module that has the name.
BY_NAME = {
    "extensions.*": ("config.fields", None),  # goes through the whole section
    "selection.max_*": ("config.depends", "BUDGET_FIELDS"),
    "search.alpha_scale": ("search.methods.method", "alpha_scale"),
    "search.fixed_alpha_scale": ("search.methods.fixed_alpha", "alpha_scale"),
    "custom_space.*": ("spaces.custom", "fields"),
}
DECLARED = {"config", "config.checks", "config.field", "config.fields"}


@functools.cache
def tree(module):
    return ast.parse(imports.modules()[module].read_text(encoding="utf-8"))


def read_in(module):
    """Fields that a module asks for: config.SECTION.NAME, also where the section has a name of its own."""
    aliases = {section: section for section in FIELDS if section}
    aliases |= {"config": "", "config_data": "data"}

    def section_of(node):
        if isinstance(node, ast.Attribute):
            section = node.attr.removeprefix("_")  # also kept by an object under its name
            return section if section in FIELDS else ("" if node.attr == "config" else None)
        return aliases.get(node.id) if isinstance(node, ast.Name) else None

    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=False))
                for left, right in pairs:
                    if (
                        isinstance(left, ast.Name)
                        and isinstance(right, ast.Attribute)
                        and right.attr in FIELDS
                    ):
                        aliases[left.id] = right.attr
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and section_of(node.value) is not None:
            section = section_of(node.value)
            found.add(f"{section}.{node.attr}" if section else node.attr)
    return found


def texts_in(module):
    return {node.value for node in ast.walk(tree(module)) if isinstance(node, ast.Constant)}


@functools.cache
def read():
    own = [m for m in imports.modules() if m not in DECLARED and not m.endswith("settings")]
    return set().union(*map(read_in, own))


@pytest.mark.parametrize("name", NAMES)
def test_code_reads_every_field(name):
    module, _ = first_fitting(BY_NAME, name, (None, None))
    if module is None:
        assert name in read()
    elif not name.startswith("extensions."):
        assert name.rpartition(".")[2] in texts_in(module)
    else:
        assert "extensions" in texts_in(module)


def test_what_counts_as_reading():
    assert {"search.batch_size", "data.crop_padding", "runtime.skipped_steps"} <= read_in("search.setup")
    assert "early_stopping.window" in read_in("search.early_stopping")  # by a name of its own
    assert "seed" in read_in("search.setup") and "search.nothing" not in read()
