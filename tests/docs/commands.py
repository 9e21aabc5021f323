"""The commands of a block as the shell has them: bash runs it, with programs that write down their calls."""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

from tests.docs.pages import ROOT

OUTSIDE = ("python", "pip")  # what the pages call beside bin/
RECORDER = '#!/usr/bin/env bash\nprintf "%s\\0" "$#" "${TF_CONFIG:-}" "$0" "$@" >>"$CALLS"\n'
# What the pages leave open, and something that may stand there.
PLACEHOLDERS = {"CONFIG": "configs/quickstart.py", "ROW": "s1_cifar10_darts_pt"}


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
      program: as it was called: `bin/search`, `python`.
      arguments: its arguments, with placeholders filled in.
      cluster: the TF_CONFIG that it was given; empty without.
    """

    program: str
    arguments: tuple[str, ...]
    cluster: str = ""

    @property
    def module(self) -> str | None:
        """The module of tf_darts.cli that the program is; None for any other."""
        name = self.program.removeprefix("bin/")
        is_ours = self.program.startswith("bin/") and (ROOT / "tf_darts" / "cli" / f"{name}.py").exists()
        return name if is_ours else None


class Recorder:
    """A folder with a program of the same name for each one that the pages call.

    Args:
      folder: an empty folder.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        names = [f"bin/{path.name}" for path in (ROOT / "bin").iterdir() if not path.suffix]
        for name in [*names, ".venv/bin/python", *(f"path/{name}" for name in OUTSIDE)]:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(RECORDER)
            path.chmod(0o755)

    def commands(self, text: str) -> list[Command]:
        """The commands of a piece of shell, in order; a program that there is not is an error."""
        calls = self._folder / "calls"
        calls.write_bytes(b"")
        path = f"{self._folder / 'path'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self._folder,
            env={"PATH": path, "CALLS": str(calls), "HOME": str(self._folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        parts, found = calls.read_text().split("\0")[:-1], []
        while parts:
            count, cluster, program, *rest = parts
            arguments, parts = rest[: int(count)], rest[int(count) :]
            name = Path(program)
            called = name.name if name.parent.name == "path" else program
            found.append(Command(called, tuple(map(filled, arguments)), cluster))
        return found


def filled(argument: str) -> str:
    """An argument with its placeholders filled in."""
    return re.sub(r"(?<![\w.])[A-Z]+\b(?!\.)", lambda found: PLACEHOLDERS.get(found[0], found[0]), argument)
