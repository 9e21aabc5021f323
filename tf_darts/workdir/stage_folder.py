"""The folder of one stage: what its result depends on, and the check that it is continued with the same."""

import importlib.metadata
import pathlib
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

import tf_darts
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.config.depends import PRECISION
from tf_darts.errors import UserError
from tf_darts.workdir import files
from tf_darts.workdir.data_record import NAME as DATA
from tf_darts.workdir.data_record import DataRecord
from tf_darts.workdir.files import write_atomically
from tf_darts.workdir.records import as_json, read_config, read_json, write_json

_PACKAGES = ("tensorflow", "keras", "numpy")

# What may compute a stage, by the field of `runtime` that chooses it: what a program without the choice had.
COMPUTED_BY = {"kernels": "tensorflow", "xla": "off"}


def _version(package: str) -> str:
    """The version of a package, whatever its distribution is called (tensorflow, tensorflow-tpu)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version(importlib.metadata.packages_distributions()[package][0])


def versions() -> dict[str, str]:
    """Return the versions of this program, of what it computes with, and of Python."""
    packages = {name: _version(name) for name in _PACKAGES}
    return {"tf_darts": tf_darts.__version__, **packages, "python": platform.python_version()}


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


def _check_images(folder: pathlib.Path, recorded: DataRecord, now: DataRecord) -> None:
    """Check that images are those that a folder's stage was made with."""
    if changed := recorded.changes(now):
        raise UserError(
            f"{folder} was made with other images: {'; '.join(changed)}. Put them back, or use another"
            " --workdir"
        )


class StageFolder:
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
        self.free = free

    def check(self, data: DataRecord | None = None) -> None:
        """Check that what is in the folder was made with this config and with these images.

        Where the images are does not matter, if they are known to be the same.

        Args:
          data: the images; None: they are not looked at.

        Raises:
          UserError: it was made with others, and the message names what differs; another stage of the work
            directory was made with the same config of the data, and the images have changed since; or the
            folder cannot be looked into.
        """
        path = self.path / "config.json"
        try:
            begun = path.exists()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {files.reason(error)}") from None
        recorded = DataRecord.read(self.path) if begun else None
        if begun:
            self._check_config(path, self.free if recorded is None else (*self.free, "data.path"))
        if data is not None:
            if recorded is not None:
                _check_images(self.path, recorded, data)
            self._check_others(data)

    def _check_config(self, path: pathlib.Path, free: tuple[str, ...]) -> None:
        old = read_config(path)
        # A field that the program of that time did not have is one whose default changes nothing.
        new = self.depends_on()
        if PRECISION in old.keys() | new.keys():  # recorded where it is float64
            old.setdefault(PRECISION, "float32")
            new.setdefault(PRECISION, self._config.runtime.precision)
        changed = config_lib.differences(_completed(old, _part(config_lib.default(), self._sections)), new)
        changed = [line for line in changed if line.partition(":")[0] not in free]
        if changed:
            raise UserError(
                f"{self.path} was made with another config: {'; '.join(changed)}. Use"
                f" {self._other_place(changed)} or the same config"
            )

    def _other_place(self, changed: Sequence[str]) -> str:
        """Say where a stage with another config can go: only another selection can share the search."""
        if "selection" in self._sections and all(line.startswith("selection.") for line in changed):
            return "--config.selection.name=NAME for another selection of the same search, another --workdir,"
        return "another --workdir,"

    def _check_others(self, data: DataRecord) -> None:
        """Compare with the stages of the work directory whose images were those of the same config."""
        ours = self._config.data.to_dict(), self._config.seed
        for record in sorted((*self.workdir.glob(f"*/{DATA}"), *self.workdir.glob(f"*/*/{DATA}"))):
            folder = record.parent
            config = folder / "config.json"
            if folder == self.path or not config.exists():
                continue
            old = _completed(read_config(config), {"data": config_lib.default().data.to_dict()})
            theirs = DataRecord.read(folder)
            if theirs is not None and (old["data"], old.get("seed")) == ours:
                _check_images(folder, theirs, data)

    def open(
        self, data: DataRecord | None = None, computed_by: Mapping[str, str] | None = None
    ) -> pathlib.Path:
        """Make the folder and record the config, the images and what computes; return the folder.

        Args:
          data: the images; None: the stage has none.
          computed_by: what computes the stage, by the names of `COMPUTED_BY`; None: nothing to choose.

        Raises:
          UserError: it was made with another config or other images, or cannot be written.
        """
        self.check(data)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--workdir: {self.path} cannot be made: {error.strerror}") from None
        whole, now = self.workdir / "config.json", versions()
        if not whole.exists():
            recorded = as_json({"config": self._config.to_dict(), "versions": now})
            files.seal(self.workdir, {whole.name: recorded})
            write_atomically(whole, recorded)
        own = self.path / "config.json"
        if data is not None and not (self.path / DATA).exists():
            data.write(self.path)
        if not own.exists():
            write_json(own, {"config": self.depends_on(), "versions": now, **(computed_by or {})})
            return self.path
        begun = read_json(own)
        before = begun.get("versions", now)
        for name, value in (computed_by or {}).items():
            before = {**before, name: begun.get(name, COMPUTED_BY[name])}
            now = {**now, name: value}
        if changed := config_lib.differences(before, now):
            print(
                f"warning: {self.path} was begun with other versions ({'; '.join(changed)}): it continues,"
                " but its last bits may differ from those of a run with one version",
                file=sys.stderr,
            )
        return self.path

    def depends_on(self) -> dict[str, Any]:
        """Return the part of the config that the stage's result depends on, `free` fields included."""
        return _part(self._config, self._sections) | self._more
