"""Makes the report pages: bin/report --workdir=runs/mine, or --compare=runs/a,runs/b --output=FILE."""

import glob
import os
import pathlib
import sys

from absl import flags

from tf_darts import trust
from tf_darts.cli import entry
from tf_darts.errors import UserError
from tf_darts.registry import METHODS
from tf_darts.runtime.quiet import quiet_start

_WORKDIR = flags.DEFINE_string("workdir", None, "A work directory; its page is WORKDIR/report/index.html.")
_COMPARE = flags.DEFINE_list(
    "compare", [], "Work directories to compare, separated by commas; a pattern stands for several: 'runs/*'."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "File for the page; with --compare, by default comparison.html in the first folder."
)
_BASELINE = flags.DEFINE_string(
    "baseline", None, "With --compare: SEARCH/SELECTION to compare the others with; by default the first."
)
_TRUST = flags.DEFINE_list(
    "trust",
    [],
    "With --workdir: Python files, folders or modules, separated by commas. The pictures of the mixing"
    " weights of a search method of your own need its code.",
)


def program() -> None:
    """Write one page."""
    trust.allow(*_TRUST.value)
    if bool(_WORKDIR.value) == bool(_COMPARE.value):
        raise UserError("--workdir and --compare: allowed: one of them, a work directory or several")
    if _WORKDIR.value and _BASELINE.value is not None:
        raise UserError("--baseline: allowed: only with --compare")
    with quiet_start():
        from tf_darts.report import comparison_page, page, workdir_contents, workdir_page
    if _WORKDIR.value:
        found = workdir_contents.read(_WORKDIR.value)
        path = pathlib.Path(_OUTPUT.value) if _OUTPUT.value else found.workdir / "report" / "index.html"
        if found.config.search.method in METHODS.untrusted():
            try:
                METHODS.load(found.config.search.method)
            except UserError as error:
                print(f"warning: no pictures of the mixing weights: {error}", file=sys.stderr)
        text = workdir_page.make(found)
    else:
        folders = workdirs(_COMPARE.value)
        path = pathlib.Path(_OUTPUT.value or pathlib.Path(folders[0]).parent / "comparison.html")
        text = comparison_page.make(
            [workdir_contents.read(folder) for folder in folders], _BASELINE.value, path
        )
    try:
        page.write(path, text)
    except OSError as error:
        raise UserError(f"--output: {path} cannot be written: {error.strerror}") from None
    print(f"The page is {path} ({len(text.encode()) / 1e6:.1f} MB); it needs no network.")


def workdirs(names: list[str]) -> list[str]:
    """Return the work directories that names and patterns stand for, each once.

    Raises:
      UserError: one of them is none, or there is only one.
    """
    found: dict[str, None] = {}
    for name in names:
        matches = sorted(glob.glob(os.path.expanduser(name))) if glob.has_magic(name) else [name]
        kept = [match for match in matches if os.path.isfile(os.path.join(match, "config.json"))]
        if not kept:
            raise UserError(f"--compare: {name!r}: no work directory (a folder with a config.json)")
        found |= dict.fromkeys(map(os.path.normpath, kept))
    if len(found) < 2:
        raise UserError(f"--compare: only {next(iter(found))!r}; allowed: two work directories or more")
    return list(found)


def main() -> None:
    """Run the program."""
    entry.run(program, [], lambda name: f"--config.{name}: bin/report takes no config", example="")


if __name__ == "__main__":
    main()
