"""The network found for own images beside its rivals, on several sets and seeds: accuracy and CPU seconds.

    python examples/own_images/study.py --cifar10=CIFAR10_STRIPS --work=runs/own_images --rows=rows.csv

For each set and seed it runs bin/run with configs/own_images.py, which trains a random cell and a residual
network beside the found one. Then it trains the CNN of TensorFlow's tutorial, no larger than the found
network, for as many CPU seconds as search, selection and training of the found network took together. Rows
that are in the file are not made again.
"""

import argparse
import collections
import csv
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import made_set
import make_folder
import numpy as np
from scipy import stats
from sklearn import datasets

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHORT = ("search", "selection/perturbation", "training/perturbation")  # what the found network took


@dataclasses.dataclass(frozen=True)
class Row:
    """A network of a run.

    Attributes:
      set: the images.
      seed: of everything.
      network: what it is.
      parameters: trainable weights.
      accuracy: share of the test images, percent.
      test_images: how many they are.
      cpu_seconds: what it took; of the found network search, selection and training together.
      epochs: of its training.
    """

    set: str
    seed: int
    network: str
    parameters: int
    accuracy: float
    test_images: int
    cpu_seconds: float
    epochs: int


@dataclasses.dataclass(frozen=True)
class Images:
    """A set of the study.

    Attributes:
      write: writes it as an .npz file.
      mirrored: whether a mirrored image is of the same class.
    """

    write: Callable[[pathlib.Path, pathlib.Path], None]
    mirrored: bool


def five(strips: pathlib.Path, path: pathlib.Path) -> None:
    """Write five classes of CIFAR-10, 600 training and 400 test images of each."""
    _cifar10(strips, path, make_folder.CLASSES, make_folder.IMAGES)


def cifar10_5000(strips: pathlib.Path, path: pathlib.Path) -> None:
    """Write CIFAR-10 with 500 training and 200 test images of each class."""
    _cifar10(strips, path, 10, {"train": 500, "test": 200})


def _cifar10(strips: pathlib.Path, path: pathlib.Path, classes: int, count: dict[str, int]) -> None:
    found, arrays = np.load(strips / "labels.npz", allow_pickle=False), {}
    for part, number in count.items():
        images, labels = make_folder.strips(strips, part), found[f"{part}_labels"]
        chosen = np.concatenate([np.flatnonzero(labels == label)[:number] for label in range(classes)])
        chosen = np.random.default_rng(0).permutation(chosen)
        arrays[f"x_{part}"], arrays[f"y_{part}"] = images[chosen], labels[chosen].astype(np.int32)
    np.savez(path, **arrays)


def digits_half(strips: pathlib.Path, path: pathlib.Path) -> None:
    """Write scikit-learn's digits, 8x8, with every second label of the training half."""
    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:449], order[899:]
    labels = digits.target.astype(np.int32)
    np.savez(path, x_train=images[train], y_train=labels[train], x_test=images[test], y_test=labels[test])


def made(strips: pathlib.Path, path: pathlib.Path) -> None:
    """Write the set of `made_set`."""
    made_set.write(path)


SETS = {
    "five": Images(five, True),
    "cifar10_5000": Images(cifar10_5000, True),
    "digits_half": Images(digits_half, False),
    "made": Images(made, False),
}


def rows_of(
    name: str, seed: int, file: pathlib.Path, workdir: pathlib.Path, flags: list[str]
) -> Iterator[Row]:
    """Run a set with a seed; yield its rows.

    Args:
      name: of the set.
      seed: of everything.
      file: the images.
      workdir: of the run.
      flags: more of bin/run.
    """
    images = SETS[name]
    command = [sys.executable, "-m", "tf_darts.cli.run", "--config=configs/own_images.py"]
    command += [f"--workdir={workdir}", "--config.data.source=npz", f"--data_dir={file}"]
    command += [f"--config.seed={seed}", f"--config.data.flip={images.mirrored}", *flags]
    subprocess.run(command, check=True, cwd=ROOT)
    spent = sum(read(workdir / stage / "seconds.json")["cpu_seconds"] for stage in SHORT)
    for training in ("perturbation", "random_cell", "residual_network"):
        folder = workdir / "training" / training
        if not (folder / "result.json").exists():
            continue
        result = read(folder / "result.json")
        seconds = spent if training == "perturbation" else read(folder / "seconds.json")["cpu_seconds"]
        network = "found" if training == "perturbation" else training
        accuracy = 100 * result["test_accuracy"]
        yield Row(
            *(name, seed, network, result["parameters"], accuracy),
            *(result["test_images"], seconds, result["epochs"]),
        )
    parameters = read(workdir / "training" / "perturbation" / "result.json")["parameters"]
    yield plain(name, seed, file, spent, parameters, images.mirrored)


def plain(name: str, seed: int, file: pathlib.Path, seconds: float, most: int, mirrored: bool) -> Row:
    """Train the tutorial's CNN for a number of CPU seconds; `most` is its largest number of parameters."""
    import keras
    import plain_cnn

    keras.utils.set_random_seed(seed)
    begun, found = plain_cnn.cpu_seconds(), np.load(file)
    images, labels = found["x_train"], found["y_train"]
    shape, classes = images.shape[1:], 1 + int(labels.max())
    model = plain_cnn.within(most, shape, classes)
    padding = min(shape[:2]) // 8
    epochs = plain_cnn.train(model, images, labels, seconds, padding, mirrored, seed)
    accuracy = 100 * plain_cnn.accuracy(model, images, found["x_test"], found["y_test"])
    used = plain_cnn.cpu_seconds() - begun
    return Row(
        name, seed, "tutorial's CNN", model.count_params(), accuracy, len(found["y_test"]), used, epochs
    )


def read(path: pathlib.Path) -> dict[str, float]:
    """Read a JSON file."""
    return json.loads(path.read_text())


def read_rows(path: pathlib.Path) -> list[Row]:
    """Return the rows of a file; none where there is no file."""
    if not path.exists():
        return []
    kinds = {field.name: field.type for field in dataclasses.fields(Row)}
    with path.open(newline="") as file:
        return [
            Row(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(file)
        ]


def write_rows(path: pathlib.Path, rows: list[Row]) -> None:
    """Write all rows."""
    new = path.with_suffix(".new")
    with new.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in dataclasses.fields(Row)])
        for row in rows:
            values = dataclasses.astuple(row)
            writer.writerow([f"{v:.2f}" if isinstance(v, float) else v for v in values])
    os.replace(new, path)


def table(rows: list[Row]) -> str:
    """Return a Markdown table: for each set and network the mean over seeds, and the found network's lead.

    A lead is the mean difference of the same seed, with the 95 % interval of Student's t over seeds.
    """
    lines = [
        "| images | network | seeds | parameters | accuracy, % | found network's lead, points | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], dict[int, Row]] = collections.defaultdict(dict)
    for row in rows:
        groups[row.set, row.network][row.seed] = row
    for (name, network), own in groups.items():
        found = groups[name, "found"]
        differences = [found[seed].accuracy - row.accuracy for seed, row in own.items() if seed in found]
        sizes = sorted(row.parameters for row in own.values())
        lead = "" if network == "found" else with_interval(differences)
        parameters = f"{sizes[0]:,}" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"
        accuracies = [row.accuracy for row in own.values()]
        seconds = np.mean([row.cpu_seconds for row in own.values()])
        cells = (name, network, len(own), parameters, f"{np.mean(accuracies):.2f}", lead, f"{seconds:.0f}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def with_interval(values: list[float]) -> str:
    """Return mean and 95 % interval of differences, over seeds."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:+.2f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"


def main() -> None:
    """Make the rows that are missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cifar10", type=pathlib.Path, help="pictures as make_folder.py reads them")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=pathlib.Path, required=True)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--flags", nargs="*", default=[], help="more flags of bin/run")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for name in arguments.sets:
            rows = read_rows(arguments.rows)
            if any((row.set, row.seed) == (name, seed) for row in rows):
                continue
            file = (arguments.work / f"{name}.npz").absolute()
            if not file.exists():
                SETS[name].write(arguments.cifar10, file)
            workdir = (arguments.work / f"{name}_{seed}").absolute()
            made_rows = list(rows_of(name, seed, file, workdir, arguments.flags))
            write_rows(arguments.rows, [*read_rows(arguments.rows), *made_rows])
    print(table(read_rows(arguments.rows)))


if __name__ == "__main__":
    main()
