"""Runs a grid of searches and selections: bin/study --config=configs/study_digits.py --output=runs/digits."""

import contextlib
import importlib.util
import os
import shlex
import signal
import sys
from types import FrameType
from typing import NoReturn

from absl import flags
from ml_collections import config_flags

from tf_darts import trust
from tf_darts.cli import entry
from tf_darts.errors import UserError
from tf_darts.runtime import command, preemption
from tf_darts.runtime.progress import duration
from tf_darts.runtime.quiet import quiet_start
from tf_darts.study import engine, settings, slurm
from tf_darts.study.collect import Tables
from tf_darts.study.output import Output
from tf_darts.study.settings import Study

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "The study, such as configs/study_digits.py. Its fields are set by --config.FIELD=VALUE, those of the"
    " config that all searches start from by --config.base.FIELD=VALUE; tf_darts/study/settings.py lists"
    " them. May be left out if the output folder holds a study.",
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for the work directories of all searches and for the tables and pictures."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "The same as --config.base.data.path.")
_TABLE = flags.DEFINE_string(
    "table", None, "The same as --config.base.report.table: a table of NAS-Bench-201."
)
_TPU = flags.DEFINE_string(
    "tpu",
    None,
    "Run the searches on a TPU, one after the other: local for the one of this machine, or its name. The same"
    " as --config.base.runtime.strategy=tpu --config.base.runtime.tpu=NAME.",
)
_COLLECT = flags.DEFINE_bool("collect", False, "Only collect what is finished; run nothing.")
_SLURM = flags.DEFINE_string(
    "slurm", None, "Only write this file: a SLURM array script that runs what is not finished."
)
_ENGINE = flags.DEFINE_enum(
    "engine", "local", list(engine.ENGINES), "What runs the jobs; ray needs the extra `ray`."
)
_TRUST = flags.DEFINE_list(
    "trust",
    [],
    "Without --config: Python files, folders or modules whose code the study in --output may name, separated"
    " by commas.",
)


def _study(output: Output) -> Study:
    """Return the valid study that the flags describe, or the one that the output folder holds."""
    strategy = None if _TPU.value is None else "tpu"
    changes = {
        "data": {"path": _DATA_DIR.value},
        "report": {"table": _TABLE.value},
        "runtime": {"strategy": strategy, "tpu": _TPU.value},
    }
    if _CONFIG.value is not None:
        config = _CONFIG.value.copy_and_resolve_references().to_dict()
        settings.allow_extensions(config)  # a program of the user's
    else:
        config = dict(output.study().config)
    if isinstance(config.get("base"), dict):  # anything else gives an error below, by its name
        for section, fields in changes.items():
            given = {name: value for name, value in fields.items() if value is not None}
            there = config["base"].get(section, {})
            if given and isinstance(there, dict):
                config["base"] = config["base"] | {section: there | given}
    return settings.validate(config)


def program() -> int:
    """Run what is not finished and collect; return the exit status."""
    if not _OUTPUT.value:
        raise UserError("--output: missing; give the folder for the results")
    if _COLLECT.value and _SLURM.value is not None:
        raise UserError("--collect and --slurm: allowed: one of them")
    if _ENGINE.value == "ray" and importlib.util.find_spec("ray") is None:
        raise UserError("--engine=ray: Ray is missing; run: pip install -e '.[ray]'")
    trust.allow(*_TRUST.value)
    output = Output(_OUTPUT.value)
    if _COLLECT.value and not output.folder.is_dir():
        raise UserError(f"--output: {_OUTPUT.value!r} is no folder; allowed: with --collect, that of a study")
    study, tables = _study(output), Tables()
    for job in study.jobs:
        tables.of(job)  # a table that is no use fails now, not after the searches
        tables.surrogate(job)
        output.check(job)
    for line in study.skipped:
        print(line, file=sys.stderr)
    left = [] if _COLLECT.value else [job.name for job in study.jobs if not output.finished(job)]
    if not _COLLECT.value:
        print(f"{len(study.jobs)} searches, {len(left)} of them not finished.", file=sys.stderr)
    if left:
        # The tasks of a SLURM array have memory of their own.
        needed = engine.check(study, left, 1 if _SLURM.value is not None else study.config["jobs"])
    output.record(study)
    if _SLURM.value is not None:
        if not left:
            print(f"Everything in {output.folder} is finished.")
            return 0
        return _write_slurm(left, output, needed)
    failed = _run(left, output, study)
    _collect(study, output, tables)
    return int(failed > 0)


def _write_slurm(left: list[str], output: Output, needed: float) -> int:
    slurm.write(left, output, os.path.expanduser(_SLURM.value), needed)
    print(f"The script is {_SLURM.value}; it has {len(left)} tasks.")
    print(f"Next: sbatch {shlex.quote(_SLURM.value)}")
    place = entry.place("output", str(output.folder))
    print(f"After it: {command.of('study')} {place} --collect")
    return 0


def _run(left: list[str], output: Output, study: Study) -> int:
    """Run jobs; return the number of those that failed."""
    failures, size = [], study.config["jobs"]

    def say(line: str) -> None:
        print(line + "\n", end="", file=sys.stderr, flush=True)  # at once: several threads write

    if not left:
        return 0
    signal.signal(signal.SIGTERM, _leave)
    # Closed, whatever ends it: it asks the jobs that are at work to leave, and waits.
    with contextlib.closing(engine.ENGINES.load(_ENGINE.value)(left, output, size, say)) as ends:
        for done, ended in enumerate(ends, 1):
            text = f"FAILED: {ended.reason}" if ended.reason else "finished"
            say(f"{ended.name}: {text} ({duration(ended.seconds)}; {done} of {len(left)})")
            if ended.reason:
                failures.append(ended)
    for ended in failures:
        print(f"{ended.name} failed: {ended.reason} (log: {output.log(ended.name)})")
    if failures:
        print("Run the same command to try again what failed.")
    return len(failures)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the program, and before it the jobs, which save."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("SIGTERM: the searches save, then end", file=sys.stderr, flush=True)
    sys.exit(preemption.STATUS)


def _collect(study: Study, output: Output, tables: Tables) -> None:
    with quiet_start():
        from tf_darts.report import leaderboard
        from tf_darts.study.conclude import conclude

    print(conclude(study, output, tables))
    leaderboard.leave(study, output, tables)
    if (output / "results.csv").exists():
        print(f"All figures are in {output / 'results.csv'}, other tables and the pictures beside it.")
    else:
        print(f"No selection is finished yet; what there is stands in {output}.")
    if (output / leaderboard.NAMES[0]).exists():
        print(f"The leaderboard is {output / leaderboard.NAMES[0]}.")


def main() -> None:
    """Run the program."""
    entry.run(program, settings.names(), settings.unknown, example="configs/study_digits.py")


if __name__ == "__main__":
    main()
