"""Lowers and compiles the steps of the programs for TPUs; no TPU is needed.

bin/tpu_check --output=runs/tpu_check --page=docs/tpu_check.md
"""

import importlib.metadata
import os
import pathlib

from absl import flags

from tf_darts.cli import entry
from tf_darts.errors import UserError
from tf_darts.runtime import host
from tf_darts.tools.tpu_check import report, run
from tf_darts.tools.tpu_check.cases import (
    CHIPS,
    PRECISIONS,
    PROGRAMS,
    PUBLISHED,
    CompiledCase,
    batch_of,
    cells_of,
)
from tf_darts.workdir.files import write_atomically

_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for programs and figures; a stopped run continues there."
)
_PAGE = flags.DEFINE_string(
    "page", None, "File for the report of all that is in OUTPUT; by default OUTPUT/tpu_check.md."
)
_SPACES = flags.DEFINE_list("space", list(PUBLISHED), "Search spaces, separated by commas.")
_PROGRAMS = flags.DEFINE_list("program", list(PROGRAMS), "Steps, separated by commas.")
_PRECISIONS = flags.DEFINE_list("precision", list(PRECISIONS), "Precisions, separated by commas.")
_CHIPS = flags.DEFINE_list("chip", list(CHIPS), "TPU generations, separated by commas; none: only lower.")
_SIZES = flags.DEFINE_list(
    "size",
    ["fewest"],
    "full: as published; fewest: as few cells as hold every kind; or a number of cells; separated by commas.",
)
_REPLICAS = flags.DEFINE_list(
    "replicas", ["1"], "Cores that share a global batch: 1, or 4, the 2x2 topology with its all-reduces."
)
_BATCHES = flags.DEFINE_list(
    "batch",
    ["published"],
    "Images in a core's batch, separated by commas: published (search 64), or a number.",
)


def program() -> int:
    """Check; print where the report is. The exit status is 1 where something did not compile."""
    if not _OUTPUT.value:
        raise UserError("--output: missing; give the folder for the results")
    for name, given, allowed in (
        ("space", _SPACES.value, PUBLISHED),
        ("program", _PROGRAMS.value, PROGRAMS),
        ("precision", _PRECISIONS.value, PRECISIONS),
        ("chip", _CHIPS.value, (*CHIPS, "none")),
        ("replicas", _REPLICAS.value, ("1", "4")),
    ):
        wrong = [item for item in given if item not in allowed]
        if wrong or not given:
            raise UserError(f"--{name}: {', '.join(wrong)!r}; allowed: some of {', '.join(allowed)}")
    try:
        cells = {
            (size, space): cells_of(size, space) for size in _SIZES.value or [""] for space in _SPACES.value
        }
    except ValueError as error:
        raise UserError(f"--size: {error}") from None
    try:
        batches = [batch_of(batch) for batch in _BATCHES.value or [""]]
    except ValueError as error:
        raise UserError(f"--batch: {error}") from None
    versions = {}
    for package in run.PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise UserError(
                f"bin/tpu_check: {package} is not installed; it needs its own environment, with"
                " requirements-tpu-check.txt (docs/tpu_check.md)"
            ) from None
    cases = [
        CompiledCase(space, name, precision, cells[size, space], int(replicas), batch)
        for size in _SIZES.value
        for space in _SPACES.value
        for name in _PROGRAMS.value
        for precision in _PRECISIONS.value
        for replicas in _REPLICAS.value
        for batch in batches
    ]
    output = pathlib.Path(os.path.expanduser(_OUTPUT.value))
    rows = run.results(
        cases, [chip for chip in _CHIPS.value if chip != "none"], output, lambda text: print(text, flush=True)
    )
    path = pathlib.Path(_PAGE.value) if _PAGE.value else output / "tpu_check.md"
    cores = host.cores()
    machine = f"{cores} processor core{'s' * (cores > 1)}, {host.memory() / 2**30:.0f} GiB of memory"
    failed = [row for row in rows if "error" in row]
    del versions["libtpu"]  # each row has its own
    write_atomically(path, report.page(run.found(output), versions, machine).encode())
    print(f"{len(rows) - len(failed)} of {len(rows)} programs are as a TPU wants them; the report is {path}.")
    return 1 if failed else 0


def main() -> None:
    """Run the program."""
    entry.run(program, (), lambda name: f"--config.{name}: bin/tpu_check takes no config", example="")


if __name__ == "__main__":
    main()
