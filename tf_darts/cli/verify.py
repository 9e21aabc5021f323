"""Checks supernets and networks against reference values: bin/verify --file=REFERENCE.npz --space=darts.

Exit status: 0 if everything agrees, 1 if something is beyond its tolerance, 2 if a file cannot be compared.
"""

import contextlib
from collections.abc import Iterator, Sequence

from absl import flags

from tf_darts import spaces
from tf_darts.cli import shared_flags
from tf_darts.errors import UserError, listed, show, show_path
from tf_darts.runtime.quiet import quiet_start

_FILE = flags.DEFINE_multi_string(
    "file",
    [],
    "An .npz of reference values (tf_darts/tools/reference_checks.py lists its keys). May be given several"
    " times.",
)
_SPACE = flags.DEFINE_multi_string(
    "space",
    [],
    "The search space of the files, once for all of them or once for each. One of: "
    + ", ".join(spaces.SPACES),
)

_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "float64"],
    "What to compute in. float64, on a CPU, is for files whose values were computed in float64. Tolerances"
    " are then 1e-9, and 1e-7 after three steps, and nothing beyond them is excused.",
)


def program() -> int:
    """Compare; print a table per file and the verdict; return the exit status."""
    files, names = _FILE.value, _SPACE.value
    if not files:
        raise UserError("--file: missing; give an .npz of reference values")
    if len(names) not in (1, len(files)):
        raise UserError(
            f"--space: given {len(names)} times for {len(files)} files; allowed: once, or once for each file"
        )
    chosen = [spaces.get(name) for name in names] * (len(files) if len(names) == 1 else 1)
    with quiet_start():
        from tf_darts import config
        from tf_darts.runtime import strategy
        from tf_darts.tools import verify
        from tf_darts.tools.reference_file import report

        runtime = config.default().runtime
        runtime.precision = _PRECISION.value
        strategy.start(runtime)
    # All files are checked before the first takes its time.
    verifications = []
    for path, space in zip(files, chosen, strict=True):
        with _named(path, files):
            verifications.append(verify.Verification(path, space))
    beyond = compared = 0
    for path, space, verification in zip(files, chosen, verifications, strict=True):
        comparisons = verification.run()
        print(f"{path} ({space.name})\n{report(comparisons)}\n", flush=True)
        unknown = verification.unknown
        if unknown:
            print(f"not known, and so not compared: {listed(map(show, unknown))}\n", flush=True)
        compared += len(comparisons)
        beyond += sum(not comparison.passed for comparison in comparisons)
    if beyond:
        print(f"differs: {beyond} of {compared} arrays")
        return 1
    print(f"agrees: all {compared} arrays")
    return 0


@contextlib.contextmanager
def _named(path: str, files: Sequence[str]) -> Iterator[None]:
    """Let an error of this block name the file, where there are several."""
    try:
        yield
    except UserError as error:
        if len(files) == 1 or show_path(path) in str(error):
            raise
        raise UserError(f"{show_path(path)}: {error}") from None


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
