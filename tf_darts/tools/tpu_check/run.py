"""Lowers and compiles cases, each in processes of its own; what is done is kept and not done again."""

import dataclasses
import json
import pathlib
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version

from tf_darts.errors import UserError
from tf_darts.runtime import child
from tf_darts.tools.tpu_check.cases import CHIPS, PROGRAM_FILE, CompiledCase
from tf_darts.workdir.files import write_atomically

# What a program depends on besides its case: the versions of what lowers and compiles it.
PACKAGES = ("tensorflow_tpu", "libtpu", "jax")


def results(
    cases: Iterable[CompiledCase], chips: Sequence[str], output: pathlib.Path, say: Callable[[str], None]
) -> list[dict]:
    """Lower and compile; return a row per case and chip: the case, what was found, and errors.

    Args:
      cases: what is checked.
      chips: what it is compiled for; none: it is lowered only.
      output: folder for programs and figures.
      say: is told what goes on.

    Raises:
      UserError: the folder cannot be written.
    """
    rows = []
    for case in cases:
        folder = output / case.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--output: {folder} cannot be made: {error.strerror}") from None
        row = dataclasses.asdict(case) | {"name": case.name}
        arguments = [json.dumps(dataclasses.asdict(case)), str(folder)]
        wanted = [chip for chip in chips if not (folder / f"{chip}.json").exists()]
        kept = (folder / "lowered.json").exists() and ((folder / PROGRAM_FILE).exists() or not wanted)
        lowered = _step("lower", arguments, folder, "lowered", kept, say)
        if "error" in lowered:
            rows.append(row | {"chip": None, **lowered})
            continue
        if not chips:
            rows.append(row | lowered | {"chip": None})
        for chip in chips:
            arguments = [str(folder), chip, str(case.replicas)]
            made = _step("compile", arguments, folder, chip, chip not in wanted, say)
            rows.append(row | lowered | {"chip": chip} | made)
    return rows


def found(output: pathlib.Path) -> list[dict]:
    """Read rows as of `results` for all that earlier runs left in the folder, in the order of their names."""
    rows = []
    for folder in sorted(path for path in output.iterdir() if path.is_dir()):
        try:
            case = CompiledCase.of_name(folder.name)
        except ValueError:  # somebody else's
            continue
        row = dataclasses.asdict(case) | {"name": case.name}
        if failed := _read(folder / "lowered.failed.json"):
            rows.append(row | {"chip": None} | failed)
        if lowered := _read(folder / "lowered.json"):
            left = {c: _read(folder / f"{c}.json") or _read(folder / f"{c}.failed.json") for c in CHIPS}
            compiled = [row | lowered | {"chip": chip} | made for chip, made in left.items() if made]
            rows += compiled or [row | lowered | {"chip": None}]
    return rows


def _read(path: pathlib.Path) -> dict | None:
    """Read what a process left; None if there is nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _step(
    module: str, arguments: list[str], folder: pathlib.Path, name: str, kept: bool, say: Callable[[str], None]
) -> dict:
    """Run one of the two processes unless it is kept; return FOLDER/NAME.json, or its error as a field.

    The error is kept too, in FOLDER/NAME.failed.json, until the process ends well.
    """
    path, log, failed = folder / f"{name}.json", folder / f"{name}.log", folder / f"{name}.failed.json"
    if not kept:
        say(f"{folder.name}: {'lowering' if module == 'lower' else f'compiling for {name}'}")
        command = child.command("-m", f"tf_darts.tools.tpu_check.{module}", *arguments)
        with log.open("wb") as file:
            done = subprocess.run(command, stdout=file, stderr=file, env=child.environment(), check=False)
        if done.returncode:
            versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
            why = _reason(log.read_text(encoding="utf-8", errors="replace").splitlines())
            error = {"error": f"exit status {done.returncode}: {why} ({versions})"}
            write_atomically(failed, json.dumps(error).encode())
            return error
        failed.unlink(missing_ok=True)
    return json.loads(path.read_text(encoding="utf-8"))


def _reason(lines: Sequence[str]) -> str:
    """Return the log's line that says why a process ended: a failed check of libtpu's, or else the last."""
    said = [line.strip() for line in lines if line.strip()]
    fatal = [line for line in said if re.match(r"F\d{4} ", line)]
    return (fatal[:1] or said[-1:] or [""])[0][:300]
