"""The process that measures one case: python -m tf_darts.tools.gpu_experiment.child CASE_AS_JSON FILE.

What is known is in FILE after every measurement, so that a case that is cut off still says something.
"""

import json
import pathlib
import statistics
import sys
import time
from typing import Any

from tf_darts.layers import merged_edges
from tf_darts.runtime.strategy import device_type
from tf_darts.tools.benchmark import device, settings
from tf_darts.tools.benchmark.cases import BenchmarkCase
from tf_darts.tools.benchmark.measure import MeasuredSearch
from tf_darts.tools.gpu_experiment.cases import WAYS, ExperimentCase
from tf_darts.workdir.files import write_atomically

FIRST_STEPS = 3  # whose losses are compared
PROBE_BATCHES = 2


class MeasuredCase(MeasuredSearch):
    """Steps with their losses, and probes."""

    def losses(self, first: int, count: int) -> list[float]:
        """Run some steps in one call; return their training losses."""
        columns = self._steps(first, count)
        device.finish()
        return [float(loss) for loss in columns["train_loss"]]


def measure(case: ExperimentCase, path: pathlib.Path) -> None:
    """Measure a case; write what is known so far into the file each time."""
    facts: dict[str, Any] = {}

    def note(**more: Any) -> None:
        facts.update(more)
        write_atomically(path, json.dumps(facts).encode())

    begun, way = time.monotonic(), WAYS[case.way]
    given = settings.default().to_dict()
    given |= {"images": case.images, "probe_batches": PROBE_BATCHES, "xla": way["xla"]}
    given["kernels"] = "tensorflow"
    sizes = {"channels": case.channels, "cells": case.cells, "batch_size": case.batch_size}
    task = MeasuredCase(BenchmarkCase(case.space, case.space, **sizes), given)
    kind = device_type(task.strategy)
    merged_edges.MERGES[kind] = bool(way["merged"])
    note(**device.about(), parameters=task.build()["parameters"], build=time.monotonic() - begun)
    begun = time.monotonic()
    losses = task.losses(0, 1)
    note(first_call=time.monotonic() - begun)
    losses += task.losses(1, FIRST_STEPS - 1)
    note(losses=losses)
    done, times = FIRST_STEPS, []
    for _ in range(case.rounds):
        begun = time.monotonic()
        task.losses(done, case.steps)
        times.append((time.monotonic() - begun) / case.steps)
        done += case.steps
        note(step=statistics.median(times), steps=times)
    note(peak_memory=device.peak_memory())
    begun = time.monotonic()
    task.probe()
    note(first_probe=time.monotonic() - begun)
    times = []
    for _ in range(case.rounds):
        begun = time.monotonic()
        count = task.probe()["count"]
        times.append((time.monotonic() - begun) / count)
        note(probe=statistics.median(times), probes=times)


if __name__ == "__main__":
    measure(ExperimentCase(**json.loads(sys.argv[1])), pathlib.Path(sys.argv[2]))
