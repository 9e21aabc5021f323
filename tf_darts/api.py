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
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import ml_collections
import numpy as np

from tf_darts import config as config_lib
from tf_darts import stages
from tf_darts.data import user_data
from tf_darts.data.array_file import images_of
from tf_darts.data.user_data import Given
from tf_darts.errors import UserError
from tf_darts.export import FILES, build
from tf_darts.export.sample import Data
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.runtime import process
from tf_darts.session import Session
from tf_darts.spaces import Space
from tf_darts.training import trained_network as trained_lib
from tf_darts.workdir import stage_folders
from tf_darts.workdir.records import read_json, read_lines

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
    genotype: Genotype

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
        return build.keras_model(self._trained, self.run.data)

    @functools.cached_property
    def _answering(self) -> keras.Model:
        """The model that `predict` asks."""
        return build.keras_model(self._trained, self.run.data)

    @process.guest
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of images, float32 [N, classes].

        The weights are those that the training ended with, whatever was done to `model` since.

        Args:
          images: uint8 or float in [0, 1], [N, H, W, C] or [N, H, W].

        Raises:
          UserError: the images are of another shape than those of the training, or no images.

        Examples:
          >>> probabilities = trained.predict(images[:3])
          >>> probabilities.shape, probabilities.dtype
          ((3, 10), dtype('float32'))
        """
        images, shape = images_of("images", np.asarray(images)), self.run.data.image_shape
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
        folder = pathlib.Path(folder or self.workdir / "export" / self.folder.name)
        return build.export(self._trained, self.run.data, folder, formats, **options)

    @property
    def _trained(self) -> trained_lib.TrainedNetwork:
        return trained_lib.read(str(self.workdir), self.folder.name, self.run.config)


@process.guest
def search(
    data: Given | None,
    test: Given | None = None,
    *,
    config: Config | None = None,
    workdir: str | pathlib.Path | None = None,
    class_names: Sequence[str] = (),
) -> Searched:
    """Search a supernet (paper, section 2).

    Args:
      data: training images (uint8, or float in [0, 1]; [N, H, W, C] or [N, H, W]) and integer labels [N], or
        a `tf.data.Dataset` of such pairs; None: what `config.data` names. Fitting the weights and fitting
        alpha each have a part of them.
      test: the same for testing; None: `data.test_fraction` of the images is held out.
      config: fields that differ from `tf_darts.config.default()`, or a whole config.
      workdir: where results are kept, and continued.
      class_names: a name for each label.

    Raises:
      UserError: something given is of no use; the message names it and says what is allowed.

    Examples:
      With the same `workdir` a search goes on where it was interrupted, or finds that it has finished:

      >>> searched = api.search((images, labels), config=config, workdir="runs/digits")
      >>> searched
      Searched(folder=PosixPath('runs/digits/search'))
    """
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
    folder, genotype = stages.select(run.session, str(run.workdir))
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
    class_names: Sequence[str] = (),
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
    if isinstance(what, Selected):
        for argument, value in {"data": data, "test": test, "workdir": workdir}.items():
            if value is not None:
                raise UserError(f"{argument} is given with what was selected; allowed: only with a genotype")
        run, genotype = what.run.with_config(config), what.genotype
        name = name or stage_folders.selection_name(run.config)
    else:
        run = _started(data, test, config, workdir, class_names)
        genotype = genotype_lib.read(what, run.space) if isinstance(what, str) else what
        name = name or "given"
    folder, result = stages.train(run.session, str(run.workdir), name, genotype, callbacks)
    return Trained(run, folder, result)


def _started(
    data: Given | None,
    test: Given | None,
    config: Config | None,
    workdir: str | pathlib.Path | None,
    class_names: Sequence[str],
) -> _Run:
    """Return a config with its images, in a work directory."""
    if data is None and (test is not None or class_names):
        raise UserError("test and class_names are given without data; allowed: only with data")
    checked = _laid_over(config_lib.default(), config or {})
    if checked.runtime.strategy == "multi_worker":
        raise UserError(
            "config: runtime.strategy is 'multi_worker', which the programs offer; allowed: one_device,"
            " mirrored, tpu"
        )
    temporary = None
    if workdir is None:
        temporary = tempfile.TemporaryDirectory(prefix="tf_darts-")
        workdir = temporary.name
    workdir = pathlib.Path(workdir).expanduser()
    stage_folders.check_folder("workdir", str(workdir))
    if data is not None:
        path = user_data.keep(workdir, data, test, class_names, checked.data.test_fraction, checked.seed)
        checked = _laid_over(checked, {"data.source": "npz", "data.path": str(path)})
    return _Run(Session(checked, guest=True), workdir, temporary)


def _laid_over(config: ml_collections.ConfigDict, values: Config) -> ml_collections.ConfigDict:
    """Return a valid copy of a config with other values, in sections or by the whole names of fields."""
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
    return config_lib.validate(ml_collections.ConfigDict(changed))
