"""The work directory: what a stage leaves for the next, written whole or not at all.

    WORKDIR/config.json                 the config of the run
    WORKDIR/search/                     checkpoints/, metrics.jsonl, result.json, events
    WORKDIR/selection/METHOD/           the same, decisions.jsonl, genotype.json, table.json
    WORKDIR/training/METHOD/            checkpoints/, metrics.jsonl, result.json, events
    WORKDIR/report/                     pictures

Each stage also leaves `seconds.json`, how long it took (`runtime.seconds`).

It also keeps `config.json` with the part of the config that its result depends on; a stage is
continued only with the same.
"""

import csv
import importlib.metadata
import io
import json
import os
import pathlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ml_collections

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotype import write_atomically

SCHEMA_VERSION = 1
_PACKAGES = ("tf_darts", "tensorflow", "keras", "numpy")


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes JSON with a schema version, atomically."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2)
    write_atomically(path, text.encode() + b"\n")


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads what `write_json` wrote.

    Raises:
      UserError: it is missing, not JSON, or of another schema version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise UserError(f"{path}: schema_version is not {SCHEMA_VERSION}")
    return content


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        from tf_darts import __version__

        return __version__


def _part(config: ml_collections.ConfigDict, sections: tuple[str, ...]) -> dict[str, Any]:
    """The fields without a section, and the sections named, as a plain dictionary.

    What describes the space belongs to the field that names it. Where extensions are found does not matter.
    """
    whole = config.to_dict()
    if whole.get("space") == spaces.custom.NAME:
        sections = (*sections, "custom_space")
    return {k: v for k, v in whole.items() if k in sections or not isinstance(v, dict)}


def _completed(old: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A recorded part of a config with the defaults of what it does not have."""
    filled = dict(old)
    for name, value in defaults.items():
        if isinstance(value, dict):
            filled[name] = {**value, **old.get(name, {})}
        else:
            filled.setdefault(name, value)
    return filled


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    """A config that was written; JSON makes lists of tuples."""
    return with_tuples(read_json(path)["config"])


def with_tuples(value: Any) -> Any:
    """Lists, as JSON has them, as the tuples that config files have."""
    if isinstance(value, Mapping):
        return {key: with_tuples(item) for key, item in value.items()}
    return tuple(map(with_tuples, value)) if isinstance(value, list | tuple) else value


class Stage:
    """The folder of one stage.

    Args:
      workdir: the work directory.
      name: the folder in it.
      config: the whole config.
      sections: sections of the config that the stage's result depends on.
      more: what else it depends on, as fields by name (a genotype, say).
      free: fields of the sections, as section.field, that may differ all the same: they say only where the
        result is.
    """

    def __init__(
        self,
        workdir: str | pathlib.Path,
        name: str,
        config: ml_collections.ConfigDict,
        sections: tuple[str, ...],
        more: dict[str, Any] | None = None,
        free: tuple[str, ...] = (),
    ):
        self.workdir = pathlib.Path(workdir)
        self.path = self.workdir / name
        self._config, self._sections, self._more = config, sections, more or {}
        self._free = free

    def check(self) -> None:
        """Checks that what is in the folder was made with this config.

        Raises:
          UserError: it was made with another; the message names the fields that differ.
        """
        path = self.path / "config.json"
        if not path.exists():
            return
        old = _read_config(path)
        # A field that the program of that time did not have is one whose default changes nothing.
        new = self._depends_on()
        changed = config_lib.differences(_completed(old, _part(config_lib.default(), self._sections)), new)
        changed = [line for line in changed if line.partition(":")[0] not in self._free]
        if changed:
            raise UserError(
                f"{self.path} was made with another config: {'; '.join(changed)}. Use another --workdir, or"
                " the same config"
            )

    def open(self) -> pathlib.Path:
        """Makes the folder and records the config; gives the folder.

        Raises:
          UserError: it was made with another config, or cannot be written.
        """
        self.check()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--workdir: {self.path} cannot be made: {error.strerror}") from None
        whole = self.workdir / "config.json"
        versions = {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()}
        if not whole.exists():
            write_json(whole, {"config": self._config.to_dict(), "versions": versions})
        if not (self.path / "config.json").exists():
            write_json(self.path / "config.json", {"config": self._depends_on(), "versions": versions})
        return self.path

    def _depends_on(self) -> dict[str, Any]:
        return _part(self._config, self._sections) | self._more


def recorded_config(workdir: str | pathlib.Path) -> ml_collections.ConfigDict:
    """The config that a work directory was started with.

    Raises:
      UserError: there is none there.
    """
    path = pathlib.Path(workdir) / "config.json"
    if not path.exists():
        raise UserError(
            f"--workdir: {workdir} has no config.json; give --config, or run a search there first"
        )
    return ml_collections.ConfigDict(_read_config(path))


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_csv(path: pathlib.Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as CSV, atomically; what a row does not have, or has as None, is empty."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, file.getvalue().encode())


class JsonLines:
    """A file of one JSON object per line, which is continued where a checkpoint left it.

    Args:
      path: the file.
      keep: called with each row that is there; rows from the first that it refuses are dropped (they
        belong to work that is done again), as is a last line that was not written whole.
    """

    def __init__(self, path: pathlib.Path, keep=lambda row: False):
        self.path = path
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    break
                if not isinstance(row, dict) or not keep(row):
                    break
                kept.append(row)
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self.rows = kept

    def append(self, *rows: dict[str, Any]) -> None:
        """Adds rows; they are on disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())
        self.rows.extend(rows)
