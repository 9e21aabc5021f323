"""The paper's rows: every one valid, with the published settings and figures (typed anew from the tables)."""

import re

import pytest

from tf_darts import config as config_lib
from tf_darts import paper
from tf_darts.errors import UserError
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.paper import ROWS

# Settings of the authors' release, by section; rows differ from them as the tests below say.
SEARCH = {
    "batch_size": 64,
    "channels": 16,
    "learning_rate": 0.025,
    "learning_rate_min": 0.001,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "clip_norm": 5.0,
    "alpha_learning_rate": 3e-4,
    "alpha_beta1": 0.5,
    "alpha_beta2": 0.999,
    "alpha_epsilon": 1e-8,
    "alpha_weight_decay": 1e-3,
    "alpha_scale": 1e-3,
    "fixed_alpha_scale": 0.0,
    "alpha_warmup_epochs": 0,
}
SELECTION = {
    "topology_criterion": "same",
    "order": "random",
    "learning_rate": 0.0025,
    "weight_decay": 3e-4,
    "drop_path": 0.0,
    "cutout_length": 0,
    "label_smoothing": 0.0,
    "noise_radius": 0.0,
    "augment_probes": True,
    "probe_images": 0,
    "racing_confidence": 0.0,
    "max_parameters": 0,
    "max_multiply_adds": 0,
}
TRAINING = {
    "channels": 36,
    "cells": 20,
    "epochs": 600,
    "batch_size": 96,
    "learning_rate": 0.025,
    "learning_rate_min": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "clip_norm": 5.0,
    "auxiliary_weight": 0.4,
    "drop_path": 0.2,
    "cutout_length": 16,
    "label_smoothing": 0.0,
}
# NAS-Bench-201 (Dong and Yang, 2020), table 1; momentum here is without Nesterov.
BENCHMARK_TRAINING = TRAINING | {
    "channels": 16,
    "cells": 5,
    "epochs": 200,
    "batch_size": 256,
    "learning_rate": 0.1,
    "weight_decay": 5e-4,
    "clip_norm": 0.0,
    "auxiliary_weight": 0.0,
    "drop_path": 0.0,
    "cutout_length": 0,
}
IMAGENET_TRAINING = TRAINING | {
    "stem": "imagenet",
    "channels": 48,
    "cells": 14,
    "epochs": 250,
    "batch_size": 128,
    "learning_rate": 0.1,
    "schedule": "exponential",
    "decay": 0.97,
    "warmup_epochs": 0,
    "weight_decay": 3e-5,
    "drop_path": 0.0,
    "cutout_length": 0,
    "label_smoothing": 0.1,
}
IMAGENET_DATA = {
    "stream": True,
    "image_size": 224,
    "test_resize": 256,
    "color_jitter": 0.4,
    "hue_jitter": 0.2,
    "flip": True,
    "test_split": "validation",
}
DATA = {"train_fraction": 0.5, "split": "order", "flip": True, "limit_train": 0, "limit_test": 0}
# method -> search method, selection method, criterion, epochs of fine-tuning between decisions, one-shot
METHODS = {
    "darts": ("darts", "magnitude", "accuracy", 5, False),
    "darts_pt": ("darts", "perturbation", "accuracy", 5, False),
    "darts_pt_fixed_alpha": ("fixed_alpha", "perturbation", "accuracy", 5, False),
    "sdarts_rs": ("sdarts_rs", "magnitude", "accuracy", 5, False),
    "sdarts_rs_pt": ("sdarts_rs", "perturbation", "accuracy", 5, False),
    "sgas": ("sgas", "magnitude", "accuracy", 5, False),
    "sgas_pt": ("sgas", "magnitude", "accuracy", 5, False),
    "darts_pt_mag": ("darts", "perturbation", "magnitude", 5, False),
    "darts_pt_loss": ("darts", "perturbation", "loss", 5, False),
    "darts_pt_no_finetuning": ("darts", "perturbation", "accuracy", 0, False),
    "darts_pt_one_shot": ("darts", "perturbation", "accuracy", 5, True),
    "shuffle": ("darts", "perturbation", "accuracy", 5, False),
    "darts_v2": ("darts", "perturbation", "accuracy", 5, False),
    **{f"darts_pt_genotype_{k}": ("darts", "perturbation", "accuracy", 5, False) for k in range(4)},
}
SOURCES = {
    "cifar10": ("tfds", "cifar10"),
    "cifar100": ("tfds", "cifar100"),
    "svhn": ("tfds", "svhn_cropped"),
    "imagenet16_120": ("npz", "cifar10"),
    "imagenet": ("tfds", "imagenet2012"),
}


def valid(row):
    config = row.config()
    if config.data.source == "npz":
        config.data.path = "given by the flag"
    return config_lib.validate(config)


def part(section, like):
    return {name: section[name] for name in like}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_has_the_published_settings(row):
    config = valid(row)
    benchmark = row.space == "nas_bench_201"
    space = "darts_with_none" if row.method.startswith("sgas") else row.space
    assert (config.space, config.seed) == (space, 0 if benchmark else 2)
    assert (config.data.source, config.data.name) == SOURCES[row.data_set]
    assert part(config.data, DATA) == DATA
    assert config.data.crop_padding == {"imagenet16_120": 2, "imagenet": 0}.get(row.data_set, 4)
    assert part(config.search, SEARCH) == SEARCH
    assert (config.search.cells, config.search.epochs) == ((5, 100) if benchmark else (8, 50))
    assert part(config.selection, SELECTION) == SELECTION
    selection = config.selection
    found = (config.search.method, selection.method, selection.criterion, selection.interval)
    assert (*found, selection.one_shot) == METHODS[row.method]
    small = not benchmark and row.data_set in ("cifar100", "svhn")
    training = BENCHMARK_TRAINING if benchmark else TRAINING | ({"channels": 16, "cells": 8} if small else {})
    if row.data_set == "imagenet":
        training = IMAGENET_TRAINING
        assert part(config.data, IMAGENET_DATA) == IMAGENET_DATA
    else:
        assert config.training.stem == "plain" and not config.data.stream
    assert part(config.training, training) == training
    if row.method.startswith("sgas"):
        decision = "accuracy" if row.method == "sgas_pt" else "magnitude"
        assert config.sgas.to_dict() == {
            "warmup_epochs": 9,
            "interval": 5,
            "batch_increase": 8,
            "criterion": 1,
            "history": 4,
            "decision": decision,
        }


def errors(text):
    """Return figures of a table typed as in the paper: a line a row, `space data_set` and the columns."""
    return [
        (line.split()[:2], [float(value) for value in line.split()[2:]]) for line in text.split("\n") if line
    ]


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (
            "table 3",
            """
s1 cifar10 3.84 3.50 2.86
s2 cifar10 4.85 2.79 2.59
s3 cifar10 3.34 2.49 2.52
s4 cifar10 7.20 2.64 2.58
s1 cifar100 29.46 24.48 24.40
s2 cifar100 26.05 23.16 23.30
s3 cifar100 28.90 22.03 21.94
s4 cifar100 22.85 20.80 20.66
s1 svhn 4.58 2.62 2.39
s2 svhn 3.53 2.53 2.32
s3 svhn 3.41 2.42 2.32
s4 svhn 3.05 2.42 2.39
""",
        ),
        ("table 4", "darts cifar10 3.00 2.61 2.87\nnas_bench_201 cifar10 45.7 11.89 6.20"),
    ],
)
def test_figures_of_darts_perturbation_and_fixed_alpha(table, lines):
    published = {
        f"{space}_{data_set}_{method}": error
        for (space, data_set), values in errors(lines)
        for method, error in zip(("darts", "darts_pt", "darts_pt_fixed_alpha"), values, strict=True)
    }
    found = {r.name: [f.value for f in r.figures if f.source == table] for r in ROWS.values()}
    assert {name: values for name, values in found.items() if values} == {
        k: [v] for k, v in published.items()
    }


def test_figures_of_the_cifar_10_table():
    found = {
        row.method: [
            (f.value, f.spread, f.parameters, f.gpu_days) for f in row.figures if f.source == "table 2"
        ]
        for row in ROWS.values()
        if "table 2" in row.tables and (row.space, row.data_set) == ("darts", "cifar10")
    }
    assert found == {
        "darts": [(3.00, 0.14, 3.3, 0.4)],
        "sdarts_rs": [(2.67, 0.03, 3.4, 0.4)],
        "sgas": [(2.66, 0.24, 3.7, 0.25)],
        "darts_pt": [(2.61, 0.08, 3.0, 0.8), (2.48, None, 3.3, 0.8)],
        "sdarts_rs_pt": [(2.54, 0.10, 3.3, 0.8), (2.44, None, 3.2, 0.8)],
        "sgas_pt": [(2.56, 0.10, 3.9, 0.29), (2.46, None, 3.9, 0.29)],
    }
    assert [figure.value for figure in ROWS["darts_cifar10_darts_pt_mag"].figures] == [2.85]
    assert str(ROWS["darts_cifar10_darts_pt"].figures[0]) == "2.61 ± 0.08 % (mean)"


def test_rows_of_one_search_share_its_work_directory_and_no_others():
    """Where the work directory is the same, so is all that the search depends on."""
    searches, selections = {}, set()
    for row in ROWS.values():
        config = valid(row)
        if row.data_set == "imagenet":
            continue  # searched for on CIFAR-10
        (workdir,) = {re.search(r"--workdir=(\S+)", command)[1] for command in row.commands()}
        depends_on = {s: config[s].to_dict() for s in config_lib.search_sections(config)}
        depends_on |= {"space": config.space, "seed": config.seed}
        assert searches.setdefault(workdir, depends_on) == depends_on
        assert (workdir, row.method) not in selections
        selections.add((workdir, row.method))
    assert len(searches) == len({str(depends_on) for depends_on in searches.values()}) > 20


def test_networks_for_imagenet_are_found_on_cifar_10_or_published():
    search, select, train = ROWS["darts_imagenet_darts_pt"].commands()
    assert (search, select) == ROWS["darts_cifar10_darts_pt"].commands()[:2]
    found = "runs/darts_cifar10_darts/selection/darts_pt/genotype.json"
    assert train.startswith("bin/train --config=configs/paper.py:darts_imagenet_darts_pt --workdir=")
    assert f"--genotype={found}" in train and select.split()[2] == "--workdir=runs/darts_cifar10_darts"
    rows = [row for row in ROWS.values() if row.data_set == "imagenet"]
    assert len(rows) == 6
    for row in rows:
        genotype = re.search(r"--genotype=(\S+) --name=(\S+)", row.commands()[-1])
        assert genotype[2] == row.method
        assert genotype[1] == found or genotype[1] in PUBLISHED
    top_1, top_5 = ROWS["darts_imagenet_darts_v2"].figures
    assert (top_1.value, top_5.value, top_1.parameters) == (26.7, 8.7, 4.7)


def test_a_config_is_made_anew_at_each_call():
    ROWS["s1_svhn_darts"].config().search.epochs = 1
    assert ROWS["s1_svhn_darts"].config().search.epochs == 50


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s1_cifar100_dart_pt", "ROW is 's1_cifar100_dart_pt'; did you mean s1_cifar100_darts_pt or "),
        ("", "ROW is ''; bin/list prints all"),
    ],
)
def test_an_unknown_row(name, message):
    with pytest.raises(UserError, match=re.escape(message)):
        paper.row(name)
