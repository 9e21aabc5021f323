"""Search, selection and training from Python, on one's own arrays or `tf.data.Dataset`.

    >>> from sklearn.datasets import load_digits
    >>> from tf_darts import api
    >>> digits = load_digits()
    >>> images, labels = digits.images[:200] / 16, digits.target[:200]
    >>> config = {  # what differs from the published settings: here all is tiny
    ...     "space": "nas_bench_201",
    ...     "search": {"channels": 4, "cells": 1, "epochs": 2, "batch_size": 32},
    ...     "selection": {"interval": 0},
    ...     "training": {
    ...         "channels": 4, "cells": 1, "epochs": 2, "auxiliary_weight": 0.0, "cutout_length": 0
    ...     },
    ... }
    >>> searched = api.search((images, labels), config=config, workdir="runs/digits")
    >>> selected = api.select(searched)
    >>> trained = api.train(selected)
    >>> trained.predict(digits.images[200:203] / 16).shape
    (3, 10)

The examples below go on from these lines.

Each function is a stage, as the programs run it, in a work directory: with `workdir` it continues where it
was interrupted, finds what is finished, and every program can go on from there. Without, the directory is a
temporary one, which goes when no result that needs it is left.
"""

import dataclasses
import functools
import math
import pathlib
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import ml_collections
import numpy as np

from tf_darts import config as config_lib
from tf_darts import stages
from tf_darts.config import files
from tf_darts.data import user_data
from tf_darts.data.arrays import Reading
from tf_darts.data.class_labels import are_given
from tf_darts.data.image_arrays import Side, images_of
from tf_darts.data.image_pairs import Given
from tf_darts.data.sources import averaged
from tf_darts.data.user_data import ClassNames
from tf_darts.errors import UserError, show
from tf_darts.export import FILES, build
from tf_darts.export.sample import Data
from tf_darts.genotypes.genotype import Genotype, from_text
from tf_darts.nas_bench import nas_bench_201, true_accuracy
from tf_darts.nas_bench.nas_bench_201 import Entry
from tf_darts.own_images import find as find_lib
from tf_darts.own_images import rules
from tf_darts.own_images.plan import METHOD, Plan
from tf_darts.registry import RIVALS
from tf_darts.report import notebook
from tf_darts.report.workdir_contents import StageContents
from tf_darts.runtime import process
from tf_darts.search.replay import of_epochs
from tf_darts.session import Session
from tf_darts.spaces import Space
from tf_darts.training import trained_network as trained_lib
from tf_darts.whole_way import rivals as rivals_lib
from tf_darts.whole_way import whole_run
from tf_darts.whole_way.whole_run import WholeRun
from tf_darts.workdir import genotype_file, stage_folders, top_file
from tf_darts.workdir.records import read_json, read_lines
from tf_darts.workdir.top_file import RankedGenotype

Config: TypeAlias = ml_collections.ConfigDict | Mapping[str, Any]
"""A config as a file in configs/ returns it, or values by name, as {"search.epochs": 10}."""


@dataclasses.dataclass(frozen=True)
class _Run:
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

    def with_config(self, config: Config | None) -> "_Run":
        """Return the same with other values of some fields."""
        if not config:
            return self
        changed = self.session.with_config(_laid_over(self.session.config, config))
        return dataclasses.replace(self, session=changed)


@dataclasses.dataclass(frozen=True)
class Searched:
    """A searched supernet.

    Attributes:
      run: config and work directory.
      folder: that of the search.
    """

    run: _Run = dataclasses.field(repr=False)
    folder: pathlib.Path

    @property
    def workdir(self) -> pathlib.Path:
        """The work directory."""
        return self.run.workdir

    @property
    def result(self) -> dict[str, Any]:
        """The content of result.json.

        Examples:
          >>> searched.result["space"], searched.result["steps"]
          ('nas_bench_201', 6)
        """
        return read_json(self.folder / "result.json")

    @property
    def alpha(self) -> dict[str, np.ndarray]:
        """The architecture parameters, [edges, operations] by cell type.

        Examples:
          >>> searched.alpha["normal"].shape
          (6, 5)
        """
        return {cell_type: np.array(rows) for cell_type, rows in self.result["alpha"].items()}

    @property
    def history(self) -> Any:
        """Metrics of every epoch: a pandas `DataFrame` where pandas is installed, else lists by name.

        Both have the same columns. `epoch` counts from 1; `train_loss`, `train_accuracy`, `valid_loss` and
        others of single steps are means over the epoch; nan: not measured in this epoch. Accuracies are from
        0 to 1. The columns with a slash come last: `evaluation/test_accuracy` of the supernet, all of alpha.

        Examples:
          >>> searched.history["epoch"][1], list(searched.history)[:2]
          (2, ['epoch', 'gradient_norm'])
        """
        return notebook.history(self.folder)

    @process.guest
    def _repr_html_(self) -> str:
        """Return what a notebook shows: the supernet's cells, accuracies, decisions of the search."""
        stage, config, space = self.run.contents(self.folder), self.run.config, self.run.space
        weights = of_epochs(config, space, stage.epochs[-1:], stage.decisions)
        last = next(iter(weights.values()), {})
        facts = {**self.run.facts, "search method": config.search.method}
        return notebook.of_search(stage, space, last, facts)


@dataclasses.dataclass(frozen=True)
class Selected:
    """A selected genotype.

    Attributes:
      run: config and work directory.
      folder: that of the selection.
      genotype: the genotype.
    """

    run: _Run = dataclasses.field(repr=False)
    folder: pathlib.Path
    genotype: Genotype = dataclasses.field(repr=False)

    @property
    def workdir(self) -> pathlib.Path:
        """The work directory."""
        return self.run.workdir

    @property
    def text(self) -> str:
        """The genotype's published text form.

        Examples:
          >>> selected.text
          '|...~0|+|...~0|...~1|+|...~0|...~1|...~2|'
        """
        return self.genotype.to_text(self.run.space)

    @property
    def nas_bench_201(self) -> Entry | None:
        """What NAS-Bench-201 says about the genotype; None in every other space.

        Examples:
          >>> true = selected.nas_bench_201.scores["CIFAR-10"]["test"]
          >>> print(f"test accuracy {true.accuracy:.2f} %, rank {true.rank:,}, regret {true.regret:.2f}")
          test accuracy ... %, rank ..., regret ...
        """
        return self.run.entry_of(self.genotype)

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """Every decision with its probes, in their order; none where the selection leaves none.

        Examples:
          >>> first = selected.decisions[0]
          >>> first["edge_name"], first["chosen"]
          ('...<-...', '...')
          >>> for probe in first["probes"]:  # the supernet's accuracy without each operation
          ...     print(f"{probe['operation']:12}  {probe['accuracy']:.2f}")
          none          0...
          skip_connect  0...
          nor_conv_1x1  0...
          nor_conv_3x3  0...
          avg_pool_3x3  0...
        """
        return read_lines(self.folder / "decisions.jsonl")

    def top(self, k: int = 5) -> list[RankedGenotype]:
        """Return the best genotypes, the one selected first: those that give up least of its leads.

        There are 20 at most, all within the budget; none where the selection measures nothing to rank by. The
        work directory has them in top.json.

        Args:
          k: how many, at least 1.

        Raises:
          UserError: `k` is below 1.

        Examples:
          >>> [row.rank for row in selected.top(3)]
          [1, 2, 3]
          >>> second = selected.top(2)[1]
          >>> second.differs, second.parameters, second.tflite_bytes
          (('normal ...',), ..., ...)
        """
        if k < 1:
            raise UserError(f"k: {k!r}; allowed: at least 1")
        return top_file.read(self.folder)[1][:k]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the genotype's cells, its true accuracies, the decisions."""
        run = self.run
        return notebook.of_selection(
            run.contents(self.folder), run.space, self.genotype, run.table, run.facts
        )


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
      run: config and work directory.
      folder: that of the training.
      result: the content of result.json.
    """

    run: _Run = dataclasses.field(repr=False)
    folder: pathlib.Path
    result: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def workdir(self) -> pathlib.Path:
        """The work directory."""
        return self.run.workdir

    @property
    def test_accuracy(self) -> float:
        """Share of the test images that the network classifies correctly after its last epoch.

        Examples:
          >>> print(f"{trained.test_accuracy:.2f}")
          0...
        """
        return self.result["test_accuracy"]

    @property
    def nas_bench_201(self) -> Entry | None:
        """What NAS-Bench-201 says about the genotype; None in every other space.

        Examples:
          >>> trained.nas_bench_201 == selected.nas_bench_201
          True
        """
        return self.run.entry_of(self._genotype)

    @property
    def _genotype(self) -> Genotype:
        return from_text(self.result["genotype"], self.run.space)

    @property
    def history(self) -> Any:
        """Metrics of every epoch: a pandas `DataFrame` where pandas is installed, else lists by name.

        Both have the same columns, as `Searched.history`; `test_accuracy` is nan in epochs in which the test
        images are not looked at (`training.evaluate_every`).

        Examples:
          >>> for accuracy in trained.history["test_accuracy"]:
          ...     print(f"{accuracy:.2f}")
          0...
          0...
        """
        return notebook.history(self.folder)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: accuracies, the genotype's cells, what is mistaken for what."""
        run = self.run
        return notebook.of_training(
            run.contents(self.folder), run.space, self._genotype, run.table, run.facts
        )

    @functools.cached_property
    @process.guest
    def model(self) -> keras.Model:
        """A functional Keras model: uint8 images [B, H, W, C] -> probabilities float32 [B, classes].

        It is yours: what you do to it (`model.fit`) changes nothing of `predict` and `export`, which use the
        weights that the training ended with.

        Examples:
          >>> trained.model.input_shape, trained.model.output_shape
          ((None, 8, 8, 1), (None, 10))
        """
        return build.keras_model(self._trained)

    @functools.cached_property
    def _answering(self) -> keras.Model:
        """The model that `predict` asks."""
        return build.keras_model(self._trained)

    @process.guest
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of images, float32 [N, classes].

        The weights are those that the training ended with, whatever was done to `model` since.

        Args:
          images: as in `search`, and in the range of those of the training: floats are taken as in [0, 1]
            where these were no floats. Where these were of several sizes, images of any size are resized.

        Raises:
          UserError: the images are of another shape than those of the training, or no images.

        Examples:
          >>> probabilities = trained.predict(images[:3])
          >>> probabilities.shape, probabilities.dtype
          ((3, 10), dtype('float32'))
        """
        shape, reading = self.run.data.image_shape, self.run.data.reading
        factor = self.run.config.data.downscale
        height, width, channels = shape
        given = height * factor, width * factor, channels
        reading = Reading(reading.float_range or 1, reading.resized)
        images, _ = images_of("images", images, height * factor if reading.resized else 0, reading, given)
        if images.shape[1:] == given:
            images = averaged(images, factor)
        if images.shape[1:] != tuple(shape):
            raise UserError(f"images are of shape {images.shape[1:]}; allowed: {tuple(shape)}")
        if not len(images):  # Keras has no answer to none
            return np.zeros((0, self.run.data.num_classes), np.float32)
        return self._answering.predict(images, verbose=0)

    @process.guest
    def export(
        self, folder: str | pathlib.Path | None = None, formats: Sequence[str] = tuple(FILES), **options: Any
    ) -> dict[str, Any]:
        """Write files that need no tf_darts, as bin/export does; return the model card.

        Args:
          folder: where to; by default WORKDIR/export/NAME.
          formats: of "keras", "saved_model", "tflite", "tflite_int8".
          options: check_images and representative_images, as `export.build.export`.

        Examples:
          >>> card = trained.export("exported", formats=["keras"])
          >>> card["formats"]["keras"]["file"], card["formats"]["keras"]["agrees"]
          ('model.keras', True)
        """
        folder = folder or self.workdir / "export" / self.folder.name
        stage_folders.check_folder("folder", str(folder))
        return build.export(self._trained, self.run.data, pathlib.Path(folder), formats, **options)

    @property
    def _trained(self) -> trained_lib.TrainedNetwork:
        found = trained_lib.read(str(self.workdir), self.folder.name, self.run.config)
        return found.with_record(lambda: self.run.data.record)


@process.guest
def search(
    data: Given | None,
    test: Given | None = None,
    *,
    config: Config | None = None,
    workdir: str | pathlib.Path | None = None,
    class_names: ClassNames = (),
) -> Searched:
    """Search a supernet (paper, section 2).

    Args:
      data: training images and labels, (images, labels), or a `tf.data.Dataset`, a Keras `PyDataset` or a
        dictionary of them, or both parts, ((images, labels), (images, labels)); None: what `config.data`
        names. Images: uint8 (or any integers from 0 to 255), or float in [0, 1] or from 0 to 255,
        [N, H, W, C] or [N, H, W]; of several sizes, they are resized to `data.image_size`. Labels: integers
        or names, [N] or [N, 1], or one-hot. Fitting the weights and fitting alpha each have a part of them.
      test: the same for testing; None: `data.test_fraction` of the images is held out.
      config: fields that differ from `tf_darts.config.default()`, or a whole config.
      workdir: where results are kept, and continued.
      class_names: a name for each label: in their order, {label: name} or {name: label}.

    Raises:
      UserError: something given is of no use; the message names it and says what is allowed.

    Examples:
      With the same `workdir` a search goes on where it was interrupted, or finds that it has finished:

      >>> searched = api.search((images, labels), config=config, workdir="runs/digits")
      >>> searched
      Searched(folder=PosixPath('runs/digits/search'))
    """
    with user_data.taken_back(workdir):
        run = _started(data, test, config, workdir, class_names)
        return Searched(run, stages.search(run.session, str(run.workdir)))


@process.guest
def select(searched: Searched, method: str | None = None, *, config: Config | None = None) -> Selected:
    """Select a genotype from a searched supernet (paper, section 4).

    Args:
      searched: from `search`.
      method: the selection, as "perturbation" or "magnitude"; by default that of the config.
      config: other values of the config's section `selection`.

    Raises:
      UserError: as `search`.

    Examples:
      >>> by_magnitude = api.select(searched, "magnitude")
      >>> by_magnitude.folder
      PosixPath('runs/digits/selection/magnitude')
      >>> api.select(searched, "random", config={"selection.name": "first_draw"}).folder.name
      'first_draw'
    """
    chosen = {} if method is None else {"selection.method": method, "selection.name": ""}
    run = searched.run.with_config({**chosen, **(config or {})})
    table = nas_bench_201.of_config(run.config)
    folder, genotype = stages.select(run.session, str(run.workdir))
    if table is not None:
        true_accuracy.look_up(table, folder, genotype, run.config.runtime.tensorboard)
    return Selected(run, folder, genotype)


@process.guest
def train(
    what: Selected | Genotype | str,
    data: Given | None = None,
    test: Given | None = None,
    *,
    config: Config | None = None,
    workdir: str | pathlib.Path | None = None,
    name: str | None = None,
    class_names: ClassNames = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Trained:
    """Train the network of a genotype from scratch.

    Args:
      what: from `select`; or a genotype, or its published text form.
      data: as in `search`, for a genotype; what was selected is trained on what it was searched with.
      test: the same.
      config: other values of the config's section `training`; for a genotype as in `search`.
      workdir: as in `search`, for a genotype.
      name: of the folder under training/; by default that of the selection, or "given".
      class_names: as in `search`.
      callbacks: Keras's; told of the training's and of every epoch's beginning and end, with the logs
        `loss`, `accuracy`, `learning_rate`, and of the test set `val_loss` and `val_accuracy` where it is
        evaluated. With `model.stop_training` they end it after an epoch. None is called where the training
        has already finished.

    Raises:
      UserError: as `search`.

    Examples:
      >>> trained = api.train(selected)
      >>> trained.folder
      PosixPath('runs/digits/training/perturbation')

      A genotype of one's own, with images and a config of its own:

      >>> genotype = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
      >>> api.train(genotype, (images, labels), config=config).result["epochs"]
      2
    """
    with user_data.taken_back(None if isinstance(what, Selected) else workdir):
        return _train(what, data, test, config, workdir, name, class_names, callbacks)


@process.guest
def compare(
    trained: Trained,
    rivals: Collection[str] = RIVALS,
    *,
    epochs_limit: int | None = None,
    hours: float = 0.0,
) -> WholeRun:
    """Train rivals of a network in its work directory, and say which is the better one.

    Args:
      trained: from `train`.
      rivals: "random_cell": another cell of the space, within the same budget, trained in the same way;
        "residual_network": one of the same size, trained on as many images as search, selection and training
        took together.
      epochs_limit: most epochs of one rival; None: as many as it is due.
      hours: time limit for all of them; a rival that it stops says so. 0: none.

    Returns:
      A row for each network, sentences on what they say, and a report; as text, what bin/run shows.

    Raises:
      UserError: a rival was begun with another config, or is none; or such a limit cannot be.

    Examples:
      >>> compared = api.compare(trained, ["residual_network"], epochs_limit=1)  # for a quick look
      >>> [row.method for row in compared.rows][:2]
      ['perturbation', 'residual_network']
      >>> compared.sentences[-1]
      'So ...'
    """
    unknown = [name for name in rivals if name not in RIVALS]
    if unknown or isinstance(rivals, str):
        raise UserError(f"rivals: {show(rivals)}; allowed: some of {', '.join(RIVALS)}")
    if not (isinstance(hours, int | float) and 0 <= hours < math.inf):
        raise UserError(f"hours: {show(hours)}; allowed: a number of hours, or 0 for no limit")
    run, name = trained.run, trained.folder.name
    end = time.monotonic() + 3600 * hours if hours else math.inf
    said = rivals_lib.train(run.session, str(run.workdir), name, rivals, epochs_limit, end)
    genotypes = {name: trained._genotype}
    return whole_run.conclude(run.session, str(run.workdir), genotypes, run.table, said)


@dataclasses.dataclass(frozen=True)
class Found:
    """What `find` found.

    Attributes:
      trained: the network.
      selected: its genotype, with the decisions that led to it.
      plan: what was picked and predicted.
      outcome: the network beside its rivals; as text, the table and what it says.
      exported: the folder of model.keras, the SavedModel, the TFLite files and the model card.
    """

    trained: Trained
    selected: Selected
    plan: Plan
    outcome: WholeRun = dataclasses.field(repr=False)
    exported: pathlib.Path

    def _repr_html_(self) -> str:
        """Return what a notebook shows: that of the network."""
        return self.trained._repr_html_()


@process.guest
def find(
    data: Given | None,
    test: Given | None = None,
    *,
    budget: str = "",
    hours: float = 0.0,
    config: Config | None = None,
    workdir: str | pathlib.Path | None = None,
    class_names: ClassNames = (),
) -> Found:
    """Find, train, compare and export a network for own images, within a budget and a time limit.

    It is what `bin/run --config=configs/own_images.py` does (docs/own_images.md).

    Args:
      data: as in `search`.
      test: the same.
      budget: what the network may cost, as "200k parameters, 300 kB, 2 ms"; empty: as the rules say.
      hours: time limit; 0: none.
      config: fields that no rule changes, by name; or a whole config in the place of configs/own_images.py.
      workdir: as in `search`.
      class_names: as in `search`.

    Raises:
      UserError: as `search`; or the budget cannot be reached, or the time limit is too short.

    Examples:
      >>> found = api.find((images, labels), budget="20k", config=config, workdir="runs/found")
      >>> print(found.outcome)  # the network beside its rivals
      selection method ...
      >>> sorted(path.name for path in found.exported.iterdir())[:2]
      ['model.keras', 'model.tflite']
    """
    whole = isinstance(config, ml_collections.ConfigDict)
    given = () if config is None or whole else tuple(_names(config))
    base = config if whole else files.load("own_images")
    own = {"own_images.plan": True, "own_images.budget": budget, "own_images.hours": float(hours)}
    with user_data.taken_back(workdir):
        laid = _unchecked(base, own if whole else {**(config or {}), **own})
        side = None if "data.image_size" in given else rules.side_of
        run = _started(data, test, ml_collections.ConfigDict(laid), workdir, class_names, side)
        found = find_lib.run(run.session, str(run.workdir), given)
    run = dataclasses.replace(run, session=found.session)
    selected = Selected(run, run.workdir / "selection" / METHOD, found.genotype)
    folder = run.workdir / "training" / METHOD
    trained = Trained(run, folder, read_json(folder / "result.json"))
    return Found(trained, selected, found.plan, found.outcome, found.exported)


def _names(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the whole names of fields that a caller's values set."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{field}" for field in value)
        else:
            yield name


def _train(
    what: Selected | Genotype | str,
    data: Given | None,
    test: Given | None,
    config: Config | None,
    workdir: str | pathlib.Path | None,
    name: str | None,
    class_names: ClassNames,
    callbacks: Sequence[keras.callbacks.Callback],
) -> Trained:
    """Train the network of a genotype; arguments as of `train`."""
    if name is not None:
        stage_folders.check_name("name", name)
    if isinstance(what, Selected):
        for argument, value in {"data": data, "test": test, "workdir": workdir}.items():
            if value is not None:
                raise UserError(f"{argument} is given with what was selected; allowed: only with a genotype")
        run, genotype = what.run.with_config(config), what.genotype
        name = name or stage_folders.selection_name(run.config)
    else:
        run = _started(data, test, config, workdir, class_names)
        genotype = genotype_file.read(what, run.space) if isinstance(what, str) else what
        name = name or "given"
    folder, result = stages.train(run.session, str(run.workdir), name, genotype, callbacks)
    return Trained(run, folder, result)


def _started(
    data: Given | None,
    test: Given | None,
    config: Config | None,
    workdir: str | pathlib.Path | None,
    class_names: ClassNames,
    side: Side | None = None,
) -> _Run:
    """Return a config with its images, in a work directory; `side`: as of `images_of`; None: the config's."""
    if data is None and (test is not None or are_given(class_names)):
        raise UserError("test and class_names are given without data; allowed: only with data")
    given = config.to_dict() if isinstance(config, ml_collections.ConfigDict) else dict(config or {})
    if data is not None:  # read as a folder's images are, some held out and resized to data.image_size
        given |= {"data.source": "folder", "data.path": user_data.NAME}
    checked = _laid_over(config_lib.default(), given)
    if checked.runtime.strategy == "multi_worker":
        raise UserError(
            "config: runtime.strategy is 'multi_worker', which the programs offer; allowed: one_device,"
            " mirrored, tpu"
        )
    temporary = None
    if workdir is None:
        temporary = tempfile.TemporaryDirectory(prefix="tf_darts-")
        workdir = temporary.name
    given, workdir = str(workdir), pathlib.Path(workdir).expanduser()
    stage_folders.check_folder("workdir", str(workdir), given)
    if data is not None:
        side, fraction = side or checked.data.image_size, checked.data.test_fraction
        path = user_data.keep(workdir, data, test, class_names, fraction, checked.seed, side)
        of_file = {"data.source": "npz", "data.path": str(path)}
        standard = config_lib.default().data.image_size  # the file's images have their size
        checked = _laid_over(checked, {**of_file, "data.image_size": standard})
    return _Run(Session(checked, guest=True), workdir, temporary)


def _laid_over(config: ml_collections.ConfigDict, values: Config) -> ml_collections.ConfigDict:
    """Return a valid copy of a config with other values, in sections or by the whole names of fields."""
    changed = _unchecked(config, values)
    config_lib.allow_extensions(changed.get("extensions"))  # the caller's own, not a work directory's
    return config_lib.validate(ml_collections.ConfigDict(changed))


def _unchecked(config: ml_collections.ConfigDict, values: Config) -> dict[str, Any]:
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
