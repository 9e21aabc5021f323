"""Measures how long operations take with TFLite here: bin/latency --config=FILE --output=TABLE.csv.

The table predicts the latency of every network that the config can train; --config.selection.latency_table
gives it to a selection. It is checked against whole networks, whose errors are shown. For another machine, a
phone say, --files=FOLDER writes a .tflite file for each row, and a table to be filled in with what they take.
"""

import dataclasses
import os
import pathlib
import shlex
import statistics

import ml_collections
from absl import flags

from tf_darts import registry, spaces
from tf_darts.cli import shared_flags
from tf_darts.errors import UserError
from tf_darts.runtime import command
from tf_darts.runtime.quiet import quiet_start
from tf_darts.workdir.records import write_json

_OUTPUT = flags.DEFINE_string("output", None, "The table; by default WORKDIR/latency.csv.")
_FILES = flags.DEFINE_string(
    "files",
    None,
    "Measure nothing. Write a .tflite file for each row into this folder, and a table to fill in.",
)
_CHECK = flags.DEFINE_integer(
    "check", 5, "How many random networks are compared with their predictions; 0: none.", lower_bound=0
)
_THREADS = flags.DEFINE_integer("threads", 1, "Threads of TFLite's interpreter.", lower_bound=1)
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too
CHECKED = "latency_check.json"  # beside the table


def program() -> None:
    """Measure and check, or write the files."""
    config = shared_flags.load_config()
    if sum(map(bool, (_OUTPUT.value, _FILES.value, flags.FLAGS.workdir))) != 1:
        raise UserError("--output, --files, --workdir: allowed: one of them, for the table")
    place = pathlib.Path(_OUTPUT.value or "latency.csv").expanduser()
    if flags.FLAGS.workdir:
        place = pathlib.Path(shared_flags.workdir()) / "latency.csv"
    elif _FILES.value:
        place = pathlib.Path(_FILES.value).expanduser() / place.name
        if place.parent.exists() and (not place.parent.is_dir() or any(place.parent.iterdir())):
            raise UserError(f"--files: {_FILES.value!r} holds something; allowed: a new folder")
    registry.check_trust()
    with quiet_start():
        from tf_darts.export import latency

        space = spaces.with_stem(spaces.of(config), config.training.stem)
        classes, shape = _of_data(config)
        size = (config.training.channels, config.training.cells, classes, shape)
    if _FILES.value:
        with quiet_start():
            number = latency.write_files(place, space, *size)
        print(f"{number} files are in {place.parent}. Write the milliseconds that each takes into {place}.")
        return
    with quiet_start():
        table = latency.of_config(config, spaces.of(config), classes, shape, threads=_THREADS.value)
        place.parent.mkdir(parents=True, exist_ok=True)
        table.write(place)
        drawn = latency.random_genotypes(space, config.seed, _CHECK.value)
        found = latency.check(space, drawn, *size, table)
    print(f"{len(table.ms)} rows are in {place}")
    if found:
        print(latency.check_table(found))
        for name in ("latency", "size"):
            errors = [abs(getattr(network, f"{name}_error")) for network in found]
            print(f"Error of {name}: median {statistics.median(errors):.1%}, largest {max(errors):.1%}.")
        networks = [dataclasses.asdict(network) for network in found]
        write_json(place.with_name(CHECKED), {"about": dict(table.about), "networks": networks})
    given = f"--config.selection.latency_table={shlex.quote(os.path.abspath(place))}"
    print(f"Next: {command.of('run')} with {given} --config.selection.max_latency_ms=MS")


def _of_data(config: ml_collections.ConfigDict) -> tuple[int, tuple[int, ...]]:
    """Return the number of classes and the shape of the images, which are read only if it takes that."""
    from tf_darts.data import outlines, sources

    outline = outlines.of(config.data)
    if outline is not None:
        return outline.classes, outline.image_shape
    data = sources.load(config.data, config.seed)
    return data.num_classes, data.image_shape


def main() -> None:
    """Run the program."""
    shared_flags.run(program, recorded=True)


if __name__ == "__main__":
    main()
