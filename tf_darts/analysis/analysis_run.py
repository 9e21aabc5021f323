"""One analysis of one work directory: what it is given, and how it leaves its results."""

import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_collections
from matplotlib.figure import Figure

from tf_darts import config as config_lib
from tf_darts.config import depends
from tf_darts.errors import UserError
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.plots.plain_figure import png_of
from tf_darts.registry import ANALYSES, ANALYSIS_READS, hint
from tf_darts.search.setup import SearchSetup
from tf_darts.spaces import Space
from tf_darts.workdir import checkpoints as checkpoints_lib
from tf_darts.workdir import decisions, search_stages, tensorboard_texts
from tf_darts.workdir.decisions import Decision
from tf_darts.workdir.events import Events
from tf_darts.workdir.files import write_atomically
from tf_darts.workdir.records import SCHEMA_VERSION, JsonLines, read_json, write_json
from tf_darts.workdir.stage_folder import StageFolder

Curve = Sequence[tuple[int, float]]  # (step, value)


def needs_search(name: str) -> bool:
    """Return whether an analysis looks at a searched supernet.

    Its function has the attribute `needs_no_search = True` where it does not.

    Raises:
      UserError: the analysis is not known or cannot be imported.
    """
    return not getattr(ANALYSES.load(name), "needs_no_search", False)


def _more_fields(
    name: str, config: ml_collections.ConfigDict, sections: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Return, by section, the fields outside of `sections` that an analysis depends on.

    Raises:
      UserError: its function names a field in `reads` that a config does not have.
    """
    more: dict[str, dict[str, Any]] = {}
    for field in ANALYSIS_READS.get(name) or getattr(ANALYSES.load(name), "reads", ()):
        if field not in config_lib.NAMES:
            raise UserError(f"analysis: {name}: reads has {field!r}; {hint(field, config_lib.NAMES)}")
        section, _, of_section = field.rpartition(".")
        if section and section not in sections:  # what is in them, and in no section, counts anyway
            more.setdefault(section, {})[of_section] = config[section][of_section]
    return more


class AnalysisRun:
    """One analysis of one work directory.

    Args:
      name: of the analysis.
      workdir: the work directory.
      config: the whole config.
      space: the search space.
      table: NAS-Bench-201's, or None.
      start: returns the supernet with its data, the same one at every call; called when it is needed.

    Raises:
      UserError: the analysis is not known or cannot be imported, or was begun there with another config.

    Attributes:
      config: the whole config.
      space: the search space.
      table: NAS-Bench-201's, or None.
      search_folder: the searched supernet.
    """

    def __init__(
        self,
        name: str,
        workdir: str | pathlib.Path,
        config: ml_collections.ConfigDict,
        space: Space,
        table: NasBench201 | None,
        start: Callable[[], SearchSetup],
    ):
        self.config, self.space, self.table = config, space, table
        self.search_folder = pathlib.Path(workdir) / "search"
        self._name, self._workdir, self._start = name, workdir, start
        sections = config_lib.search_sections(config) if needs_search(name) else ()
        more = _more_fields(name, config, sections) | (depends.of_precision(config) if sections else {})
        self._stage = StageFolder(workdir, f"analysis/{name}", config, sections, more)
        self._stage.check()

    @functools.cached_property
    def folder(self) -> pathlib.Path:
        """Where results go; made when it is first asked for."""
        return self._stage.open()

    @functools.cached_property
    def setup(self) -> SearchSetup:
        """The supernet as it was searched, and its data."""
        self.load()
        return self._start()

    def load(self) -> None:
        """Load weights, alpha and masks as the search left them."""
        bilevel = self._start().bilevel
        checkpoints_lib.load_from(
            self.search_folder, supernet=bilevel.supernet, architecture=bilevel.architecture
        )
        bilevel.architecture.compact()

    def of(self, name: str) -> "AnalysisRun":
        """Return another analysis of the same work directory and supernet."""
        return AnalysisRun(name, self._workdir, self.config, self.space, self.table, self._start)

    def lines(self, name: str) -> JsonLines:
        """Open a file of rows in the folder; keep every row that was written whole."""
        return JsonLines(self.folder / name, keep=lambda row: True)

    def searched_epochs(self) -> list[dict]:
        """Return the rows of the search's metrics.jsonl that end an epoch.

        Raises:
          UserError: there are none.
        """
        epochs = [row for row in search_stages.rows(self.search_folder) if "finished_epoch" in row]
        if not epochs:
            path = self.search_folder / search_stages.METRICS
            raise UserError(f"--workdir: {path} has no row of a finished epoch")
        return epochs

    def search_decisions(self) -> list[Decision]:
        """Return the search's own decisions, in order; none where its method makes none."""
        return decisions.read(self.search_folder)

    def result(self) -> dict | None:
        """Return what `leave` wrote, or None."""
        path = self.folder / "result.json"
        return read_json(path) if path.exists() else None

    def leave(
        self, result: dict, figures: Mapping[str, Figure], curves: Mapping[str, Curve] | None = None
    ) -> None:
        """Write result.json, pictures, and both as TensorBoard events; write nothing if nothing is new.

        Args:
          result: content of result.json.
          figures: by the name of their file, without .png.
          curves: for TensorBoard, by tag.
        """
        if self.result() == json.loads(json.dumps({"schema_version": SCHEMA_VERSION, **result})):
            return
        drawn = {name: png_of(name, lambda figure=figure: figure) for name, figure in figures.items()}
        pictures = {name: png for name, png in drawn.items() if png is not None}
        for name, png in pictures.items():
            write_atomically(self.folder / f"{name}.png", png)
        if self.config.runtime.tensorboard:
            events, group = Events(self.folder), f"analysis_{self._name}"  # instead of those before
            for name, png in pictures.items():
                events.image(f"{group}/{name}", png, step=0)
            for name, curve in (curves or {}).items():
                for step, value in curve:
                    events.scalar(f"{group}/{name}", value, step)
            events.close()
        write_json(self.folder / "result.json", result)  # last: it says that the rest is there

    def tell(self, text: str) -> None:
        """Write what a program prints of the analysis, for TensorBoard and for bin/report."""
        path = self.folder / "summary.txt"
        if path.exists() and path.read_text(encoding="utf-8") == f"{text}\n":
            return
        write_atomically(path, f"{text}\n".encode())
        if self.config.runtime.tensorboard:
            tag = f"analysis_{self._name}/summary"
            events = Events(self.folder, keep=lambda written, step: written != tag)
            events.text(tag, tensorboard_texts.code(text))
            events.close()
