"""A work directory as a search, two selections and a training leave it; written, not run."""

import json

import numpy as np

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.genotypes.derive import read_genotype
from tf_darts.models.architecture import Architecture
from tf_darts.search.alpha_summary import describe
from tf_darts.selection import magnitude
from tf_darts.training.mistakes import Predictions, leave
from tf_darts.workdir import genotype_file
from tf_darts.workdir.decisions import as_row

SPACE = spaces.get("nas_bench_201")
EPOCHS, STEPS, IMAGES = 4, 3, 200


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema_version": 1, **content}))


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def config(**fields):
    """Return a small valid config."""
    made = config_lib.default()
    made.space, made.data.source = "nas_bench_201", "digits"
    made.search.epochs, made.training.epochs = EPOCHS, 2
    made.training.auxiliary_weight = 0.0
    for name, value in fields.items():
        made.update_from_flattened_dict({name.replace("__", "."): value})
    return config_lib.validate(made)


def workdir(folder, accuracies=None, trained=True, mistakes=True, **fields):
    """Write a work directory; return its config.

    Args:
      folder: where.
      accuracies: test accuracy (0 to 1) of what each selection found.
      trained: whether there are trainings.
      mistakes: whether they leave what they got wrong, too, with its pictures.
      fields: of the config, with two underscores for the dot.
    """
    made = config(**fields)
    write(folder / "config.json", {"config": made.to_dict(), "versions": {"tensorflow": "2.21.0"}})
    rng = np.random.default_rng(made.seed)
    architecture = Architecture(SPACE, 1.0, made.seed)
    rows = []
    for epoch in range(EPOCHS):
        for step in range(STEPS):
            row = {"step": epoch * STEPS + step + 1, "epoch": epoch, "train_loss": 2.0 / (epoch + 1)}
            rows.append(row | {"train_accuracy": 0.2 * (epoch + 1), "valid_accuracy": 0.1 * (epoch + 1)})
        alpha = architecture.alpha["normal"]
        alpha.assign_add(rng.normal(size=alpha.shape).astype(np.float32))
        ended = {"step": (epoch + 1) * STEPS, "finished_epoch": epoch, **describe(architecture)}
        rows.append(ended | {"evaluation/test_accuracy": 0.2 * (epoch + 1)})
    write_lines(folder / "search" / "metrics.jsonl", rows)
    write(folder / "search" / "result.json", {"last_epoch": rows[-1]})
    write(folder / "search" / "seconds.json", {"seconds": 61.5, "starts": 2, "peak_bytes": 1_500_000_000})

    weights = architecture.mixing_weights()["normal"].numpy()
    selected = {"magnitude": magnitude.select(architecture).genotype}
    rows = map(as_row, magnitude.select(architecture).decisions)
    write_lines(folder / "selection/magnitude/decisions.jsonl", rows)
    made_rows, chosen = decisions(weights, rng)
    selected["perturbation"] = read_genotype(SPACE, {"normal": np.eye(weights.shape[1])[chosen]})
    write_lines(folder / "selection/perturbation/decisions.jsonl", made_rows)
    accuracies = accuracies or {"magnitude": 0.75, "perturbation": 0.8}
    for name, genotype in selected.items():
        genotype_file.save(folder / "selection" / name / "genotype.json", genotype, SPACE)
        write(folder / "selection" / name / "seconds.json", {"seconds": 12.0, "starts": 1})
        if trained:
            training(folder / "training" / name, genotype, accuracies[name], rng, mistakes)
    return made


def genotype_of(folder, name):
    """Return the genotype of a selection."""
    return genotype_file.load(folder / "selection" / name / "genotype.json", SPACE)


def decisions(weights, rng):
    """Return rows of decisions on all edges, and the operations that they keep."""
    rows, chosen = [], []
    for edge in range(len(SPACE.edges)):
        names = SPACE.candidates["normal"][edge]
        correct = rng.integers(100, 180, len(names))
        kept = int(correct.argmin())
        chosen.append(kept)
        probes = [
            {
                "operation": name,
                "correct": int(c),
                "images": IMAGES,
                "accuracy": int(c) / IMAGES,
                "loss": 1.0,
                "lost": int(180 - c + 4),
                "gained": 4,
            }
            for name, c in zip(names, correct, strict=True)
        ]
        second = int(np.argsort(correct)[1])
        lead = (int(correct[second]) - int(correct[kept])) / IMAGES
        rows.append(
            {
                "number": edge,
                "kind": "operation",
                "event": edge,
                "epoch": 5 * edge,
                "cell_type": "normal",
                "criterion": "accuracy",
                "edge": edge,
                "edge_name": str(SPACE.edges[edge]),
                "operation": kept,
                "chosen": names[kept],
                "probes": probes,
                "whole": {"correct": 180, "images": IMAGES, "accuracy": 180 / IMAGES, "loss": 0.5},
                # The first one is narrow, the others are not.
                "lead": {"over": names[second], "value": lead, "error": lead if edge == 0 else lead / 10},
                "mixing_weights": {n: float(w) for n, w in zip(names, weights[edge], strict=True)},
            }
        )
    return rows, chosen


def training(folder, genotype, accuracy, rng, mistakes):
    """Write a finished training."""
    rows = []
    for epoch in range(2):
        rows.append({"step": epoch + 1, "epoch": epoch, "train_loss": 1.0, "train_accuracy": 0.5})
        rows.append({"step": epoch + 1, "finished_epoch": epoch, "test_accuracy": accuracy, "test_loss": 1.0})
    write_lines(folder / "metrics.jsonl", rows)
    result = {
        "genotype": genotype.to_text(SPACE),
        "space": SPACE.name,
        "parameters": 12345,
        "test_accuracy": accuracy,
        "test_images": IMAGES,
        "best_test_accuracy": accuracy,
    }
    write(folder / "result.json", result)
    if not mistakes:
        return
    labels = np.arange(IMAGES) % 3
    wrong = np.arange(IMAGES) < round((1 - accuracy) * IMAGES)
    predicted = np.where(wrong, (labels + 1) % 3, labels)
    images = rng.integers(0, 255, (IMAGES, 4, 4, 1), dtype=np.uint8)
    leave(folder, Predictions(labels, predicted, np.linspace(0.4, 1.0, IMAGES)), images, ("a", "b<", "c"))
