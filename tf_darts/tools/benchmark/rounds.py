"""Worker processes, and measuring in rounds: ours, the peer, ours, the peer ...

Each implementation of each case has a fresh process, so that its peak memory is its own. Both processes are
there at the same time and only one works: what slows the machine for a minute slows both.
"""

import dataclasses
import json
import signal
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tf_darts.errors import UserError
from tf_darts.runtime import child
from tf_darts.tools.benchmark import whole
from tf_darts.tools.benchmark.cases import BenchmarkCase
from tf_darts.tools.benchmark.settings import split

OURS, PEER = "ours", "peer"


class Worker:
    """A fresh process for one task of one case; call it to have something done there.

    Args:
      implementation: "ours", "peer" or "limit".
      task: a name in `TASKS` of `measure.py`, `peer_tasks.py` or `limit.py`.
      case: what is measured.
      settings: the benchmark's config as a plain dictionary.

    Attributes:
      started: what the process said when it was ready: versions, threads, seconds and memory of the import.
    """

    def __init__(self, implementation: str, task: str, case: BenchmarkCase, settings: dict[str, Any]):
        self._name = f"{implementation} of case {case.name!r}"
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            child.command("-m", "tf_darts.tools.benchmark.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=child.environment(),
            text=True,
        )
        job = {"implementation": implementation, "task": task, "case": dataclasses.asdict(case)}
        try:
            self.started = self._exchange({**job, "settings": settings})
        except BaseException:
            self.close()
            raise

    def __call__(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the task; return its answer, with seconds and the peak memory in bytes.

        Raises:
          UserError: the case cannot be measured, for example because memory does not suffice.
        """
        return self._exchange({"do": do, **arguments})

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "error" in answer:
            raise UserError(answer["error"])
        return answer

    def _ended(self) -> Exception:
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return UserError(f"{self._name} was killed by the system, probably for lack of memory")
        self._errors.seek(0)
        return RuntimeError(f"{self._name} ended with status {status}:\n{self._errors.read()[-4000:]}")

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def summary(samples: list[float]) -> dict[str, float]:
    """Return median, quartiles and extremes."""
    low, q1, median, q3, high = np.quantile(samples, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
    return {"median": median, "q1": q1, "q3": q3, "min": low, "max": high}


class Sample(NamedTuple):
    """What one call took.

    Attributes:
      seconds: by the clock.
      cpu_seconds: of all cores together. Others at work on the machine change these far less.
    """

    seconds: float
    cpu_seconds: float


def in_rounds(calls: dict[str, Callable[[], Sample]], count: int) -> dict[str, Any]:
    """Call each in turn, so many times.

    Args:
      calls: by name, functions that return what they took; one of the names is "ours".
      count: rounds.

    Returns:
      `samples` and `seconds` (their summary) by name, and for every other name `ratios`: the summary of its
      seconds over ours, round by round. `cpu` has the same three of CPU seconds.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in calls}
    for _ in range(count):
        for name, call in calls.items():
            samples[name].append(call())
    clock = _compared({name: [sample.seconds for sample in values] for name, values in samples.items()})
    cpu = _compared({name: [sample.cpu_seconds for sample in values] for name, values in samples.items()})
    return {**clock, "cpu": cpu}


def _compared(samples: dict[str, list[float]]) -> dict[str, Any]:
    ours = samples[OURS]
    ratios = {
        name: summary([theirs / mine for theirs, mine in zip(values, ours, strict=True)])
        for name, values in samples.items()
        if name != OURS
    }
    return {"samples": samples, "seconds": {n: summary(v) for n, v in samples.items()}, "ratios": ratios}


def each(worker: Worker, do: str, **arguments: Any) -> Sample:
    """Return what one of the steps or batches of a request took."""
    answer = worker(do, **arguments)
    return Sample(answer["seconds"] / answer["count"], answer["cpu_seconds"] / answer["count"])


def _whole(answer: dict[str, Any]) -> Sample:
    return Sample(answer["seconds"], answer["cpu_seconds"])


Workers = dict[str, Worker]


def _build(workers: Workers) -> dict[str, dict[str, Any]]:
    """Make all sides build; check that they are the same size, and return what is known of each."""
    devices = {name: worker.started["device"] for name, worker in workers.items()}
    if len(set(devices.values())) > 1:
        raise UserError(
            f"--peer: the two sides have different devices ({devices}); allowed: one for both. Install both"
            " packages with support of the GPU, or hide it by CUDA_VISIBLE_DEVICES="
        )
    sides = {}
    for name, worker in workers.items():
        answer = worker("build")
        sides[name] = {
            **worker.started,
            "build_seconds": answer["seconds"],
            "parameters": answer["parameters"],
            "multiply_adds": answer.get("multiply_adds"),
        }
    parameters = {name: side["parameters"] for name, side in sides.items()}
    if len(set(parameters.values())) > 1:
        raise RuntimeError(f"the implementations differ in their number of parameters: {parameters}")
    return sides


def _step_calls(workers: Workers, settings: dict[str, Any]) -> dict[str, Callable[[], Sample]]:
    """Return functions that time a bilevel step: ours, and the peer's with each way to alpha's gradients."""
    calls = {OURS: lambda: each(workers[OURS], "step", count=settings["steps"])}
    if PEER in workers:
        for way in split(settings["alpha_gradients"]):
            calls[f"{PEER} {way}"] = lambda way=way: each(
                workers[PEER], "step", count=settings["steps"], alpha_gradients=way
            )
    return calls


def _start_steps(workers: Workers, sides: dict[str, dict[str, Any]], settings: dict[str, Any]) -> None:
    for name, worker in workers.items():
        sides[name]["first_step_seconds"] = worker("step", count=1)["seconds"]
        if settings["warm_up"]:
            worker("step", count=settings["warm_up"])


def search(workers: Workers, case: BenchmarkCase, settings: dict[str, Any]) -> dict[str, Any]:
    """Measure start-up, bilevel steps, probe batches, and whole events (if the settings ask for any)."""
    sides = _build(workers)
    _start_steps(workers, sides, settings)
    quantities = {"step": in_rounds(_step_calls(workers, settings), settings["rounds"])}
    for name, worker in workers.items():
        first = worker("probe")
        sides[name] |= {"first_probe_seconds": first["seconds"], "memory": first["memory"]}
    probes = {name: lambda w=worker: each(w, "probe") for name, worker in workers.items()}
    quantities["probe"] = in_rounds(probes, settings["rounds"])
    if settings["event_rounds"]:
        # The first event of ours may trace; the peer has nothing left to warm up.
        first = workers[OURS]("event")
        sides[OURS]["first_event_seconds"] = first["seconds"]
        events = {name: lambda w=worker: _whole(w("event")) for name, worker in workers.items()}
        quantities["event"] = {"batches": first["count"], **in_rounds(events, settings["event_rounds"])}
    return {"sides": sides, "quantities": quantities}


def training(workers: Workers, case: BenchmarkCase, settings: dict[str, Any]) -> dict[str, Any]:
    """Measure start-up and steps of training a network from scratch."""
    sides = _build(workers)
    _start_steps(workers, sides, settings)
    calls = {
        name: lambda w=worker: each(w, "step", count=settings["steps"]) for name, worker in workers.items()
    }
    quantities = {"step": in_rounds(calls, settings["rounds"])}
    for name, worker in workers.items():
        sides[name]["memory"] = worker("step", count=1)["memory"]
    return {"sides": sides, "quantities": quantities}


def selection(workers: Workers, case: BenchmarkCase, settings: dict[str, Any]) -> dict[str, Any]:
    """Measure steps and probe batches at stages of a selection; add up the hours of the whole."""
    space = case.search_space()
    planned, epochs = whole.plan_of(space, settings["interval"], settings["seed"])
    decisions = whole.made_up_decisions(space, planned, settings["seed"])
    sides = _build(workers)
    stages, points, before, anew = [], {name: [] for name in workers}, 0, {}
    for events in whole.stages(planned[-1].event + 1, settings["stages"]):
        rows = [row for row in decisions if before <= row["event"] < events]
        probe = dict(
            zip(("cell_type", "edge", "operation"), whole.next_probe(space, planned, events), strict=True)
        )
        firsts = {}
        for name, worker in workers.items():
            answer = worker("stage", decisions=rows)
            anew[name] = answer["made_anew"]
            if name == OURS or not stages:  # the peer has nothing to warm up at later stages
                firsts[name] = [answer, worker("step", count=1), worker("probe", **probe)]
        way = split(settings["alpha_gradients"])[0]
        steps = _step_calls(workers, {**settings, "alpha_gradients": way})
        steps = {name.split()[0]: call for name, call in steps.items()}
        step = in_rounds(steps, settings["stage_rounds"])
        probes = {name: lambda w=worker, p=probe: each(w, "probe", **p) for name, worker in workers.items()}
        batch = in_rounds(probes, settings["stage_rounds"])
        for name in workers:
            a, b = step["seconds"][name]["median"], batch["seconds"][name]["median"]
            start = 0.0
            if name == OURS:  # tracing: what the first calls took beyond the steps and batches that they did
                made, first_step, first_probe = firsts[name]
                start = made["seconds"] + first_step["seconds"] - a * first_step["count"]
                start = max(0.0, start + first_probe["seconds"] - b * first_probe["count"])
            points[name].append(whole.Point(events, a, b, start))
        stages.append({"events": events, "step": step, "probe": batch})
        before = events
    train, valid = (settings[f"{half}_images"] / case.batch_size for half in ("train", "valid"))
    hours = {
        name: whole.hours(space, planned, epochs, points[name], train, valid, anew[name]) for name in workers
    }
    return {
        "sides": sides,
        "stages": stages,
        "points": {name: [dataclasses.asdict(p) for p in values] for name, values in points.items()},
        "passes": sum(p.passes(space) for p in planned),
        "epochs": epochs,
        "hours": {name: {**dataclasses.asdict(h), "total": h.total} for name, h in hours.items()},
    }


TASKS: dict[str, Callable[[Workers, BenchmarkCase, dict[str, Any]], dict[str, Any]]] = {
    "search": search,
    "training": training,
    "selection": selection,
}
