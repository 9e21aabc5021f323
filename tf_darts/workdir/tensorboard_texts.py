"""What TensorBoard shows besides curves and pictures: texts, the page for comparing runs, and the layout.

The layout is that of the page Custom Scalars: what a person wants to know first, from all stages.
"""

import hashlib
import html
import json
from collections.abc import Mapping
from typing import Any

import ml_collections
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import api as hparams_api
from tensorboard.plugins.hparams.summary_v2 import hparams_config_pb, hparams_pb
from tensorboard.util.tensor_util import make_tensor_proto

from tf_darts import config as config_lib
from tf_darts.config.field import value_of
from tf_darts.genotypes.genotype import Genotype
from tf_darts.runtime import command
from tf_darts.spaces import Space
from tf_darts.workdir.metrics import Metrics

# The page "Custom Scalars": by category, by title of a chart, the tags that it shows (regular expressions).
LAYOUT: dict[str, dict[str, tuple[str, ...]]] = {
    "How is it going": {
        "search: accuracy of the supernet (0 to 1)": (
            "search/train_accuracy",
            "search/valid_accuracy",
            "search/evaluation/valid_accuracy",
            "search/evaluation/test_accuracy",
        ),
        "search: is it collapsing into skip connections? (share of edges)": ("search/skip_share",),
        "search: how undecided is alpha? (entropy, nats)": ("search/alpha_entropy/.*",),
        "selection: accuracy of the supernet before each decision": (
            "selection_decisions/supernet_accuracy",
        ),
        "selection: what the choice is worth (accuracy lost without it; lead on the next)": (
            "selection_decisions/drop_of_chosen",
            "selection_decisions/lead",
        ),
        "training: accuracy of the network": ("training/train_accuracy", "training/test_accuracy"),
    },
    "Losses": {
        "search": ("search/train_loss", "search/valid_loss", "search/evaluation/.*_loss"),
        "selection, fine-tuning": ("selection/train_loss", "selection/valid_loss"),
        "training": ("training/train_loss", "training/test_loss"),
    },
    "Optimisation": {
        "learning rates": (".*/learning_rate",),
        "norms of the weight gradients": (".*/gradient_norm",),
        "largest eigenvalue of alpha's Hessian": ("search/hessian/largest_eigenvalue",),
    },
}

# Columns of the page HParams, and the field that each shows; it sorts them by name and shows the first five.
COMPARED = {
    "method": "search.method",
    "seed": "seed",
    "space": "space",
    "supernet.cells": "search.cells",
    "supernet.channels": "search.channels",
    "supernet.epochs": "search.epochs",
    "training.cells": "training.cells",
    "training.channels": "training.channels",
    "training.epochs": "training.epochs",
    "tuning.epochs": "selection.interval",
}
# Measures on the same page: figures of a training's result.
FINAL = {
    "test_accuracy": "test accuracy",
    "best_test_accuracy": "best test accuracy",
    "parameters": "parameters",
}


def begin(metrics: Metrics, config: ml_collections.ConfigDict, with_config: bool = True) -> None:
    """Show the command of a stage, its config, and the layout of the first page."""
    if metrics.shown:
        metrics.text("command", code(command.text()))
        if with_config:
            metrics.text("config", config_table(config))
        metrics.plugin(layout())


def config_table(config: ml_collections.ConfigDict) -> str:
    """Return a config in Markdown: what differs from the defaults as a table, and the whole of it below."""
    plain = config.to_dict()
    changed = changes(plain)
    lines = ["| field | value | default |", "|---|---|---|"]
    lines += [f"| {name} | {_cell(value)} | {_cell(default)} |" for name, value, default in changed]
    if not changed:
        lines = ["Every field has its default."]
    whole = json.dumps(plain, indent=2, default=str)
    return "\n".join([*lines, "", "All of it:", "", code(whole)])


def changes(plain: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the fields of a config that differ from the defaults: name, value and default."""
    defaults, found = config_lib.default().to_dict(), []
    for section, value in plain.items():
        if isinstance(value, Mapping):
            base = defaults.get(section, {})
            found += [(f"{section}.{k}", v, base.get(k)) for k, v in value.items() if v != base.get(k)]
        elif value != defaults.get(section):
            found.append((section, value, defaults.get(section)))
    return found


def genotype_text(genotype: Genotype, space: Space) -> str:
    """Return a genotype in Markdown, in its forms."""
    text, plain = genotype.to_text(space), genotype.to_json(space)
    return "\n\n".join(["As text:", code(text), "As JSON:", code(plain)])


def compare(config: ml_collections.ConfigDict, selection: str, result: Mapping[str, Any]) -> list[Summary]:
    """Return a row of the page HParams: a trained network, by what its run was set to.

    Args:
      config: the run's.
      selection: what the network was selected by.
      result: of its training.
    """
    data = config.data.name if config.data.source == "tfds" else config.data.source
    values = {"data": data, "selection": selection}
    values |= {name: value_of(config, path) for name, path in COMPARED.items()}
    values["seed"] = str(config.seed)  # a name: as a number it would be shown as 0.0000
    columns = [hparams_api.HParam(name) for name in values]
    shown = [hparams_api.Metric(f"training_final/{tag}", display_name=name) for tag, name in FINAL.items()]
    whole = json.dumps([config.to_dict(), result["genotype"]], sort_keys=True, default=str)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    trial = f"{config.search.method}, {selection}, seed {config.seed} ({digest})"
    return [hparams_config_pb(columns, shown, 0.0), hparams_pb(values, trial, 0.0)]


def final(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures of that page."""
    return {name: float(result[name]) for name in FINAL}


def layout() -> Summary:
    """Return the layout of the page Custom Scalars."""
    categories = [
        layout_pb2.Category(
            title=title,
            closed=number > 0,
            chart=[
                layout_pb2.Chart(
                    title=name, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$" for tag in tags])
                )
                for name, tags in charts.items()
            ],
        )
        for number, (title, charts) in enumerate(LAYOUT.items())
    ]
    content = layout_pb2.Layout(category=categories).SerializeToString()
    summary = Summary()
    summary.value.add(
        tag=layout_metadata.CONFIG_SUMMARY_TAG,
        metadata=layout_metadata.create_summary_metadata(),
        tensor=make_tensor_proto(content),
    )
    return summary


def code(text: str) -> str:
    """Return a text as it is, with its line breaks, in Markdown."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _cell(value: Any) -> str:
    return html.escape(repr(value)).replace("|", "&#124;")
