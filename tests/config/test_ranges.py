"""Every field has two ends: an extreme value is refused by name in a second, or a stage can take it."""

import time

import numpy as np
import pytest
from PIL import Image

from tests.config.test_fields import beside, field_of
from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.config import NAMES, limits
from tf_darts.data import sources, transform
from tf_darts.errors import LONGEST, UserError, listed
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.models import budget, memory
from tf_darts.models.network import Network, count_parameters
from tf_darts.models.supernet import Supernet
from tf_darts.registry import METHODS
from tf_darts.runtime.steps import check_steps
from tf_darts.search import plan
from tf_darts.search import setup as search_setup
from tf_darts.selection import schedule
from tf_darts.training import setup as training_setup

pytestmark = pytest.mark.usefixtures("registries")


def deep(levels):
    value = ("skip_connect",)
    for _ in range(levels):
        value = (value,)
    return value


EXTREME = {
    **{str(v): v for v in (0, -1, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63))},
    "10^400": 10**400,
    "10^5000": 10**5000,
    **{str(v): v for v in (1e-320, 1e30, 1e308, -1e30, float("nan"), float("inf"), -float("inf"), -0.0)},
    **{
        repr(v): v for v in (True, None, "", " ", "x\0y", "a\nb", "\ud800", "../..", (), [], {}, (2**63,), 1j)
    },
    "long text": "x" * 10**6,
    "long name": "nor_conv_3x3" * 10**4,
    "many names": ("skip_connect",) * 10**5,
    "many others": tuple(map(str, range(10**5))),
    "many nodes": tuple(range(10**5)),
    "many keys": {str(i): "math:sqrt" for i in range(10**4)},
    "long key": {"k" * 10**5: "math:sqrt"},
    "long entry": {"own_of_ranges": "m" * 10**5 + ":sqrt"},
    "deep": deep(10**4),
    "deep rows": {"normal": deep(4)},
}


def changed(name, value):
    """The default config, and what the field needs beside it, with another value: sections of fields."""
    config = config_lib.default().to_dict()
    for field, other in {**beside(name), name: value}.items():
        section, _, last = field.rpartition(".")
        (config[section] if section else config)[last] = other
    return config


@pytest.mark.parametrize("name", NAMES)
def test_extreme_values_are_refused_by_name_or_are_a_config(name):
    for what, value in EXTREME.items():
        start = time.process_time()
        try:
            config = config_lib.validate(changed(name, value))
        except UserError as error:
            message = str(error)
            assert name in message and "\n" not in message and len(message) <= 500, (what, message)
            assert any(
                word in message for word in ("allowed: ", "did you mean", "cannot be loaded", "is empty")
            )
        else:
            spaces.of(config)
        assert time.process_time() - start < 1, what


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_number_that_is_allowed_is_the_last_one(name):
    field = field_of(name)
    if type(field.default) not in (int, float) or name == "sgas.criterion":
        return
    most = next(most for most in (2**n for n in range(120)) if not field.check(type(field.default)(most)))
    assert most <= 2**100, "no upper end"
    assert "at most" in field.allowed or " to " in field.allowed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 2**32),
        ("data.crop_padding", 5000),
        ("search.cells", 2**31),
        ("training.cells", 2**31),
        ("training.channels", 100_000),
        ("sdarts.attack_steps", 10**9),
        ("selection.interval", 2**63),
        ("search.epochs", 2**63),
        ("training.epochs", 2**63),
        ("custom_space.nodes", 3000),
    ],
)
def test_what_once_ran_for_ever_or_failed_far_below(name, value):
    with pytest.raises(UserError) as caught:
        config_lib.validate(changed(name, value))
    assert str(caught.value).startswith(f"config: {name} is {value}; allowed: an integer of at least ")
    assert " and at most " in str(caught.value) and str(caught.value).endswith(")")  # with the reason


def test_messages_are_short_and_lists_are_cut():
    assert listed("abc") == "a, b, c" and listed(range(14), 12) == ", ".join(map(str, range(14)))
    assert listed(range(200), 3) == "0, 1, 2, ... (200 in all)"
    message = str(UserError("begins " + "x" * 10**5 + " ends"))
    assert len(message) == LONGEST and message.startswith("begins x") and message.endswith("x ends")
    assert str(UserError("short")) == "short"


# What depends on the data or the machine: checked by the stages, before anything is built.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data__crop_padding": 9}, "data.crop_padding is 9 with images of 8x8; allowed: at most 8: a crop"),
        (
            {"search__channels": 4096, "search__cells": 200},
            "search.batch_size is 8 and search.channels 4096: a ",
        ),
    ],
)
def test_a_search_is_checked_with_its_data(fields, message, monkeypatch):
    monkeypatch.setattr(memory.host, "available_memory", lambda: 64 * 10**9)
    config = tiny.config(**fields)
    with pytest.raises(UserError) as caught:
        search_setup.check(config, tiny.SPACE, tiny.data(config), 1)
    assert str(caught.value).startswith(f"config: {message}")


@pytest.mark.parametrize("genotype", [None, tiny.GENOTYPE])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data__crop_padding": 9}, "data.crop_padding is 9 with images of 8x8; allowed: at most 8: a crop"),
        (
            {"training__channels": 4096, "training__cells": 1000},
            "training.batch_size is 8 and training.channels 4096: a step needs about ",
        ),
    ],
)
def test_a_training_is_checked_with_its_data(fields, message, genotype, monkeypatch):
    monkeypatch.setattr(memory.host, "available_memory", lambda: 2 * 10**9)
    config = tiny.config(**fields)
    with pytest.raises(UserError) as caught:
        training_setup.check(config, tiny.SPACE, tiny.data(config), 1, genotype)
    assert str(caught.value).startswith(f"config: {message}")


def test_the_estimate_for_training_is_what_was_measured():
    """5.94 GiB for a network of 36 channels and 20 cells, and its count of weights; docs/performance.md."""
    space, genotype = spaces.get("darts"), PUBLISHED["darts_pt_s5_0"]
    chosen = memory.in_network(space, genotype)
    needed = memory.estimate(space, 36, 20, 96, (32, 32, 3), candidates=chosen)
    assert 0.85 < needed / (5.94 * 2**30) < 1.15
    assert needed > memory.estimate(space, 36, 20, 96, (32, 32, 3), candidates=memory.in_network(space, None))
    weights = memory.of_weights(space, 8, 5, candidates=chosen) / (memory.BYTES * memory.COPIES)
    counted = count_parameters(Network(space, genotype, 8, 5, 10))
    assert weights == pytest.approx(counted, rel=0.1)  # batch norms and the head are left out
    for name in ("darts", "nas_bench_201"):
        supernet = Supernet(spaces.get(name), 8, 3, 10)
        counted = sum(np.prod(v.shape) for v in supernet.trainable_variables)
        weights = memory.of_weights(spaces.get(name), 8, 3) / (memory.BYTES * memory.COPIES)
        assert weights == pytest.approx(counted, rel=0.05)


def test_steps_are_numbered_in_32_bits():
    check_steps("search.epochs", 100_000, 25_000, 64)
    with pytest.raises(
        UserError, match=r"search.epochs is 100000, of 25000 steps each; allowed: at most 2147483647"
    ):
        check_steps("search.epochs", 100_000, 25_000, 1)


def test_stages_of_the_largest_settings_are_planned():
    """A plan that took every step one by one would not end."""
    config = tiny.config(search__epochs=limits.EPOCHS.most)
    epochs = plan.plan(METHODS.load("darts")(config, tiny.SPACE), 100, 1)
    assert len(epochs) == limits.EPOCHS.most
    _, fine_tuning = schedule.event_epochs(1000, limits.EPOCHS.most, True)
    assert fine_tuning == 999 * limits.EPOCHS.most + 1
    transform.check_crops(32, (32, 32, 3))


def test_a_budget_with_too_many_ways_to_choose_edges_is_refused():
    config = config_lib.validate(
        changed("custom_space.nodes", 32)
        | {"space": "custom", "search": {"cells": 1}, "training": {"cells": 1}}
        | {"selection": {"max_parameters": 10**6}}
        | {"custom_space": {"nodes": 32, "candidates": ("skip_connect", "sep_conv_3x3"), "kept_edges": 12}}
    )
    with pytest.raises(
        UserError, match="custom_space.kept_edges is 12 with selection.max_parameters: nodes can"
    ):
        budget.of_config(config, spaces.of(config), 10, (32, 32, 3))


def test_attack_steps_that_are_unrolled_are_few():
    config = config_lib.default()
    config.search.method, config.sdarts.attack_steps = "sdarts_adv", 1000
    config_lib.validate(config)  # a loop of the graph
    config.runtime.strategy = "mirrored"
    message = (
        "sdarts.attack_steps is 1000 with runtime.strategy 'mirrored', where .* at most 25, as the supernet"
    )
    with pytest.raises(UserError, match=message):
        config_lib.validate(config)
    config.sdarts.attack_steps = 25
    config_lib.validate(config)


def test_a_folder_of_images_that_memory_does_not_hold_is_refused(tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for k in range(5):
            Image.new("RGB", (4, 4), (k, k, k)).save(tmp_path / name / f"{k}.png")
    monkeypatch.setattr(memory.host, "available_memory", lambda: 4 * 10**6)
    data = config_lib.default().data
    data.source, data.path, data.image_size = "folder", str(tmp_path), 400
    with pytest.raises(
        UserError, match=r"data.image_size is 400: 10 images of that side take 0.0 GB; allowed"
    ):
        sources.load(data, 0)
    data.image_size = 4
    sources.load(data, 0)
