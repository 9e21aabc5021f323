"""Commands as one would type them: the one that this process was started with, and those that come next."""

import pathlib
import shlex
import sys

from tf_darts.config import files


def text() -> str:
    """As `bin/search --config=...` where it is one of the programs; else what Python was given."""
    started = pathlib.Path(sys.argv[0])
    if started.parent.name == "cli" and started.suffix == ".py":
        name = of(started.stem)
    else:
        name = started.name if started.name.startswith("tf-darts-") else sys.argv[0]
    return shlex.join([name, *sys.argv[1:]])


def of(name: str) -> str:
    """How one of the programs is called: `bin/select` in a checkout, else `tf-darts-select`, as installed."""
    if not files.INSTALLED:
        return f"bin/{name}"
    return name if name == "tensorboard" else f"tf-darts-{name.replace('_', '-')}"
