"""The folders of the three stages and what their results depend on; without TensorFlow."""

import os
import re
from collections.abc import Mapping
from typing import Any

import ml_collections

from tf_darts import config as config_lib
from tf_darts.config import depends, limits
from tf_darts.config.address import refuse_address
from tf_darts.errors import UserError, show, show_path
from tf_darts.workdir.stage_folder import StageFolder

SEARCH = "search"
PATTERN = "*?[]"  # characters that TensorFlow takes for a pattern, where it looks for files
_BELOW = 250  # bytes of the longest path in a work directory
_BESIDE = 10  # bytes that the name of a folder has more while it is written


def check_folder(flag: str, path: str, given: str = "") -> None:
    """Check that results can go to a folder.

    Args:
      flag: what names the folder, for messages.
      path: the folder.
      given: how the user named it, if otherwise.

    Raises:
      UserError: it is an address or a file, is too long, or has a name that TensorFlow cannot find
        checkpoints under.
    """
    given = given or path
    refuse_address(flag, given)
    if os.path.exists(path) and not os.path.isdir(path):
        raise UserError(f"{flag}: {given!r} is a file; allowed: a folder, new or of an earlier run")
    if any(character in path for character in PATTERN):
        raise UserError(
            f"{flag}: {given!r}; allowed: a name without * ? [ ], which TensorFlow takes for a pattern"
        )
    name, whole = _longest(path)
    full = os.fsencode(os.path.abspath(path))
    if max(map(len, full.split(b"/"))) > name or len(full) > whole:
        raise UserError(
            f"{flag}: {show_path(given)} is too long; allowed: names of at most {name} bytes, {whole} in all"
        )


def check_name(flag: str, name: str) -> None:
    """Check the name of a training's folder.

    Args:
      flag: what gives the name, for messages.
      name: the name.

    Raises:
      UserError: it is none, or not one in every file system.
    """
    if not re.fullmatch(rf"[\w.-]{{1,{limits.FOLDER_NAME}}}", name) or name.startswith("."):
        raise UserError(
            f"{flag}: {show(name)}; allowed: letters, digits, _ . - (not first a dot), at most"
            f" {limits.FOLDER_NAME}"
        )


def _longest(path: str) -> tuple[int, int]:
    """Return how many bytes a name and the whole path of a folder may have, for what is written in it."""
    there = os.path.abspath(path)
    while not os.path.isdir(there) and there != os.path.dirname(there):
        there = os.path.dirname(there)
    name, whole = (os.pathconf(there, limit) for limit in ("PC_NAME_MAX", "PC_PATH_MAX"))
    return name - _BESIDE, whole - _BELOW


def supernet_folder(number: int) -> str:
    """Return the folder of a supernet's search, by its number from 1: search, search_2 and so on."""
    return SEARCH if number == 1 else f"{SEARCH}_{number}"


def search_stage(workdir: str, config: ml_collections.ConfigDict, folder: str = SEARCH) -> StageFolder:
    """Return the folder of the search, or another one that becomes it."""
    sections = config_lib.search_sections(config)
    more = depends.of_deciding_search(config) | depends.of_precision(config)
    return StageFolder(workdir, folder, config, sections, more)


def selection_name(config: ml_collections.ConfigDict) -> str:
    """Return the name of the selection's folder, and of the training of what it selects."""
    return config.selection.name or config.selection.method


def selection_stage(workdir: str, config: ml_collections.ConfigDict) -> StageFolder:
    """Return the folder of the selection."""
    sections = (*config_lib.search_sections(config), "selection")
    # The folder says the name, whether or not the config does; of a table the content matters.
    folder = f"selection/{selection_name(config)}"
    free = ("selection.name", "selection.latency_table")
    more = depends.of_budget(config) | depends.of_precision(config)
    return StageFolder(workdir, folder, config, sections, more, free)


def training_stage(
    workdir: str,
    config: ml_collections.ConfigDict,
    name: str,
    genotype: str,
    rival: Mapping[str, Any] | None = None,
) -> StageFolder:
    """Return the folder of the training of a genotype, named by its text form.

    Args:
      workdir: the work directory.
      config: the whole config.
      name: of the folder under training/.
      genotype: the text form.
      rival: what is kept of a rival (`whole_way.rivals`); None: it is none.
    """
    more = {"genotype": genotype} | depends.of_precision(config)
    more |= {} if rival is None else {"rival": dict(rival)}
    return StageFolder(workdir, f"training/{name}", config, ("data", "training"), more)
