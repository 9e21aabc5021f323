"""A whole run as small as can be: search, two selections, two trainings; and what it has to end with."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

CONFIG = """
from tf_darts import config as config_lib


def get_config():
    config = config_lib.default()
    config.space = "custom"
    config.custom_space.stacking = "nas_bench_201"
    config.custom_space.nodes = 2
    config.custom_space.kept_edges = 0
    config.custom_space.candidates = ("skip_connect", "nor_conv_1x1")
    config.data.source = "digits"
    config.data.limit_train, config.data.limit_test = 96, 32
    config.data.crop_padding, config.data.flip = 0, False
    config.search.channels, config.search.cells = 2, 1
    config.search.epochs, config.search.batch_size = 3, 16
    config.search.alpha_learning_rate = 0.1
    config.selection.interval, config.selection.compact = 1, False
    config.training.channels, config.training.cells = 2, 1
    config.training.epochs, config.training.batch_size = 2, 16
    config.training.auxiliary_weight, config.training.cutout_length = 0.0, 0
    config.runtime.checkpoint_minutes = 0.0  # after every call
    config.runtime.steps_per_call = 1
    return config
"""
# Differ from run to run: times, memory, TensorBoard's files by time and process, the lock, TensorFlow's list,
# and the report, which tells times and the folder's name.
VARYING = ("seconds.json", "memory.json", "lock.json", "checkpoint", "index.html")
STAGES = (
    "search",
    "selection/magnitude",
    "selection/perturbation",
    "training/magnitude",
    "training/perturbation",
)


def arguments(folder: Path, workdir: str) -> list[str]:
    """Of a command that is run in a folder; the config is written there."""
    (folder / "config.py").write_text(CONFIG)
    return ["--config=config.py", f"--workdir={workdir}"]


def results(workdir: Path) -> dict[str, bytes]:
    """How a run ended: all files that have to be the same, and all variables of the last checkpoints."""
    found = {
        str(path.relative_to(workdir)): path.read_bytes()
        for path in sorted(workdir.rglob("*"))
        if path.is_file() and path.name not in VARYING and ".tfevents." not in path.name
        if path.parent.name != "checkpoints"
    }
    for stage in STAGES:
        for name, value in _variables(workdir / stage / "checkpoints"):
            found[f"{stage}: {name}"] = np.asarray(value).tobytes()
    return found


def _variables(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    latest = tf.train.latest_checkpoint(str(folder))
    if latest is None:
        return
    reader = tf.train.load_checkpoint(latest)
    for name in sorted(reader.get_variable_to_shape_map()):
        if not name.startswith(
            ("save_counter", "_CHECKPOINTABLE")
        ):  # how often it was saved, names of Python
            yield name, reader.get_tensor(name)


def differences(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """What is missing, too much or different."""
    names = sorted(found.keys() | wanted.keys())
    return [name for name in names if found.get(name) != wanted.get(name)]


def faulty_rows(workdir: Path) -> list[str]:
    """Files of steps in which one has no row or two."""
    faulty = []
    for path in sorted(workdir.rglob("metrics.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        steps = [row["step"] for row in rows if "epoch" in row]
        if steps != list(range(1, len(steps) + 1)):
            faulty.append(str(path.relative_to(workdir)))
    return faulty


def leftovers(workdir: Path) -> list[str]:
    """Temporary files, of ours and of TensorFlow's, that nobody has removed."""
    return [str(path) for pattern in (".*.tmp", "*_temp") for path in workdir.rglob(pattern)]


def where(workdir: Path) -> str:
    """The stage that a run is in: the first that is not finished."""
    for stage in STAGES:
        folder = workdir / stage
        if not (folder / "result.json").exists() and not (folder / "genotype.json").exists():
            return stage
    return "report"
