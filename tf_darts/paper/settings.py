"""What the spaces, data sets and methods of the paper lay over the default config (authors' release)."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set of the paper.

    Attributes:
      label: its name in the paper.
      settings: what it lays over a config.
      place: what stands for its folder or file in a command.
      searched_on: another data set, on which the networks that are trained here were found; "": this one.
    """

    label: str
    settings: Mapping[str, Any]
    place: str = "TFDS_DIRECTORY"
    searched_on: str = ""


@dataclasses.dataclass(frozen=True)
class PaperMethod:
    """A search and what is done with its supernet.

    Attributes:
      label: its name in the paper.
      search: the search, by the name under which methods share it.
      selection: fields of the section `selection`, or None where nothing is selected.
      analysis: the analysis that measures the figure instead.
      genotype: a published genotype (`genotypes.published`) that is trained, without a search.
    """

    label: str
    search: str = "darts"
    selection: Mapping[str, Any] | None = None
    analysis: str = ""
    genotype: str = ""


# Both halves in file order, and the seeds that are the release's defaults.
COMMON = {"seed": 2, "data": {"split": "order"}}

SPACES: dict[str, Mapping[str, Any]] = {
    **{name: {"space": name} for name in ("darts", "s1", "s2", "s3", "s4")},
    "nas_bench_201": {
        "space": "nas_bench_201",
        "seed": 0,
        "search": {"cells": 5, "epochs": 100},
        # The benchmark's own training (Dong and Yang, 2020, section 2.2), with this project's momentum SGD.
        # The paper looks figures up in the benchmark's table instead.
        "training": {
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
        },
    },
}

DATA_SETS = {
    "cifar10": DataSet("CIFAR-10", {}),
    "cifar100": DataSet("CIFAR-100", {"data": {"name": "cifar100"}}),
    "svhn": DataSet("SVHN", {"data": {"name": "svhn_cropped"}}),
    "imagenet16_120": DataSet(
        "ImageNet16-120", {"data": {"source": "npz", "crop_padding": 2}}, "IMAGENET16_120.npz"
    ),
    "imagenet": DataSet(
        "ImageNet",
        {
            "data": {
                "name": "imagenet2012",
                "test_split": "validation",
                "stream": True,
                "image_size": 224,
                "crop_padding": 0,
            }
        },
        searched_on="cifar10",
    ),
}

# What a data set changes in the training of networks that are stacked as DARTS's are.
TRAINING: dict[str, Mapping[str, Any]] = {
    "cifar100": {"training": {"channels": 16, "cells": 8}},
    "svhn": {"training": {"channels": 16, "cells": 8}},
    "imagenet": {
        "training": {
            "stem": "imagenet",
            "channels": 48,
            "cells": 14,
            "epochs": 250,
            "batch_size": 128,
            "learning_rate": 0.1,
            "schedule": "exponential",
            "decay": 0.97,
            "weight_decay": 3e-5,
            "drop_path": 0.0,
            "cutout_length": 0,
            "label_smoothing": 0.1,
        }
    },
}

SEARCHES: dict[str, Mapping[str, Any]] = {
    "darts": {"search": {"method": "darts"}},
    "fixed_alpha": {"search": {"method": "fixed_alpha"}},
    "sdarts_rs": {"search": {"method": "sdarts_rs"}},
    # SGAS has DARTS's eight operations, `none` among them.
    "sgas": {"space": "darts_with_none", "search": {"method": "sgas"}},
    "sgas_pt": {
        "space": "darts_with_none",
        "search": {"method": "sgas"},
        "sgas": {"decision": "accuracy"},
    },
}

_MAGNITUDE = {"method": "magnitude"}
_PERTURBATION = {"method": "perturbation"}
METHODS = {
    "darts": PaperMethod("DARTS", "darts", _MAGNITUDE),
    "darts_pt": PaperMethod("DARTS+PT", "darts", _PERTURBATION),
    "darts_pt_fixed_alpha": PaperMethod("DARTS+PT (fixed alpha)", "fixed_alpha", _PERTURBATION),
    "sdarts_rs": PaperMethod("SDARTS-RS", "sdarts_rs", _MAGNITUDE),
    "sdarts_rs_pt": PaperMethod("SDARTS-RS+PT", "sdarts_rs", _PERTURBATION),
    # SGAS decides during the search; what is left to magnitude is to read the decisions off.
    "sgas": PaperMethod("SGAS (crit. 1)", "sgas", _MAGNITUDE),
    "sgas_pt": PaperMethod("SGAS+PT (crit. 1)", "sgas_pt", _MAGNITUDE),
    "darts_pt_mag": PaperMethod("DARTS+PT-Mag", "darts", _PERTURBATION | {"criterion": "magnitude"}),
    "darts_pt_loss": PaperMethod("DARTS+PT, by loss", "darts", _PERTURBATION | {"criterion": "loss"}),
    "darts_pt_no_finetuning": PaperMethod(
        "DARTS+PT without fine-tuning", "darts", _PERTURBATION | {"interval": 0}
    ),
    "darts_pt_one_shot": PaperMethod("DARTS+PT, one-shot", "darts", _PERTURBATION | {"one_shot": True}),
    "darts_v2": PaperMethod("DARTS (second order), its genotype", genotype="darts_v2"),
    **{
        f"darts_pt_genotype_{k}": PaperMethod(f"DARTS+PT, its genotype {k}", genotype=f"darts_pt_s5_{k}")
        for k in range(4)
    },
    "shuffle": PaperMethod("DARTS supernet", "darts", analysis="shuffle"),
}
