"""The files in configs/: valid, and true to what they say and to the published settings."""

import runpy
from pathlib import Path

import pytest

from tf_darts import config as config_lib

FOLDER = Path(__file__).resolve().parents[1] / "configs"
# benchmark.py and study_*.py are configs of other programs; tests/benchmark and tests/study have their tests.
FILES = sorted(p for p in FOLDER.glob("*.py") if p.stem != "benchmark" and not p.stem.startswith("study_"))


def load(name):
    return config_lib.validate(runpy.run_path(str(FOLDER / f"{name}.py"))["get_config"]())


def holds(config, **fields):
    """Checks that fields (two underscores for the dot) have these values."""
    values = config.to_dict()
    found = {name: values[name.split("__")[0]][name.split("__")[1]] for name in fields}
    assert found == fields


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_config_is_valid_and_says_how_it_is_run(path):
    module = runpy.run_path(str(path))
    config = module["get_config"]()
    first, *rest = module["__doc__"].splitlines()
    if config.data.source in ("npz", "folder") and not config.data.path:  # left to the flag
        assert any("--data_dir=" in line for line in rest)
        config.data.path = "given by the flag"
    config_lib.validate(config)
    assert first.endswith(".") and len(first) > 20
    command = f"bin/run --config=configs/{path.name} --workdir=runs/"
    assert any(line.startswith(f"    {command}") for line in rest)


def test_there_is_something_for_each_paper_setting_and_a_quickstart():
    names = {path.stem for path in FILES}
    assert names >= {"quickstart", "darts_cifar10", "darts_cifar10_fixed_alpha", "nas_bench_201_cifar10"}


def test_a_config_is_made_anew_at_each_call():
    module = runpy.run_path(str(FOLDER / "quickstart.py"))
    module["get_config"]().search.epochs = 1
    assert module["get_config"]().search.epochs != 1


PUBLISHED_SEARCH = {
    "search__batch_size": 64,
    "search__channels": 16,
    "search__learning_rate": 0.025,
    "search__learning_rate_min": 0.001,
    "search__momentum": 0.9,
    "search__weight_decay": 3e-4,
    "search__clip_norm": 5.0,
    "search__alpha_learning_rate": 3e-4,
    "search__alpha_beta1": 0.5,
    "search__alpha_beta2": 0.999,
    "search__alpha_epsilon": 1e-8,
    "search__alpha_weight_decay": 1e-3,
    "search__alpha_scale": 1e-3,
    "selection__method": "perturbation",
    "selection__criterion": "accuracy",
    "selection__interval": 5,
    "selection__learning_rate": 0.0025,
    "selection__augment_probes": True,
    "data__source": "tfds",
    "data__name": "cifar10",
    "data__train_fraction": 0.5,
    "data__split": "order",
    "data__crop_padding": 4,
    "data__flip": True,
    "data__limit_train": 0,
    "data__limit_test": 0,
}
PUBLISHED_TRAINING = {
    "training__channels": 36,
    "training__cells": 20,
    "training__epochs": 600,
    "training__batch_size": 96,
    "training__learning_rate": 0.025,
    "training__learning_rate_min": 0.0,
    "training__momentum": 0.9,
    "training__weight_decay": 3e-4,
    "training__clip_norm": 5.0,
    "training__auxiliary_weight": 0.4,
    "training__drop_path": 0.2,
    "training__cutout_length": 16,
    "training__label_smoothing": 0.0,
}


@pytest.mark.parametrize("name", ["darts_cifar10", "darts_cifar10_fixed_alpha"])
def test_the_darts_configs_have_the_published_settings(name):
    config = load(name)
    assert config.space == "darts" and config.seed == 2
    method = "fixed_alpha" if name.endswith("fixed_alpha") else "darts"
    holds(config, search__method=method, search__fixed_alpha_scale=0.0)
    holds(config, search__epochs=50, search__cells=8, **PUBLISHED_SEARCH)
    holds(config, **PUBLISHED_TRAINING)


def test_the_nas_bench_201_config_has_the_published_settings():
    config = load("nas_bench_201_cifar10")
    assert config.space == "nas_bench_201" and config.seed == 0
    holds(config, search__method="darts", search__epochs=100, search__cells=5, **PUBLISHED_SEARCH)
    holds(
        config, training__channels=16, training__cells=5, training__epochs=200, training__auxiliary_weight=0.0
    )


def test_the_small_config_differs_from_the_published_one_in_size_alone():
    small, published = load("nas_bench_201_cifar10_small"), load("nas_bench_201_cifar10")
    changed = {line.split(":")[0] for line in config_lib.differences(published.to_dict(), small.to_dict())}
    assert changed <= {
        "data.limit_train",
        "data.limit_test",
        "search.channels",
        "search.cells",
        "search.epochs",
        "selection.interval",
        "training.channels",
        "training.cells",
        "training.epochs",
        "training.batch_size",
    }
