"""The work directory: what a stage leaves for the next, written whole or not at all.

    WORKDIR/config.json                 the config of the run
    WORKDIR/search/                     checkpoints/, metrics.jsonl, result.json, events
    WORKDIR/selection/METHOD/           the same, decisions.jsonl, genotype.json, table.json
    WORKDIR/training/METHOD/            checkpoints/, metrics.jsonl, result.json, events
    WORKDIR/export/METHOD/              files for others, with a model card
    WORKDIR/report/                     pictures

Each stage also leaves `seconds.json`, how long it took (`workdir.seconds`).

It also keeps `config.json` with the part of the config that its result depends on, and `data.json` with what
its images were; a stage is continued only with the same. When it is finished, `SHA256SUMS` has the checksums
of its files.
"""

import csv
import io
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ml_collections

from tf_darts.errors import UserError
from tf_darts.workdir import files
from tf_darts.workdir.files import write_atomically

SCHEMA_VERSION = 1


def as_json(content: dict[str, Any]) -> bytes:
    """Return JSON with a schema version."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2).encode() + b"\n"


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Write JSON with a schema version, atomically."""
    write_atomically(path, as_json(content))


def finish(path: pathlib.Path, data: bytes) -> None:
    """Write the file that says that its stage is finished; before it the checksums of the stage's files.

    Args:
      path: the file, in the stage's folder.
      data: its content.
    """
    folder = path.parent
    kept = (*sorted(folder.glob("*.jsonl")), folder / "config.json", folder / "data.json")
    present = [path.name for path in kept if path.exists()]
    files.seal(folder, {path.name: data}, present)
    write_atomically(path, data)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
      UserError: it is missing, not JSON, of another schema version, or not what its checksum says.
    """
    files.check(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        hint = "; a newer tf_darts wrote it and can read it" if newer else ""
        raise UserError(f"{path}: schema_version is not {SCHEMA_VERSION} but {found!r}{hint}")
    return content


def read_config(path: pathlib.Path) -> dict[str, Any]:
    """Read a config, or what a stage depends on; JSON made lists of tuples.

    Raises:
      UserError: as `read_json`.
    """
    return with_tuples(read_json(path)["config"])


def with_tuples(value: Any) -> Any:
    """Return lists, as JSON has them, as the tuples that config files have."""
    if isinstance(value, Mapping):
        return {key: with_tuples(item) for key, item in value.items()}
    return tuple(map(with_tuples, value)) if isinstance(value, list | tuple) else value


def recorded_config(workdir: str | pathlib.Path) -> ml_collections.ConfigDict:
    """Return the config that a work directory was started with.

    Raises:
      UserError: there is none there.
    """
    path = pathlib.Path(workdir) / "config.json"
    if not path.exists():
        raise UserError(
            f"--workdir: {workdir} has no config.json; give --config, or run a search there first"
        )
    return ml_collections.ConfigDict(read_config(path))


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Read the rows of a file of JSON lines; none where there is no file.

    Raises:
      UserError: it is damaged.
    """
    files.check(path)
    if not path.exists():
        return []
    rows = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            rows.append(json.loads(line))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: line {len(rows) + 1} cannot be read: {error}") from None
    return rows


def write_lines(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of JSON lines, atomically."""
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def write_csv(path: pathlib.Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, atomically; what a row does not have, or has as None, is empty."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Names of files may be any bytes.
    write_atomically(path, file.getvalue().encode(errors="surrogateescape"))


class JsonLines:
    """A file of one JSON object per line, which is continued where a checkpoint left it.

    Args:
      path: the file.
      keep: called with each row that is there; rows from the first that it refuses are dropped (they
        belong to work that is done again), as is a last line that was not written whole.
    """

    def __init__(self, path: pathlib.Path, keep: Callable[[dict[str, Any]], bool] = lambda row: False):
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
        write_lines(path, kept)
        self.rows = kept

    def append(self, *rows: dict[str, Any]) -> None:
        """Add rows; they are on disk when this returns.

        Raises:
          UserError: they cannot be written, as on a full disk.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"file {str(self.path)!r} cannot be written: {files.reason(error)}") from None
        self.rows.extend(rows)
