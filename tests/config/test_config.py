"""Configs: every field checked before anything starts, in one line that names it."""

import ml_collections
import pytest

from tf_darts import config as config_lib
from tf_darts import registry, spaces
from tf_darts.config import NAMES
from tf_darts.errors import UserError, show


def with_field(name, value, base=None):
    """The default config with one field set, whatever its type."""
    config = (base or config_lib.default()).to_dict()
    *sections, field = name.split(".")
    group = config
    for section in sections:
        group = group[section]
    group[field] = value
    return ml_collections.ConfigDict(config)


def field_of(config, name):
    for part in name.split("."):
        config = config[part]
    return config


def refused(name, value):
    with pytest.raises(UserError) as caught:
        config_lib.validate(with_field(name, value))
    message = str(caught.value)
    assert message.startswith("config: ") and "\n" not in message
    return message


def test_the_default_is_valid_and_has_the_published_settings():
    config = config_lib.validate(config_lib.default())
    assert config.to_dict() == config_lib.default().to_dict()
    published = {
        "search.epochs": 50,
        "search.batch_size": 64,
        "search.channels": 16,
        "search.cells": 8,
        "search.learning_rate": 0.025,
        "search.learning_rate_min": 0.001,
        "search.momentum": 0.9,
        "search.weight_decay": 3e-4,
        "search.clip_norm": 5.0,
        "search.alpha_learning_rate": 3e-4,
        "search.alpha_beta1": 0.5,
        "search.alpha_beta2": 0.999,
        "search.alpha_epsilon": 1e-8,
        "search.alpha_weight_decay": 1e-3,
        "search.alpha_scale": 1e-3,
        "selection.interval": 5,
        "selection.supernets": 1,
        "selection.learning_rate": 0.0025,
        "selection.augment_probes": True,
        "selection.probe_images": 0,  # all
        "selection.racing_confidence": 0.0,  # no race
        "training.channels": 36,
        "training.cells": 20,
        "training.epochs": 600,
        "training.batch_size": 96,
        "training.learning_rate": 0.025,
        "training.learning_rate_min": 0.0,
        "training.auxiliary_weight": 0.4,
        "training.drop_path": 0.2,
        "training.cutout_length": 16,
    }
    assert {name: field_of(config, name) for name in published} == published


def test_validation_gives_a_copy_with_every_field():
    given = ml_collections.ConfigDict({"search": {"epochs": 3}, "seed": 7})
    config = config_lib.validate(given)
    assert config.search.epochs == 3 and config.seed == 7
    assert config.search.batch_size == 64 and config.training.epochs == 600
    config.search.epochs = 4
    assert given.search.epochs == 3


@pytest.mark.parametrize("name", list(spaces.SPACES))
def test_every_space_may_be_named(name):
    assert config_lib.validate(with_field("space", name)).space == name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("search.epoch", "search.epochs"),
        ("search.batchsize", "search.batch_size"),
        ("training.learning_rates", "training.learning_rate"),
        ("sede", "seed"),
        ("spaces", "space"),
        ("serach", "search"),
        ("search.drop_path", "selection.drop_path"),
    ],
)
def test_an_unknown_field_gets_the_nearest_name(name, near):
    assert refused(name, 1) == f"config: unknown field {name!r}; did you mean {near}?"


def test_a_field_like_no_other_gets_the_first_of_the_list_and_where_it_is():
    message = refused("zzz", 1)
    assert "unknown field 'zzz'; allowed: seed, space, extensions.operations, " in message
    assert f", ... ({len([*NAMES, *filter(None, config_lib.FIELDS)])} in all)" in message
    assert message.endswith("; tf_darts/config/fields.py lists them") and len(message) < 1000


@pytest.mark.parametrize("name", NAMES)
def test_every_field_refuses_other_types(name):
    right = type(field_of(config_lib.default(), name))
    for value in (None, [1], (1,), 1 + 1j, "1", True, 1.0):
        if type(value) is not right:
            assert refused(name, value).startswith(f"config: {name} is {value!r}; allowed: ")


NUMBERS = [name for name in NAMES if type(field_of(config_lib.default(), name)) is float]
INTEGERS = [name for name in NAMES if type(field_of(config_lib.default(), name)) is int]


@pytest.mark.parametrize("name", [name for name in NUMBERS if not name.endswith("_fraction")])
def test_integers_serve_as_numbers(name):
    config = config_lib.default()
    config.search.learning_rate_min = 0.0  # so that the rate itself may be 0
    section = name.split(".")[0]
    if section in registry.METHOD_SECTIONS:  # only read by some methods
        config.search.method = registry.METHOD_SECTIONS[section][0]
    elif section in registry.PART_SECTIONS:
        config.search.parts = registry.PART_SECTIONS[section][:1]
    if name.endswith("_jitter"):  # only read where images are streamed
        config.data.stream, config.data.crop_padding = True, 0
    if name == "training.decay":  # only read by one schedule
        config.training.schedule = "exponential"
    if name == "early_stopping.ratio":  # only read where the search may stop
        config.early_stopping.window = 1
    if name == "own_images.hours":  # only read where a run plans itself
        config.own_images.plan = True
    above_0 = "temperature" in name or name in ("training.decay", "data.share", "aligned_cells.epsilon")
    given = 1 if above_0 else 0
    value = field_of(config_lib.validate(with_field(name, given, config)), name)
    assert type(value) is float and value == given


@pytest.mark.parametrize("name", INTEGERS)
def test_numbers_do_not_serve_as_integers(name):
    refused(name, float(field_of(config_lib.default(), name)))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("space", "dart", "one of darts, darts_with_none, s1, s2, s3, s4, nas_bench_201"),
        ("seed", -1, "an integer of at least 0"),
        ("search.epochs", 0, "an integer of at least 1"),
        ("search.batch_size", 0, "an integer of at least 1"),
        ("search.momentum", 1.1, "a number from 0 to 1"),
        ("search.learning_rate", -0.1, "a number from 0"),
        ("search.learning_rate", float("nan"), "a number from 0"),
        ("search.learning_rate", float("inf"), "a number from 0"),
        ("search.learning_rate", 10**400, "a number from 0"),
        ("search.alpha_beta2", 1.0, "a number from 0 to 0.99999"),
        ("search.method", "dart", "one of darts, "),
        ("selection.method", "both", "one of magnitude, perturbation"),
        ("selection.probe_images", -1, "an integer of at least 0"),
        ("selection.racing_confidence", -0.5, "a number from 0 to 0.9999"),
        ("selection.racing_confidence", 1.0, "a number from 0 to 0.9999"),
        ("selection.racing_confidence", 95.0, "a number from 0 to 0.9999"),
        ("selection.compact", 1, "True or False"),
        ("training.drop_path", 1.0, "a number from 0 to 0.95"),
        ("training.drop_path", float("nan"), "a number from 0 to 0.95"),
        ("training.cells", 0, "an integer of at least 1"),
        ("data.train_fraction", 1.0, "a number from 0.01 to 0.99"),
        ("data.crop_padding", -1, "an integer of at least 0"),
        ("data.source", "files", "one of digits, tfds, npz, folder"),
        ("runtime.strategy", "tpus", "one of one_device, mirrored, multi_worker, tpu"),
    ],
)
def test_values_out_of_range(name, value, allowed):
    assert f"config: {name} is {show(value)}; allowed: {allowed}" in refused(name, value)


@pytest.mark.parametrize("value", [3, "x", None, [1]])
def test_a_group_of_fields_cannot_be_a_value(value):
    assert refused("search", value) == f"config: search is {value!r}; allowed: a group of fields"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.source": "npz"}, "data.path is empty; data.source 'npz' needs a path"),
        ({"data.source": "folder"}, "data.path is empty"),
        ({"data.name": ""}, "data.name is empty"),
        (
            {"search.method": "fixed_alpha", "selection.method": "magnitude"},
            "selection.method is 'magnitude' with search.method 'fixed_alpha'",
        ),
        (
            {"report.table": "nb201.csv.gz"},
            "report.table is 'nb201.csv.gz' and space is 'darts'; allowed: a table only with space",
        ),
        ({"search.stop_after": 51}, "search.stop_after is 51; allowed: at most search.epochs, 50"),
        (
            {"search.alpha_warmup_epochs": 50},
            "search.alpha_warmup_epochs is 50; allowed: less than search.epochs, 50",
        ),
        (
            {"search.alpha_warmup_epochs": 9, "search.stop_after": 9},
            "search.alpha_warmup_epochs is 9; allowed: less than search.stop_after, 9",
        ),
        ({"search.learning_rate": 0.0005}, "search.learning_rate_min is 0.001; allowed: at most"),
        ({"training.learning_rate_min": 0.1}, "training.learning_rate_min is 0.1; allowed: at most"),
        (
            {"runtime.strategy": "mirrored", "runtime.logical_devices": 5},
            "search.batch_size is 64; allowed: a multiple of runtime.logical_devices, 5",
        ),
        (
            {"runtime.strategy": "mirrored", "runtime.logical_devices": 64},
            "training.batch_size is 96; allowed: a multiple of runtime.logical_devices, 64",
        ),
    ],
)
def test_contradictions(changes, message):
    config = config_lib.default()
    for name, value in changes.items():
        config = with_field(name, value, config)
    with pytest.raises(UserError, match=message):
        config_lib.validate(config)


def test_differences():
    old = config_lib.default()
    new = with_field("search.epochs", 3, with_field("seed", 1))
    assert config_lib.differences(old.to_dict(), old.to_dict()) == []
    assert config_lib.differences(old.to_dict(), new.to_dict()) == [
        "search.epochs: 50 -> 3",
        "seed: 0 -> 1",
    ]
    assert config_lib.differences({"a": {"b": 1}}, {"a": {"c": 1}}) == ["a.b: 1 -> None", "a.c: None -> 1"]


def test_every_field_says_what_it_is():
    for fields in config_lib.FIELDS.values():
        for field in fields.values():
            assert field.doc and field.allowed and field.check(field.default)


@pytest.mark.parametrize("value", [("random_cell", "random_cell"), ("resnet",), (1,), ("random_cell", [2])])
def test_rivals_are_some_of_those_there_are(value):
    allowed = "; allowed: a tuple of some of random_cell, residual_network, each once"
    assert refused("comparison.rivals", value).endswith(allowed)


def test_no_selection_takes_the_name_of_a_rival_that_is_trained():
    config = with_field("comparison.rivals", ("residual_network",))
    assert config_lib.validate(config).comparison.rivals == ("residual_network",)
    config_lib.validate(with_field("selection.name", "random_cell"))
    with pytest.raises(UserError, match="selection.name is 'random_cell' with comparison.rivals; allowed: a"):
        config_lib.validate(with_field("selection.name", "random_cell", config))
