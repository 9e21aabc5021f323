"""The command that this process was started with, as one would type it."""

import pathlib
import shlex
import sys


def text() -> str:
    """As `bin/search --config=...` where it is one of the programs; else what Python was given."""
    program = pathlib.Path(sys.argv[0])
    is_ours = program.parent.name == "cli" and program.suffix == ".py"
    name = f"bin/{program.stem}" if is_ours else sys.argv[0]
    return shlex.join([name, *sys.argv[1:]])
