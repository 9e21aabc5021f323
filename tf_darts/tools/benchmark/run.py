"""The whole benchmark: the units that are measured, what of an earlier run is kept, and the files.

OUTPUT/result.json    every sample, with versions, machine, threads and dates; written after every unit
OUTPUT/table.md       the tables, as they are printed
OUTPUT/plot.png       times and ratios of the cases
OUTPUT/scaling.png    the scaling study, where there is one
"""

import contextlib
import dataclasses
import datetime
import pathlib
from collections.abc import Callable
from typing import Any

import tf_darts
from tf_darts.errors import UserError
from tf_darts.runtime import command, host
from tf_darts.tools.benchmark import machine, report, rounds, settings
from tf_darts.tools.benchmark.cases import BenchmarkCase
from tf_darts.workdir.files import write_atomically
from tf_darts.workdir.records import read_json, write_json

# What each task's result depends on, besides the case, the peer and the machine.
_THREADS = ("intra_op_threads", "inter_op_threads")
_STEPS = (
    *_THREADS,
    "seed",
    "images",
    "deterministic",
    "precision",
    "kernels",
    "xla",
    "warm_up",
    "steps",
    "rounds",
)
_PROBES = (*_STEPS, "alpha_gradients", "probe_batches", "interval")
DEPENDS = {
    "limit": (*_THREADS, "precision", "limit_size"),
    "search": (*_PROBES, "event_rounds"),
    "training": _STEPS,
    "selection": (*_PROBES, "stages", "stage_rounds", "train_images", "valid_images"),
}

# Cores at work for others from which on figures are doubtful. With another process on its
# cores, the peer's threads wait for each other many times longer than ours.
BUSY = 0.2


@dataclasses.dataclass(frozen=True)
class PlannedUnit:
    """A unit to be measured: one task of one case, or one point of the scaling study."""

    task: str
    case: BenchmarkCase
    settings: dict[str, Any]
    varied: str = ""
    value: int = 0

    @property
    def name(self) -> str:
        return _name({"task": self.task, "case": {"name": self.case.name}, "varied": self.varied})


def planned_units(chosen: dict[str, Any], scaling: bool) -> list[PlannedUnit]:
    """Return all units of a run, in order.

    Args:
      chosen: the benchmark's valid config as a plain dictionary.
      scaling: whether the scaling study is run, after the cases.
    """
    units = []
    for name in settings.split(chosen["cases"]):
        case = settings.chosen_case(chosen, name)
        for task in settings.TASKS:
            if task in settings.split(chosen["tasks"]) and (task != "training" or case.genotype):
                units.append(PlannedUnit(task, case, chosen))
    if scaling:
        few = {**chosen, "rounds": chosen["scaling"]["rounds"], "event_rounds": 0}
        few["alpha_gradients"] = settings.split(chosen["alpha_gradients"])[0]
        for field, cases in settings.scaling_cases(chosen).items():
            units += [PlannedUnit("search", case, few, field, getattr(case, field)) for case in cases]
    return units


class Results:
    """The output folder: what was measured there before, and what is added.

    Args:
      folder: the folder; it is made when the first result is there.

    Raises:
      UserError: the folder is a file, or its result.json is not one of ours.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        if folder.exists() and not folder.is_dir():
            raise UserError(
                f"--output: {str(folder)!r} is a file; allowed: a folder, new or of an earlier run"
            )
        path = folder / "result.json"
        self.content = read_json(path) if path.exists() else {"limit": None, "units": []}
        self.content.pop("schema_version", None)
        if not isinstance(self.content.get("units"), list):
            raise UserError(
                f"--output: {path} is not a result of {command.of('benchmark')}; use another folder"
            )

    def find(self, depends: dict[str, Any]) -> dict[str, Any] | None:
        """Return the result that depends on exactly this; None if there is none."""
        units = [self.content["limit"], *self.content["units"]]
        return next((unit for unit in units if unit and unit["depends"] == depends), None)

    def save(self) -> None:
        """Write result.json.

        Raises:
          UserError: the folder cannot be made or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--output: {self.folder} cannot be made: {error.strerror}") from None
        write_json(self.folder / "result.json", self.content)


def run(
    chosen: dict[str, Any],
    peer: bool,
    scaling: bool,
    folder: pathlib.Path,
    say: Callable[[str], None] = print,
) -> str:
    """Measure what the folder does not hold yet, write its files, and return the tables.

    Args:
      chosen: the benchmark's valid config as a plain dictionary.
      peer: whether the peer is measured too.
      scaling: whether the scaling study is run.
      folder: where results go.
      say: is told what is being measured.

    Raises:
      UserError: a case cannot be measured, or the folder cannot be used.
    """
    results, units = Results(folder), planned_units(chosen, scaling)
    with rounds.Worker("limit", "limit", units[0].case, chosen) as worker:
        here = {**host.about(), "device": worker.started["device"]}
        depends = _depends("limit", chosen, here)
        if results.find(depends) is None:
            say("measuring the machine's limit")
            measured = {**worker.started, **worker("measure")}
            results.content["limit"] = {"depends": depends, "date": _now(), "result": measured}
            results.save()
    shown = []
    for unit in units:
        depends = _depends(unit.task, unit.settings, here)
        depends |= {"case": dataclasses.asdict(unit.case), "peer": peer, "varied": unit.varied}
        found = results.find(depends)
        if found is not None:
            say(f"{unit.name}: kept, measured {found['date']}")
        else:
            say(f"{unit.name}: measuring" + _warning(machine.busy_cores()))
            date, others = _now(), machine.Others()
            result = _measure(unit, peer)
            found = {"depends": depends, "date": date, "others_cores": others.cores(), "result": result}
            found |= {"task": unit.task, "case": depends["case"], "varied": unit.varied, "value": unit.value}
            found["implementation"] = tf_darts.__version__
            results.content["units"].append(found)
            results.save()
        shown.append(found)
    return _show(results, shown)


def _depends(task: str, chosen: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    return {"task": task, "machine": here, "settings": {name: chosen[name] for name in DEPENDS[task]}}


def _warning(busy: float | None) -> str:
    if busy is None or busy < BUSY:
        return ""
    return f" (WARNING: something else uses {busy:.1f} cores; figures would not be right)"


def _measure(unit: PlannedUnit, peer: bool) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        names = (rounds.OURS, rounds.PEER) if peer else (rounds.OURS,)
        workers = {
            name: stack.enter_context(rounds.Worker(name, unit.task, unit.case, unit.settings))
            for name in names
        }
        return rounds.TASKS[unit.task](workers, unit.case, unit.settings)


def _name(unit: dict[str, Any]) -> str:
    """Return how messages name a unit of result.json."""
    case = unit["case"]["name"]
    return f"scaling, {case}" if unit["varied"] else f"{case}, {unit['task']}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _show(results: Results, units: list[dict[str, Any]]) -> str:
    """Write table.md and the pictures; return the table's text."""
    limit, folder = results.content["limit"]["result"], results.folder
    cases = [unit for unit in units if not unit["varied"]]
    study = [unit for unit in units if unit["varied"]]
    timed = [unit for unit in cases if "quantities" in unit["result"]]
    parts = [_preface(units, limit)]
    if timed:
        parts += [report.times_table(timed, limit), report.starts_table(timed)]
        write_atomically(folder / "plot.png", report.times_picture(timed))
    parts.append(report.selections_table(cases))
    if study:
        parts.append(report.scaling_table(study))
        write_atomically(folder / "scaling.png", report.scaling_picture(study))
    text = "\n\n".join(filter(None, parts)) + "\n"
    write_atomically(folder / "table.md", text.encode())
    return text


def _preface(units: list[dict[str, Any]], limit: dict[str, Any]) -> str:
    """Return what the tables are about: machine, versions, threads, and how figures are to be read."""
    here = units[0]["depends"]["machine"]
    sides: dict[str, dict[str, Any]] = {}
    for unit in units:
        sides |= unit["result"]["sides"]
    gpu = here.get("device", machine.CPU)  # results of earlier versions are of a CPU
    precision = units[0]["depends"]["settings"].get("precision", "float32")
    lines = [
        ("" if gpu == machine.CPU else f"{gpu}, {precision}; memory is the GPU's. ")
        + f"{here['processor']}, {here['cores']} cores, {here['memory'] / report.GIB:.0f} GiB,"
        f" {here['system']}; limit {limit['multiply_adds_per_second'] / 1e9:.1f} * 10^9 multiply-adds/s,"
        f" {limit['bytes_per_second'] / 1e9:.1f} GB/s."
    ]
    for name, side in sides.items():
        versions = ", ".join(f"{package} {version}" for package, version in side["versions"].items())
        threads = ", ".join(f"{kind} {count or 'all'}" for kind, count in side["threads"].items())
        lines.append(f"{name}: {versions}; threads: {threads}.")
    disturbed = [_name(unit) for unit in units if (unit["others_cores"] or 0.0) >= BUSY]
    if disturbed:
        names = "; ".join(disturbed)
        lines.append(
            f"NOT TO BE USED, since other processes were at work: {names}."
            " Ratios of CPU seconds suffer least."
        )
    lines.append(
        "Medians, in brackets quartiles, after the comma extremes; ours and the peer in turn. CPU seconds are"
        " of all cores together. Multiply-adds"
        " are those that are needed: a forward pass, as many again for gradients of the inputs, and as many"
        " again for gradients of the weights, which a step of alpha does not need: a bilevel step counts as 5"
        " forward passes, a training step as 3. Our times include drawing and augmenting the batches, the"
        " peer's do not."
    )
    return "\n\n".join(lines)
