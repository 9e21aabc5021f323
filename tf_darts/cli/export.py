"""Writes a trained network as files that need no tf_darts: bin/export --workdir=runs/mine.

Each file is read in a fresh process, which has to give the trained network's answers.
"""

from __future__ import annotations

import os
import pathlib
import sys
from typing import TYPE_CHECKING

from absl import flags

from tf_darts.cli import entry, shared_flags, trained
from tf_darts.errors import UserError
from tf_darts.export import FILES, INT8
from tf_darts.runtime import command
from tf_darts.runtime.quiet import quiet_start
from tf_darts.workdir import stage_folders

if TYPE_CHECKING:
    from tf_darts.export.sample import Data
    from tf_darts.training.trained_network import TrainedNetwork

_FORMATS = flags.DEFINE_list("formats", list(FILES), "Which files to write, separated by commas.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder for the files; by default WORKDIR/export/NAME.")
_CHECK = flags.DEFINE_integer(
    "check_images", 1000, "How many test images files are checked on; 0: all.", lower_bound=0
)
_REPRESENTATIVE = flags.DEFINE_integer(
    "representative_images", 200, "How many training images quantise int8.", lower_bound=1
)
flags.adopt_module_key_flags(trained)  # --help lists the shared flags too


def program() -> int:
    """Export; print what was found; return 1 if a file does not have the network's answers."""
    unknown = [name for name in _FORMATS.value if name not in FILES]
    if unknown or not _FORMATS.value:
        raise UserError(
            f"--formats: {', '.join(unknown) or 'empty'}; allowed: one or several of {', '.join(FILES)}"
        )
    found = trained.load()
    output = _OUTPUT.value or os.path.join(shared_flags.workdir(), "export", found.name)
    stage_folders.check_folder("--output", output)
    folder = pathlib.Path(output).expanduser()
    names = list(dict.fromkeys(_FORMATS.value))
    data, names = _images(found, names)
    with quiet_start():
        from tf_darts.export import build, card

    with quiet_start():  # converters write to standard error too
        content = build.export(found, data, folder, names, _CHECK.value, _REPRESENTATIVE.value, print)
    print((folder / card.TEXT).read_text(encoding="utf-8"))
    print(f"This is in {folder / card.TEXT}, the files beside it.")
    print(f"Next: {command.of('predict')} {entry.place('model', str(folder))} --image=FILE_OR_FOLDER")
    bad = [name for name, entry in content["formats"].items() if not entry["agrees"]]
    if bad:
        print(f"{', '.join(bad)}: answers differ from the trained network's; see the table", file=sys.stderr)
    return 1 if bad else 0


def _images(found: TrainedNetwork, names: list[str]) -> tuple[Data | None, list[str]]:
    """Return the training's images, and the formats that can be written; without the images not int8."""
    try:
        return trained.images_of(found), names
    except UserError as error:
        if flags.FLAGS["formats"].present and INT8 in names:
            raise UserError(f"--formats: {INT8} needs the training's images: {error}") from None
        left_out = f", and {INT8} is left out" if INT8 in names else ""
        print(f"warning: files are compared on images of noise{left_out}: {error}", file=sys.stderr)
        return None, [name for name in names if name != INT8]


def main() -> None:
    """Run the program."""
    shared_flags.run(program, recorded=True)


if __name__ == "__main__":
    main()
