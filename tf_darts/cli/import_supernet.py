"""Takes a supernet that was searched elsewhere instead of one of a search here.

bin/import_supernet --file=FILE.npz --config=configs/paper.py:darts_cifar10_darts_pt --workdir=runs/mine
"""

import os

from absl import flags

from tf_darts.cli import entry, shared_flags
from tf_darts.errors import UserError
from tf_darts.runtime import command
from tf_darts.session import start

_FILE = flags.DEFINE_string(
    "file", None, "The supernet as an .npz file; docs/import.md says how to make one."
)
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Make a work directory whose search is finished; print what the supernet reaches."""
    if not _FILE.value:
        raise UserError("--file: missing; give the .npz file of a supernet")
    path = os.path.expanduser(_FILE.value)
    if not os.path.isfile(path):
        raise UserError(f"--file: {path!r}: no such file")
    config, workdir = shared_flags.load_config(), shared_flags.workdir()
    session, _ = start(config)
    from tf_darts import stages

    folder, values = stages.import_supernet(session, workdir, path)
    print(f"The supernet is in {folder} (alpha in {folder / 'result.json'}).")
    for name, half in (("valid", "validation half"), ("test", "test set")):
        if f"evaluation/{name}_accuracy" in values:
            print(f"Accuracy on the {half}: {100 * values[f'evaluation/{name}_accuracy']:.2f} %")
    print(f"Next: {command.of('select')} {entry.place('workdir', workdir)}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
