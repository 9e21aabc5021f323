"""What a work directory holds, read for a report: every stage's files, finished or not."""

import base64
import dataclasses
import itertools
import json
import pathlib
from typing import Any

import ml_collections
from PIL import Image

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench import nas_bench_201
from tf_darts.spaces import Space
from tf_darts.workdir import decisions, genotype_file, search_stages, seconds
from tf_darts.workdir.decisions import Decision
from tf_darts.workdir.records import read_json, recorded_config
from tf_darts.workdir.stage_folders import SEARCH, supernet_folder

_PIXELS = 96  # of a page, to the inch


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG file for a page.

    Attributes:
      address: the whole of it, as the address of an image.
      width: its own, in the page's pixels.
    """

    address: str
    width: int


@dataclasses.dataclass(frozen=True)
class StageContents:
    """What one stage's folder holds.

    Attributes:
      name: of the folder in the work directory.
      seconds: that it took; None: not recorded.
      result: content of result.json; empty: not there.
      memory: content of memory.json; empty: not there.
      rows: of metrics.jsonl, of all stages of a search (`workdir.search_stages`).
      decisions: of decisions.jsonl.
      folder: where it is.
    """

    name: str
    seconds: float | None
    result: dict[str, Any]
    memory: dict[str, Any]
    rows: list[dict[str, Any]]
    decisions: list[Decision]
    folder: pathlib.Path

    @classmethod
    def read(cls, workdir: pathlib.Path, name: str) -> "StageContents":
        """Read a folder, which may lack any of the files.

        Raises:
          UserError: a file is damaged.
        """
        folder = workdir / name
        return cls(
            name,
            seconds.of(folder),
            _json(folder / "result.json"),
            _json(folder / "memory.json"),
            search_stages.rows(folder, _lines),
            [decisions.of_row(row) for row in _lines(folder / decisions.NAME)],
            folder,
        )

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Rows of single steps."""
        return [row for row in self.rows if "finished_epoch" not in row]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """Rows of finished epochs."""
        return [row for row in self.rows if "finished_epoch" in row]

    def picture(self, name: str) -> Picture | None:
        """Return a PNG file of the folder; None if it is not there."""
        path = self.folder / f"{name}.png"
        if not path.exists():
            return None
        with Image.open(path) as image:
            inches = image.width / image.info.get("dpi", (_PIXELS, _PIXELS))[0]
        address = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
        return Picture(address, round(_PIXELS * inches))

    def file(self, name: str) -> dict[str, Any]:
        """Return the content of another JSON file; empty if it is not there."""
        return _json(self.folder / name)


@dataclasses.dataclass(frozen=True)
class WorkdirContents:
    """What a work directory holds.

    Attributes:
      workdir: the folder.
      config: what it was started with.
      versions: of the packages, by name.
      space: the search space.
      search: the search; it may have no rows.
      further: searches of further supernets, of other seeds, that a selection probes too.
      selections: by name.
      genotypes: of the finished selections, by name.
      trainings: by name.
      analyses: by name.
    """

    workdir: pathlib.Path
    config: ml_collections.ConfigDict
    versions: dict[str, str]
    space: Space
    search: StageContents
    further: tuple[StageContents, ...]
    selections: dict[str, StageContents]
    genotypes: dict[str, Genotype]
    trainings: dict[str, StageContents]
    analyses: dict[str, StageContents]

    def rival(self, name: str) -> dict[str, Any]:
        """Return what a training keeps of being a rival (`whole_way.rivals`); empty: it is none."""
        return self.trainings[name].file("config.json").get("config", {}).get("rival", {})

    def genotype_of_training(self, name: str) -> Genotype | None:
        """Return the genotype that a training trained; None if it is not known, or not of the space."""
        if "network" in self.rival(name):
            return None
        text = self.trainings[name].result.get("genotype")
        return genotype_lib.from_text(text, self.space) if text else self.genotypes.get(name)

    def true_scores(self, name: str) -> dict[str, Any]:
        """Return what NAS-Bench-201 says of a selection or training, as in table.json; empty: nothing."""
        left = self.selections[name].file("table.json") if name in self.selections else {}
        if left:
            return left["scores"]
        genotype = self.genotypes.get(name)
        if genotype is None and name in self.trainings:
            genotype = self.genotype_of_training(name)
        table = nas_bench_201.of_space(self.space.name)
        return (
            {} if table is None or genotype is None else dataclasses.asdict(table.lookup(genotype))["scores"]
        )

    @property
    def stages(self) -> list[StageContents]:
        """All stages that were begun, in the order that they are run in."""
        found = [self.search, *self.further, *self.selections.values()]
        found += [*self.trainings.values(), *self.analyses.values()]
        return [stage for stage in found if stage.folder.exists()]

    def probed(self, selection: str) -> list[StageContents]:
        """Return the searches whose supernets a selection probes."""
        config = self.selections[selection].file("config.json").get("config", {})
        return [self.search, *self.further][: config.get("selection", {}).get("supernets", 1)]


def read(workdir: str | pathlib.Path) -> WorkdirContents:
    """Read a work directory.

    Raises:
      UserError: it is none, or a file in it is damaged.
    """
    folder = pathlib.Path(workdir).expanduser()
    config = config_lib.validate(recorded_config(folder), str(folder / "config.json"))
    space = spaces.of(config)
    selections = _stages(folder, "selection")
    genotypes = {
        name: genotype_file.load(stage.folder / "genotype.json", space)
        for name, stage in selections.items()
        if (stage.folder / "genotype.json").exists()
    }
    return WorkdirContents(
        folder.absolute(),
        config,
        read_json(folder / "config.json").get("versions", {}),
        space,
        StageContents.read(folder, SEARCH),
        _further(folder),
        selections,
        genotypes,
        _stages(folder, "training"),
        _stages(folder, "analysis"),
    )


def _further(workdir: pathlib.Path) -> tuple[StageContents, ...]:
    names = itertools.takewhile(
        lambda name: (workdir / name).is_dir(), map(supernet_folder, itertools.count(2))
    )
    return tuple(StageContents.read(workdir, name) for name in names)


def _stages(workdir: pathlib.Path, kind: str) -> dict[str, StageContents]:
    folders = sorted(path for path in (workdir / kind).glob("*") if path.is_dir())
    return {path.name: StageContents.read(workdir, f"{kind}/{path.name}") for path in folders}


def _json(path: pathlib.Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Read the rows of a file that may be growing: leave out a last line that is not whole."""
    rows = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
    return rows
