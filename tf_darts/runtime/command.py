"""Commands as one would type them: the one that this process was started with, and those that come next."""

import pathlib
import shlex
import sys

from tf_darts.config import files


def text() -> str:
    """Return this process's command, as `bin/search --config=...` if it is one of the programs."""
    started = pathlib.Path(sys.argv[0])
    if started.parent.name == "cli" and started.suffix == ".py":
        name = of(started.stem)
    else:
        name = started.name if started.name.startswith("tf-darts-") else sys.argv[0]
    return shlex.join([name, *sys.argv[1:]])


def of(name: str) -> str:
    """Return how a program is called: `bin/select` in a checkout, else `tf-darts-select`, as installed."""
    if not files.INSTALLED:
        return f"bin/{name}"
    return name if name == "tensorboard" else f"tf-darts-{name.replace('_', '-')}"
