"""A session in its work directory, as the library's results share it, and configs as callers give them."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any, TypeAlias

import ml_collections

from tf_darts import config as config_lib
from tf_darts.export.sample import Data
from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench import nas_bench_201
from tf_darts.nas_bench.nas_bench_201 import Entry
from tf_darts.report.workdir_contents import StageContents
from tf_darts.session import Session
from tf_darts.spaces import Space

Config: TypeAlias = ml_collections.ConfigDict | Mapping[str, Any]
"""A config as a file in configs/ returns it, or values by name, as {"search.epochs": 10}."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A session in its work directory.

    Attributes:
      session: config, space, devices and data.
      workdir: the work directory.
      temporary: keeps it, where it is a temporary one.
    """

    session: Session
    workdir: pathlib.Path
    temporary: tempfile.TemporaryDirectory | None = dataclasses.field(repr=False)

    @property
    def config(self) -> ml_collections.ConfigDict:
        """The whole config."""
        return self.session.config

    @property
    def space(self) -> Space:
        """The search space."""
        return self.session.space

    @property
    def data(self) -> Data:
        """The images."""
        return self.session.data

    @property
    def table(self) -> nas_bench_201.NasBench201 | None:
        """NAS-Bench-201's table; None in every other space."""
        return nas_bench_201.of_config(self.config)

    def entry_of(self, genotype: Genotype) -> Entry | None:
        """Return what NAS-Bench-201 says about a genotype; None in every other space."""
        table = self.table  # read once: it may be a file
        return None if table is None else table.lookup(genotype)

    def contents(self, folder: pathlib.Path) -> StageContents:
        """Return what a stage left in its folder."""
        return StageContents.read(self.workdir, folder.relative_to(self.workdir).as_posix())

    @property
    def facts(self) -> dict[str, str]:
        """What a notebook says of a stage: its space, images and seed."""
        data = self.data
        shape, classes = "x".join(map(str, data.image_shape)), data.num_classes
        images = f"{data.train_size:,} for training, of {shape}, in {classes:,} classes"
        return {"space": self.space.name, "images": images, "seed": str(self.config.seed)}

    def with_config(self, config: Config | None) -> "Run":
        """Return the same with other values of some fields."""
        if not config:
            return self
        changed = self.session.with_config(laid_over(self.session.config, config))
        return dataclasses.replace(self, session=changed)


def laid_over(config: ml_collections.ConfigDict, values: Config) -> ml_collections.ConfigDict:
    """Return a valid copy of a config with other values, in sections or by the whole names of fields."""
    changed = unchecked(config, values)
    config_lib.allow_extensions(changed.get("extensions"))  # the caller's own, not a work directory's
    return config_lib.validate(ml_collections.ConfigDict(changed))


def unchecked(config: ml_collections.ConfigDict, values: Config) -> dict[str, Any]:
    """Return a config with other values as a dictionary, which nobody has checked."""
    changed = config.to_dict()
    plain = values.to_dict() if isinstance(values, ml_collections.ConfigDict) else values
    for name, value in plain.items():
        section, _, field = name.rpartition(".")
        if section:
            changed.setdefault(section, {})[field] = value
        elif isinstance(value, Mapping) and isinstance(changed.get(name), dict):
            changed[name] = {**changed[name], **value}
        else:
            changed[name] = value
    return changed
