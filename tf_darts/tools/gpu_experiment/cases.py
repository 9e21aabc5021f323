"""What the experiment measures, in which order, and what it decides by; without TensorFlow."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# How steps are made. `merged` is what a program does on a GPU by default.
WAYS = {
    "single": {"xla": "off", "merged": False},
    "compiled": {"xla": "on", "merged": False},
    "merged": {"xla": "on", "merged": True},
}

# Thresholds of what is decided.
COMPILED_PAYS = 0.8  # of the time of a step that is not compiled, at most: then `runtime.xla=auto` stays
MERGED_PAYS = 0.95  # of the time of a compiled step of single edges, at most: then a GPU merges
LOSSES_AGREE = 1e-3  # relative difference of the losses of the first steps, at most
COMPACTION_PAYS = 0.5  # of an event's fine-tuning, at most, for compiling: then `selection.compact` stays
FINE_TUNING_STEPS = 5 * 391  # between two events, as published: 5 epochs of 25,000 images in batches of 64

# Cells: few first, since time goes by their number; then as published. Seconds that a case may take.
_SIZES = {("nas_bench_201", "few"): (2, 90), ("darts", "few"): (4, 160)}
_SIZES |= {("nas_bench_201", "full"): (5, 150), ("darts", "full"): (8, 300)}


@dataclasses.dataclass(frozen=True)
class ExperimentCase:
    """Steps and probes of one space, made in one way.

    Attributes:
      space: the search space.
      size: few or full.
      way: a key of `WAYS`.
      cells: depth of the supernet.
      limit: seconds after which the case is given up.
      channels: initial channels.
      batch_size: images in a batch.
      images: that batches are drawn from.
      steps: in a call from the host.
      rounds: calls that are timed.
    """

    space: str
    size: str
    way: str
    cells: int
    limit: float
    channels: int = 16
    batch_size: int = 64
    images: int = 6400
    steps: int = 10
    rounds: int = 4

    @property
    def name(self) -> str:
        """Its name in files and tables."""
        return f"{self.space}-{self.size}-{self.way}"


def all_cases(tiny: bool = False) -> list[ExperimentCase]:
    """Return the cases, the most informative first.

    Args:
      tiny: NAS-Bench-201 alone, with few channels, cells and images: on a CPU, to try that every way runs.
        XLA takes many minutes there for a step of the DARTS space.
    """
    if tiny:
        small = {"channels": 4, "batch_size": 8, "images": 48, "steps": 2, "rounds": 2}
        return [ExperimentCase("nas_bench_201", "few", way, 1, 1800.0, **small) for way in WAYS]
    return [
        ExperimentCase(space, size, way, *_SIZES[space, size])
        for size in ("few", "full")
        for space in ("nas_bench_201", "darts")
        for way in WAYS
    ]


def decide(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return what follows from the measured cases, by question.

    Args:
      rows: what was measured, by name of the case. Of a space the largest size counts that is whole.
    """
    whole = {}
    for space in ("nas_bench_201", "darts"):
        for size in ("few", "full"):
            ways = {way: rows.get(f"{space}-{size}-{way}", {}) for way in WAYS}
            if all("step" in row for row in ways.values()):
                whole[space] = ways
    if not whole:
        return {"all": "nothing: no space was measured in all ways"}
    differences = [
        abs(a - b) / abs(b)
        for ways in whole.values()
        for way in ("compiled", "merged")
        for a, b in zip(ways[way]["losses"], ways["single"]["losses"], strict=True)
    ]
    compiled = _ratios(whole, "merged", "single")
    merged = _ratios(whole, "merged", "compiled")
    compiling = {
        space: (ways["merged"]["first_call"] - ways["single"]["first_call"])
        / (FINE_TUNING_STEPS * ways["merged"]["step"])
        for space, ways in whole.items()
    }
    agree = max(differences) <= LOSSES_AGREE
    found = {
        "losses": f"{'agree' if agree else 'differ'}: by {max(differences):.1e} at most",
        "runtime.xla": _said(agree and _all(compiled, COMPILED_PAYS), compiled, "auto stays on", "auto: off"),
        "merged edges": _said(agree and _all(merged, MERGED_PAYS), merged, "stay", "one by one"),
        "selection.compact": _said(
            _all(compiling, COMPACTION_PAYS), compiling, "stays", "off where steps are compiled"
        ),
    }
    if len(whole) < 2:
        found["but"] = f"only {', '.join(whole)} was measured in all ways"
    return found


def _ratios(whole: Mapping[str, Mapping[str, Mapping[str, Any]]], way: str, other: str) -> dict[str, float]:
    return {space: ways[way]["step"] / ways[other]["step"] for space, ways in whole.items()}


def _all(ratios: Mapping[str, float], most: float) -> bool:
    return all(ratio <= most for ratio in ratios.values())


def _said(pays: bool, ratios: Mapping[str, float], if_so: str, if_not: str) -> str:
    shown = ", ".join(f"{space} {ratio:.2f}" for space, ratio in ratios.items())
    return f"{if_so if pays else if_not} ({shown})"
