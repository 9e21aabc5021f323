"""What the programs share: their flags, and errors as one line; without TensorFlow, for a quick --help."""

import difflib
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections
from absl import flags
from ml_collections import config_flags

from tf_darts import config as config_lib
from tf_darts import trust
from tf_darts.cli import entry
from tf_darts.errors import UserError
from tf_darts.registry import SELECTIONS
from tf_darts.runtime import progress
from tf_darts.workdir import stage_folders

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for all results; a stopped run continues there.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "The same as --config.data.path: tfds data directory, .npz file, or image folder."
)
_TPU = flags.DEFINE_string(
    "tpu",
    None,
    "Run on a TPU: local for the one of this machine, or its name. The same as --config.runtime.strategy=tpu"
    " --config.runtime.tpu=NAME.",
)
_QUIET = flags.DEFINE_bool("quiet", False, "Print results, warnings and errors only: no progress.")
_TRUST = flags.DEFINE_list(
    "trust",
    [],
    "Python files, folders or modules whose code a work directory or a model may name, separated by commas."
    " Code that --config or --config.extensions names here needs no --trust.",
)
_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Config file, such as configs/quickstart.py; fields are set by --config.FIELD=VALUE. After a search it"
    " may be left out: then the work directory's config is used, changed by --config.FIELD=VALUE.",
)


# Fields with paths, which are recorded in the work directory and have to mean the same from anywhere.
_PATHS = (("data", "path"), ("report", "table"), ("report", "surrogate"), ("selection", "latency_table"))


def load_config(
    table: str | None = None, own_images: Mapping[str, Any] | None = None
) -> ml_collections.ConfigDict:
    """Return the valid config that the flags describe.

    Args:
      table: the value of --table, if the program has it.
      own_images: the values of the flags that stand for fields of this section, if the program has them.

    Raises:
      UserError: no config, or one that is not valid.
    """
    if _CONFIG.value is None:
        raise UserError("--config: missing; give a config file, for example --config=configs/quickstart.py")
    config = _CONFIG.value.copy_and_resolve_references()
    config_lib.allow_extensions(entry.named_extensions(config, flags.FLAGS["config"]))
    if _DATA_DIR.value is not None:
        with config.unlocked():
            config.data.path = _DATA_DIR.value
    if table is not None:
        with config.unlocked():
            config.update({"report": {"table": table}})
    for name, value in (own_images or {}).items():
        if value is not None:
            with config.unlocked():
                config.update({"own_images": {name: value}})
    if _TPU.value is not None:
        with config.unlocked():
            config.update({"runtime": {"strategy": "tpu", "tpu": _TPU.value}})
    config = config_lib.validate(config)
    for section, field in _PATHS:
        path = config[section][field]
        if path:
            config[section][field] = os.path.abspath(os.path.expanduser(path))
    return config


def check_new_file(flag: str, path: str) -> None:
    """Check that a file can be made where a flag says.

    Args:
      flag: its name, as --output.
      path: its value.

    Raises:
      UserError: there is something already, or no folder that can be written.
    """
    if os.path.exists(path):
        raise UserError(f"{flag}: {path!r} is there already; allowed: a new file")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise UserError(f"{flag}: {path!r}; allowed: a file in a folder that exists and can be written")


def given_fields() -> frozenset[str]:
    """Return the names of the config's fields that flags of this command set, a shorthand's too."""
    given = {*config_flags.get_override_values(flags.FLAGS["config"])}
    if _DATA_DIR.value is not None:
        given.add("data.path")
    return frozenset(given)


def workdir() -> str:
    """Return the value of --workdir.

    Raises:
      UserError: it is missing, a file, or a name that TensorFlow cannot find checkpoints under.
    """
    if not _WORKDIR.value:
        raise UserError("--workdir: missing; give the folder for the results")
    path = os.path.expanduser(_WORKDIR.value)
    stage_folders.check_folder("--workdir", path)
    return path


def method_flag() -> flags.FlagHolder:
    """Define a flag --method that stands for --config.selection.method."""
    return flags.DEFINE_string(
        "method", None, f"The same as --config.selection.method: one of {', '.join(SELECTIONS)}."
    )


def table_flag() -> flags.FlagHolder:
    """Define a flag --table that stands for --config.report.table."""
    return flags.DEFINE_string("table", None, "The same as --config.report.table: a table of NAS-Bench-201.")


def _unknown_field(name: str) -> str:
    near = difflib.get_close_matches(name, config_lib.NAMES, n=1)
    hint = f"did you mean --config.{near[0]}?" if near else "tf_darts/config/fields.py lists all fields"
    return f"--config.{name}: no such field; {hint}"


def run(program: Callable[[], int | None], recorded: bool = False) -> None:
    """Run a program: parse flags, and turn a `UserError` into one line and exit status 2.

    Args:
      program: what is run.
      recorded: whether the work directory's own config serves where --config is left out.
    """

    @functools.wraps(program)
    def quietly_or_not() -> int | None:
        progress.be_quiet(_QUIET.value)
        trust.allow(*_TRUST.value)
        return program()

    entry.run(
        quietly_or_not, config_lib.NAMES, _unknown_field, example="configs/quickstart.py", recorded=recorded
    )
