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
import math
import pathlib
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras
import ml_collections

from tf_darts import config as config_lib
from tf_darts import stages
from tf_darts.config import files
from tf_darts.data import user_data
from tf_darts.data.class_labels import are_given
from tf_darts.data.image_arrays import Side
from tf_darts.data.image_pairs import Given
from tf_darts.data.user_data import ClassNames
from tf_darts.errors import UserError, show
from tf_darts.genotypes.genotype import Genotype
from tf_darts.library.found import Found
from tf_darts.library.run import Config, Run, laid_over, unchecked
from tf_darts.library.searched import Searched
from tf_darts.library.selected import Selected
from tf_darts.library.trained import Trained
from tf_darts.nas_bench import nas_bench_201, true_accuracy
from tf_darts.own_images import find as find_lib
from tf_darts.own_images import rules
from tf_darts.own_images.plan import METHOD
from tf_darts.registry import RIVALS
from tf_darts.runtime import process
from tf_darts.session import Session
from tf_darts.whole_way import rivals as rivals_lib
from tf_darts.whole_way import whole_run
from tf_darts.whole_way.whole_run import WholeRun
from tf_darts.workdir import genotype_file, stage_folders
from tf_darts.workdir.records import read_json


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
    genotypes = {name: trained.genotype}
    return whole_run.conclude(run.session, str(run.workdir), genotypes, run.table, said)


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
      config: fields that no rule changes, by name; or a whole config instead of configs/own_images.py.
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
        laid = unchecked(base, own if whole else {**(config or {}), **own})
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
) -> Run:
    """Return a config with its images, in a work directory; `side`: as of `images_of`; None: the config's."""
    if data is None and (test is not None or are_given(class_names)):
        raise UserError("test and class_names are given without data; allowed: only with data")
    given = config.to_dict() if isinstance(config, ml_collections.ConfigDict) else dict(config or {})
    if data is not None:  # read as a folder's images are, some held out and resized to data.image_size
        given |= {"data.source": "folder", "data.path": user_data.NAME}
    checked = laid_over(config_lib.default(), given)
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
        checked = laid_over(checked, {**of_file, "data.image_size": standard})
    return Run(Session(checked, guest=True), workdir, temporary)
