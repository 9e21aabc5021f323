"""What the stages work with: config, space, devices and data, each made once.

TensorFlow is imported when devices or data are asked for, not before, so that programs answer --help at once.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ml_collections

from tf_darts import registry, spaces
from tf_darts.errors import UserError
from tf_darts.runtime import cluster, preemption, process, progress, xla
from tf_darts.runtime.quiet import quiet_start

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_darts.data.image_data import ImageData
    from tf_darts.data.image_stream import StreamedData
    from tf_darts.models.budget import Budget
    from tf_darts.models.latency_table import LatencyTable


_LATENCY = "latency"  # what a session has made by this name is a table


# Fields of the data that say what is done with loaded images: another value is no reason to load them again.
_AFTER_LOADING = ("crop_padding", "flip", "train_fraction", "training_only")


class Session:
    """A config with its space, devices and data; `with_config` shares what is made of the same settings.

    Args:
      config: a valid config.
      guest: whether the process is somebody else's (`runtime.process`).

    Attributes:
      config: the config.
      space: the search space.
      checked: set-ups that were checked and not made yet, by what they depend on (`stages`).
      workdir: the work directory, where a measured table of latencies is kept; None: it is not known yet.
    """

    def __init__(self, config: ml_collections.ConfigDict, guest: bool = False):
        self.config, self.space, self._guest = config, spaces.of(config), guest
        self.checked: dict[str, Any] = {}
        self.workdir: str | None = None
        self._made: dict[str, Any] = {}

    def with_config(self, config: ml_collections.ConfigDict, space: spaces.Space | None = None) -> Session:
        """Return a session with another valid config.

        Args:
          config: the config.
          space: of what is trained, where that is not of the config's space (`models.residual_network`).
        """
        other = Session(config, self._guest)
        other.space = other.space if space is None else space
        other.checked, other._made, other.workdir = self.checked, self._made, self.workdir
        return other

    @property
    def strategy(self) -> tf.distribute.Strategy:
        """Where steps run; set up at the first use."""
        key = f"runtime: {self.config.runtime.to_dict()}"
        if key not in self._made:
            from tf_darts.runtime import strategy

            self._made[key] = strategy.start(self.config.runtime, self._guest)
        return self._made[key]

    @property
    def data(self) -> ImageData | StreamedData:
        """The data; loaded at the first use."""
        read = {k: v for k, v in self.config.data.to_dict().items() if k not in _AFTER_LOADING}
        key = f"data: {read} {self.config.seed}"
        if key not in self._made:
            from tf_darts.data import sources

            self._made[key] = sources.load(self.config.data, self.config.seed)
        return self._made[key]

    def tell_data(self) -> None:
        """Say once what the data are: how many images and classes, and of which size."""
        settings, data = self.config.data, self.data
        if f"told: {settings.to_dict()}" in self._made:
            return
        self._made[f"told: {settings.to_dict()}"] = True
        height, width, channels = data.image_shape
        size, factor = f"{height}x{width}x{channels}", settings.downscale
        if factor > 1:
            size += f" (averaged down from {height * factor}x{width * factor}: data.downscale={factor})"
        if larger := self._enlarged((height, width)):
            size += f" (in the network {' and '.join(larger)}: data.enlarge={settings.enlarge})"
        name = settings.name if settings.source == "tfds" else settings.path
        share = f" (data.share={settings.share:g})" if settings.share < 1 else ""
        progress.tell(
            f"data: {' '.join(filter(None, (settings.source, name)))}: {data.num_classes:,} classes,"
            f" {data.record.train.images:,} training{share} and {data.record.test.images:,} test images of"
            f" {size}"
        )

    def latency(self, classes: int, image_shape: Sequence[int]) -> LatencyTable | None:
        """Return by which table latencies are predicted; None: the config asks for none.

        Without `selection.latency_table` it is that of the work directory, and what this one lacks is
        measured: seconds for each ten operations. `keep_latency` writes it.

        Args:
          classes: of the data.
          image_shape: height, width and channels of the images.

        Raises:
          UserError: the file is no table.
        """
        selection = self.config.selection
        if not selection.max_latency_ms and not selection.latency_table:
            return None
        from tf_darts.models import latency_table

        if selection.latency_table:
            return latency_table.read(selection.latency_table)
        from tf_darts.export import latency

        kept = None if self.workdir is None else pathlib.Path(self.workdir) / latency_table.NAME
        known = self._made.get(_LATENCY)
        if kept is not None and kept.exists():
            read = latency_table.read(kept)
            known = read if known is None else read.with_more(known)
        found = latency.of_config(self.config, self.space, classes, image_shape, known)
        self._made[_LATENCY] = found
        return found

    def keep_latency(self, workdir: pathlib.Path) -> None:
        """Write the table that was measured into the work directory."""
        found = self._made.get(_LATENCY)
        if found is not None and not self.config.selection.latency_table:
            found.keep(workdir)

    def budget(self, classes: int, image_shape: Sequence[int]) -> Budget | None:
        """Return the budget that the config sets; None: it sets none.

        Args:
          classes: of the data.
          image_shape: height, width and channels of the images.

        Raises:
          UserError: no genotype fits.
        """
        from tf_darts.config.depends import LIMIT_FIELDS

        if not any(self.config.selection[name] for name in LIMIT_FIELDS):
            return None
        from tf_darts.models import budget

        table = self.latency(classes, image_shape)
        return budget.of_config(self.config, self.space, classes, image_shape, table)

    def _enlarged(self, size: tuple[int, int]) -> list[str]:
        """Return the sizes to which supernet and network enlarge images of a size, if they do."""
        found = [
            spaces.with_stem(self.space, part.stem).stacking.enlarged(part.cells, size)
            for part in (self.config.search, self.config.training)
        ]
        return [f"{height}x{width}" for height, width in dict.fromkeys(found) if (height, width) != size]


def start(
    config: ml_collections.ConfigDict, workdir: str | None = None, selects: bool = False
) -> tuple[Session, str]:
    """Start the session of a program: set up the devices and load the data, before anything is written.

    Args:
      config: a valid config.
      workdir: the work directory, for programs that several processes can run together; None for others.
      selects: whether a genotype is to be selected: its budget is checked before the images are read, as far
        as that can be.

    Returns:
      The session, and what stands for the work directory in this process ("" where there is none).

    Raises:
      UserError: the devices or the data are not there or of no use; or the config is from a work directory
        and names code, and the user did not.
    """
    several = config.runtime.strategy == "multi_worker"
    if several and workdir is None:
        raise UserError(
            "config: runtime.strategy is 'multi_worker', for a program of one process; allowed:"
            " one_device, mirrored, tpu"
        )
    registry.check_trust()
    process.check_backend()
    here = cluster.of_environment() if several else None
    if workdir is not None:
        xla.keep_programs(workdir, config.runtime)
    session = Session(config)
    with quiet_start():
        from tf_darts.data import outlines, sources  # noqa: F401  what it imports talks as well
        from tf_darts.runtime import workers
        from tf_darts.workdir import worker_folder

        strategy = session.strategy  # first: the data may use TensorFlow
    session.workdir = workdir
    if selects and (outline := outlines.of(config.data)) is not None:  # reading may take minutes
        session.budget(outline.classes, outline.image_shape)
    session.data  # noqa: B018 - loaded now
    if workdir is None:
        return session, ""
    preemption.watch()
    if here is not None:
        workers.work_together(strategy)
        workdir = worker_folder.own_workdir(workdir, here, strategy)
        session.workdir = workdir
        if not here.is_chief:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  until the process ends
    return session, workdir
