"""The check of exported files against the trained network's answers, in a process that has no tf_darts."""

import dataclasses
import json
import pathlib
import subprocess
import tempfile
from collections.abc import Iterable

import numpy as np

from tf_darts.errors import UserError
from tf_darts.export import reload
from tf_darts.runtime import child

FLOAT_TOLERANCE = 1e-5  # in probabilities
INT8_TOLERANCE = 0.01  # in accuracy: a point
LATENCY_BATCHES = (1, 32)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found about one exported file.

    Attributes:
      accuracy: share of the images that it classifies correctly.
      largest_difference: of a probability from the trained network's.
      same_class: share of the images that it puts in the same class as the trained network.
      agrees: whether probabilities (float) or the accuracy (int8) are within the tolerance.
      latency: for each batch size, the median seconds of a call and how many calls that is of.
    """

    accuracy: float
    largest_difference: float
    same_class: float
    agrees: bool
    latency: dict[str, dict[str, float]]


def compare(
    paths: dict[str, pathlib.Path],
    imports: dict[str, list[str]],
    images: np.ndarray,
    labels: np.ndarray,
    expected: np.ndarray,
    trusted: Iterable[str] = (),
) -> dict[str, Finding]:
    """Read files in a fresh process and compare their answers.

    Args:
      paths: the files, by the name of the format.
      imports: for each format, modules to be imported before; where there are none, tf_darts is out of reach.
      images: uint8 [N, H, W, C].
      labels: int [N].
      expected: the trained network's probabilities, float32 [N, classes].
      trusted: places of code that the files may name (`trust.allow`).

    Raises:
      UserError: the fresh process failed; the message ends with the last line that it wrote.
    """
    findings = {}
    for modules in sorted({tuple(m) for m in imports.values()}):
        group = {name: path for name, path in paths.items() if tuple(imports[name]) == modules}
        with tempfile.TemporaryDirectory(prefix="tf_darts-") as folder:
            latency = _ask(pathlib.Path(folder), group, modules, images, trusted)
            for name in group:
                answers = np.load(pathlib.Path(folder) / f"{name}.npz", allow_pickle=False)
                findings[name] = _finding(
                    name, answers["probabilities"], answers["classes"], labels, expected, latency[name]
                )
    return {name: findings[name] for name in paths}


def _ask(
    folder: pathlib.Path,
    paths: dict[str, pathlib.Path],
    imports: Iterable[str],
    images: np.ndarray,
    trusted: Iterable[str],
) -> dict[str, dict[str, dict[str, float]]]:
    """Write the answers of models into a folder, by a fresh process; return the latencies."""
    job = {
        "models": {name: str(path.absolute()) for name, path in paths.items()},
        "imports": list(imports),
        "trusted": list(trusted) if imports else [],
        "latency_batches": LATENCY_BATCHES,
    }
    (folder / "job.json").write_text(json.dumps(job))
    np.save(folder / "images.npy", images)
    environment = child.environment(package=bool(job["imports"]))
    ended = subprocess.run(
        child.command(reload.__file__, str(folder)),
        env=environment | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise UserError(f"{', '.join(paths)}: cannot be read in a fresh process: {last}")
    return json.loads((folder / "latency.json").read_text())


def _finding(
    name: str,
    probabilities: np.ndarray,
    classes: np.ndarray,
    labels: np.ndarray,
    expected: np.ndarray,
    latency: dict[str, dict[str, float]],
) -> Finding:
    difference = float(np.abs(probabilities - expected).max())
    accuracy, wanted = (float((c == labels).mean()) for c in (classes, expected.argmax(-1)))
    # An int8 probability is a multiple of 1/256: what has to stay is the accuracy.
    quantised = name.endswith("int8")
    agrees = accuracy >= wanted - INT8_TOLERANCE if quantised else difference <= FLOAT_TOLERANCE
    same = float((classes == expected.argmax(-1)).mean())
    return Finding(accuracy, difference, same, agrees, latency)
