"""Checks of settings against each other: contradictions, and what nothing reads beside the others."""

import itertools
import re
from collections.abc import Collection, Mapping
from typing import Any

import ml_collections

from tf_darts import registry, spaces
from tf_darts.config import budget_text, limits
from tf_darts.config.address import refuse_address
from tf_darts.config.depends import parts_of
from tf_darts.config.field import Field, value_of
from tf_darts.errors import UserError, show
from tf_darts.registry import MAGNITUDE, NEEDS_ALPHA, RACEABLE
from tf_darts.spaces.space import NONE

Fields = Mapping[str, Mapping[str, Field]]
"""Every field, by section and name (`tf_darts.config.FIELDS`)."""


def _of_sections() -> dict[str, dict[str, Collection[Any]]]:
    """Return which methods and which parts read a section."""
    users: dict[str, dict[str, Collection[Any]]] = {}
    for field, sections in (("method", registry.METHOD_SECTIONS), ("parts", registry.PART_SECTIONS)):
        for section, names in sections.items():
            users.setdefault(f"{section}.*", {})[f"search.{field}"] = names
    return users


# A field that is read only where another one has one of some values; of several others one is enough.
# Elsewhere it has to be left at its default: set, it would do nothing. SECTION.*: every field of a section.
# Not here is what one config file says for several choices that a flag then makes: the source of the data
# (data.name, data.test_fraction), whether alpha is trained (its optimiser and scale), the selection.
READ_WITH: dict[str, dict[str, Collection[Any]]] = {
    "custom_space.*": {"space": (spaces.custom.NAME,)},
    "data.path": {"data.source": ("tfds", "npz", "folder")},
    "data.test_split": {"data.source": ("tfds", "folder")},
    "data.test_resize": {"data.stream": (True,)},
    "data.color_jitter": {"data.stream": (True,)},
    "data.hue_jitter": {"data.stream": (True,)},
    "data.image_size": {"data.source": ("folder",), "data.stream": (True,)},
    "data.fit": {"data.source": ("folder",)},
    "search.fixed_alpha_scale": {"search.method": registry.UNTRAINED_ALPHA},
    "early_stopping.ratio": {"early_stopping.window": range(1, 2**63)},
    **_of_sections(),
    "sdarts.attack_steps": {
        "search.method": ("sdarts_adv",),
        "search.parts": ("adversarial_perturbation",),
    },
    "sgas.history": {"sgas.criterion": (2,)},
    "selection.recalibration_batches": {"selection.probe_statistics": ("recalibrated",)},
    "training.decay": {"training.schedule": ("exponential",)},
    "training.learning_rate_min": {"training.schedule": ("cosine", "linear")},
    "own_images.budget": {"own_images.plan": (True,)},
    "own_images.hours": {"own_images.plan": (True,)},
    "runtime.tpu": {"runtime.strategy": ("tpu",)},
    "runtime.logical_devices": {"runtime.strategy": ("mirrored",)},
}


def check(config: ml_collections.ConfigDict, fields: Fields) -> None:
    """Check fields that are each allowed against each other.

    Args:
      config: every field, each of its type and allowed for itself.
      fields: the fields.

    Raises:
      UserError: a setting that nothing reads beside the others, or a contradiction; the message names the
        field, its value and what is allowed.
    """
    _check_read(config, fields)
    budget_text.parse(config.own_images.budget)
    spaces.with_stem(spaces.of(config), config.search.stem, "search")
    space = spaces.with_stem(spaces.of(config), config.training.stem)
    _check_data(config.data)
    _check_depth(config, space)
    _check_search(config)
    _check_selection(config, space)
    _check_comparison(config)
    _check_training(config)
    _check_runtime(config)
    for name, space_of in (("table", "nas_bench_201"), ("surrogate", "darts")):
        value = config.report[name]
        refuse_address(f"config: report.{name}", value)
        if value and config.space != space_of:
            raise UserError(
                f"config: report.{name} is {show(value)} and space is {config.space!r}; allowed: a"
                f" {name} only with space {space_of!r}"
            )
    if config.own_images.plan and config.data.training_only:
        raise UserError(
            f"config: data.training_only is {config.data.training_only} with own_images.plan, whose rules are"
            " for all images; allowed: 0"
        )


def _check_read(config: ml_collections.ConfigDict, fields: Fields) -> None:
    """Check that no field is set which nothing reads, as `READ_WITH` says."""
    for name, others in READ_WITH.items():
        if any(_reads(value_of(config, other), values) for other, values in others.items()):
            continue
        section, _, only = name.rpartition(".")
        for field in fields[section] if only == "*" else (only,):
            value = config[section][field]
            if value != fields[section][field].default:
                allowed = ", or ".join(f"{other} {_text(values)}" for other, values in others.items())
                now = ", ".join(f"{other} is {show(value_of(config, other))}" for other in others)
                raise UserError(
                    f"config: {section}.{field} is {show(value)}; allowed: only with {allowed}, and {now}"
                )


def _reads(value: Any, values: Collection[Any]) -> bool:
    """Return whether a value is, or has, one of those; what is the user's own may read what it likes."""
    if isinstance(value, tuple):  # search.parts
        return any(item in values or item not in registry.PARTS.built_in for item in value)
    own = isinstance(value, str) and value in registry.METHODS and value not in registry.METHODS.built_in
    return own or value in values


def _text(values: Collection[Any]) -> str:
    if isinstance(values, range):
        return f"of at least {values.start}"
    return ", ".join(repr(value) for value in (sorted(values) if isinstance(values, frozenset) else values))


def _check_data(data: ml_collections.ConfigDict) -> None:
    refuse_address("config: data.path", data.path)
    if data.source in ("npz", "folder") and not data.path:
        raise UserError(f"config: data.path is empty; data.source {data.source!r} needs a path")
    if data.source == "tfds" and not data.name:
        raise UserError("config: data.name is empty; data.source 'tfds' needs the name of a data set")
    if not data.stream:
        return
    for name, value, good in (
        ("source", "tfds or folder", data.source in ("tfds", "folder")),
        ("crop_padding", "0: crops are of another kind", data.crop_padding == 0),
        ("downscale", "1", data.downscale == 1),
        ("fit", "'squeeze': parts are cut out", data.fit == "squeeze"),
        ("test_resize", f"at least data.image_size, {data.image_size}", data.test_resize >= data.image_size),
    ):
        if not good:
            raise UserError(f"config: data.{name} is {data[name]!r} with data.stream; allowed: {value}")


def _check_depth(config: ml_collections.ConfigDict, space: spaces.Space) -> None:
    """Check that graphs can be traced: so many operations of a supernet, so many edges of a network."""
    edges = sum(space.keeps(node) for node in space.targets)
    for section, per_cell in (
        ("search", {t: sum(map(len, rows)) for t, rows in space.candidates.items()}),
        ("training", dict.fromkeys(space.cell_types, edges)),
    ):
        cells = config[section].cells
        types = [block.cell_type for block in space.stacking.blocks(cells) if block.cell_type]
        operations = sum(per_cell[cell_type] for cell_type in types)
        if operations > limits.SUPERNET.most:
            smaller = " or a smaller custom_space" if config.space == spaces.custom.NAME else ""
            raise UserError(
                f"config: {section}.cells is {cells}: in space {config.space!r} the cells have {operations}"
                f" operations in all; allowed: at most {limits.SUPERNET}, by fewer cells{smaller}"
            )
        steps, most = config.sdarts.attack_steps, limits.SUPERNET.most // max(operations, 1)
        attacks = config.search.method == "sdarts_adv" or "adversarial_perturbation" in config.search.parts
        unrolled = attacks and config.runtime.strategy != "one_device"
        if section == "search" and unrolled and steps > most:
            raise UserError(
                f"config: sdarts.attack_steps is {steps} with runtime.strategy {config.runtime.strategy!r},"
                f" where every step is traced separately; allowed: at most {most}, as the"
                f" supernet has {operations} operations"
            )


def _check_progressive(progressive: ml_collections.ConfigDict) -> None:
    """Check that stages are as many, each with fewer operations and more channels in them."""
    channels, operations = progressive.partial_channels, progressive.operations
    pairs = list(itertools.pairwise(channels))
    good = (
        ("partial_channels", bool(channels), "at least one stage"),
        ("partial_channels", all(a > b for a, b in pairs), "each larger than the next"),
        ("partial_channels", all(k >= 2 for k in channels), "at least 2"),
        ("operations", len(operations) == len(channels), f"as many as partial_channels, {len(channels)}"),
        ("operations", all(a > b for a, b in itertools.pairwise(operations)), "each fewer"),
        ("operations", all(n >= 1 for n in operations), "at least 1"),
    )
    for name, holds, allowed in good:
        if not holds:
            raise UserError(f"config: progressive.{name} is {show(progressive[name])}; allowed: {allowed}")


def last_epoch_field(search: ml_collections.ConfigDict) -> str:
    """Return the name of the field of `search` that says how many epochs are searched."""
    return "stop_after" if search.stop_after else "epochs"


def _check_search(config: ml_collections.ConfigDict) -> None:
    search, window = config.search, config.early_stopping.window
    for name in search.parts:
        registry.PARTS.check(name, "config: search.parts")
    parts = parts_of(config)
    if twice := [name for name in search.parts if parts.count(name) > 1]:
        raise UserError(
            f"config: search.parts is {show(search.parts)}; allowed: every part once, and {twice[0]!r} is"
            f" there twice with those of search.method {search.method!r}"
        )
    if search.method in registry.UNTRAINED_ALPHA:
        about_alpha = {
            "search.alpha_warmup_epochs": search.alpha_warmup_epochs,
            "early_stopping.window": window,
        }
        for name, value in about_alpha.items():
            if value:
                raise UserError(
                    f"config: {name} is {value} with search.method {search.method!r}, which never trains"
                    " alpha; allowed: 0"
                )
    _check_progressive(config.progressive)
    if search.stop_after > search.epochs:
        raise UserError(
            f"config: search.stop_after is {search.stop_after}; allowed: at most search.epochs,"
            f" {search.epochs}"
        )
    last = last_epoch_field(search)
    if search.alpha_warmup_epochs >= search[last]:
        raise UserError(
            f"config: search.alpha_warmup_epochs is {search.alpha_warmup_epochs}; allowed: less than"
            f" search.{last}, {search[last]}"
        )


def _check_selection(config: ml_collections.ConfigDict, space: spaces.Space) -> None:
    search, selection = config.search, config.selection
    criteria = {selection.criterion, selection.topology_criterion} - {"same"}
    perturbed = selection.method == "perturbation"
    if search.method in registry.UNTRAINED_ALPHA:
        for field, bad in (
            ("method", selection.method in NEEDS_ALPHA),
            ("criterion", perturbed and selection.criterion == MAGNITUDE),
            ("topology_criterion", perturbed and selection.topology_criterion == MAGNITUDE),
            ("order", perturbed and selection.order in ("least_certain", "most_certain")),
        ):
            if bad:
                raise UserError(
                    f"config: selection.{field} is {selection[field]!r} with search.method {search.method!r}:"
                    " alpha was never trained, so its size says nothing"
                )
    if perturbed and selection.probe_statistics != "batch" and criteria <= registry.NOT_PROBED:
        raise UserError(
            f"config: selection.probe_statistics is {selection.probe_statistics!r} with criterion"
            f" {', '.join(sorted(criteria))}, which probes nothing; allowed: 'batch'"
        )
    probed = criteria - {MAGNITUDE}
    if selection.racing_confidence and not (probed and probed <= {*RACEABLE}):
        raise UserError(
            f"config: selection.racing_confidence is {selection.racing_confidence} with criterion"
            f" {', '.join(sorted(criteria))}; allowed: 0, or a criterion that is probed image by image:"
            f" {', '.join(RACEABLE)}"
        )
    if selection.racing_confidence and selection.probe_statistics == "recalibrated":
        raise UserError(
            f"config: selection.racing_confidence is {selection.racing_confidence} with"
            " selection.probe_statistics 'recalibrated', where probes come one after the other; allowed: 0"
        )
    if perturbed and selection.supernets > 1:
        for name, value, good in (
            ("selection.one_shot", "True: nothing fine-tunes several", selection.one_shot),
            ("selection.racing_confidence", "0", not selection.racing_confidence),
            ("selection.criterion", "one that is probed", selection.criterion != MAGNITUDE),
            ("selection.topology_criterion", "one that is probed", selection.topology_criterion != MAGNITUDE),
            (
                "search.method",
                "one that decides nothing itself",
                search.method not in registry.DECIDING_METHODS,
            ),
        ):
            if not good:
                raise UserError(
                    f"config: {name} is {value_of(config, name)!r} with selection.supernets"
                    f" {selection.supernets}; allowed: {value}"
                )
    for name, allowed in (("topology_criterion", "same"), ("topology_first", False)):
        if selection[name] != allowed and not space.topology_nodes:
            raise UserError(
                f"config: selection.{name} is {selection[name]!r} with space {config.space!r}, whose nodes"
                f" keep all their edges; allowed: {allowed!r}"
            )
    if perturbed and selection.topology_first and selection.one_shot:
        raise UserError(
            "config: selection.topology_first is True with selection.one_shot, where no decision sees"
            " another; allowed: False"
        )
    every = [edge for rows in space.candidates.values() for edge in rows]
    if selection.threshold and not (space.none_in_genotype and all(NONE in edge for edge in every)):
        raise UserError(
            f"config: selection.threshold is {selection.threshold} with space {config.space!r}; allowed: 0,"
            " or a space with the operation none on every edge, also of genotypes"
        )
    if selection.threshold and "partial_channels" in parts_of(config):
        raise UserError(
            f"config: selection.threshold is {selection.threshold} with the search part 'partial_channels',"
            " whose mixing weights are weighted by edges too; allowed: 0"
        )
    if selection.max_latency_ms and not selection.latency_table and config.runtime.strategy == "multi_worker":
        raise UserError(
            "config: selection.latency_table is empty with selection.max_latency_ms and runtime.strategy"
            " 'multi_worker', whose processes would each measure one of their own; allowed: a table"
        )
    other = [name for name in parts_of(config) if name in ("partial_channels", "progressive", "sigmoid")]
    if selection.noise_radius and other:
        raise UserError(
            f"config: selection.noise_radius is {selection.noise_radius} with the search part {other[0]!r},"
            " whose mixing weights do not sum to 1; allowed: 0"
        )
    if not re.fullmatch(rf"[\w-]{{0,{limits.FOLDER_NAME}}}", selection.name):
        raise UserError(
            f"config: selection.name is {show(selection.name)}; allowed: letters, digits, _ and -, at most"
            f" {limits.FOLDER_NAME}"
        )


def _check_comparison(config: ml_collections.ConfigDict) -> None:
    """Check that no selection takes the folder of a rival."""
    if config.comparison.rivals and config.selection.name in registry.RIVALS:
        raise UserError(
            f"config: selection.name is {config.selection.name!r} with comparison.rivals; allowed: a"
            f" name that is none of {', '.join(registry.RIVALS)}"
        )


def _check_training(config: ml_collections.ConfigDict) -> None:
    training = config.training
    for section in ("search", "training", "analysis"):
        if config[section].learning_rate_min > config[section].learning_rate:
            raise UserError(
                f"config: {section}.learning_rate_min is {config[section].learning_rate_min!r}; allowed: at"
                f" most {section}.learning_rate, {config[section].learning_rate!r}"
            )
    if training.warmup_epochs >= training.epochs:
        raise UserError(
            f"config: training.warmup_epochs is {training.warmup_epochs}; allowed: less than training.epochs,"
            f" {training.epochs}"
        )


def _check_runtime(config: ml_collections.ConfigDict) -> None:
    if config.runtime.precision == "float64" and config.runtime.strategy == "tpu":
        raise UserError(
            "config: runtime.precision is 'float64' with runtime.strategy 'tpu'; allowed: float64 on a CPU"
        )
    strategy, compiled = config.runtime.strategy, config.runtime.xla
    if (strategy, compiled) in (("tpu", "off"), ("multi_worker", "on")):
        allowed = "auto, on" if strategy == "tpu" else "auto, off"
        raise UserError(
            f"config: runtime.xla is {compiled!r} with runtime.strategy {strategy!r}; allowed there:"
            f" {allowed}"
        )
    if compiled == "on" and config.runtime.kernels == "native":
        raise UserError(
            "config: runtime.xla is 'on' with runtime.kernels 'native', which XLA does not know; allowed:"
            " one of them"
        )
    devices = config.runtime.logical_devices
    for section in ("search", "training"):
        size = config[section].batch_size
        if devices and size % devices:
            raise UserError(
                f"config: {section}.batch_size is {size}; allowed: a multiple of runtime.logical_devices,"
                f" {devices}"
            )
