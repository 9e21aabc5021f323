"""The three stages, search, selection and training, as functions of a session and its work directory.

    search(session, workdir)                     WORKDIR/search: a searched supernet
    select(session, workdir)                     WORKDIR/selection/NAME: a genotype
    train(session, workdir, name, genotype)      WORKDIR/training/NAME: a trained network

Each continues what is in its folder, and returns at once what is finished there.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import ml_collections

from tf_darts import config as config_lib
from tf_darts.config.depends import supernets_of
from tf_darts.data import npz
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.registry import NEEDS_NO_SUPERNET
from tf_darts.runtime import command, xla
from tf_darts.runtime.seeds import fold
from tf_darts.search import imported_supernet, progressive, supernet_file
from tf_darts.search import loop as search_loop
from tf_darts.search import setup as search_setup
from tf_darts.search.setup import CheckedSearch, SearchSetup
from tf_darts.selection import select as selection_lib
from tf_darts.session import Session
from tf_darts.spaces import Space
from tf_darts.training import loop as training_loop
from tf_darts.training import setup as training_setup
from tf_darts.workdir import checkpoints, files, genotype_file, lock, seconds
from tf_darts.workdir.data_record import DataRecord
from tf_darts.workdir.records import read_json
from tf_darts.workdir.stage_folder import StageFolder
from tf_darts.workdir.stage_folders import search_stage, selection_stage, supernet_folder, training_stage


def check(session: Session) -> None:
    """Check for all stages what needs the data, before the first of them takes its hours.

    Raises:
      UserError: the data do not suit the config, or no genotype fits the budget.
    """
    _check_search(session, session.config)
    _check_training(session)


def search(
    session: Session,
    workdir: str,
    supernets: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> pathlib.Path:
    """Search as many supernets as are wanted; return the folder of the first.

    Args:
      session: config, space, devices and data.
      workdir: the work directory.
      supernets: how many; None: `selection.supernets`.
      stop: asked after each epoch whether there is no time left.

    Raises:
      UserError: a search there is of another config, the data do not suit the config, or no genotype fits
        the budget.
    """
    session.workdir = workdir
    wanted = _supernets(workdir, session.config, supernets or session.config.selection.supernets)
    for config, stage in wanted:
        _search(session, config, stage, stop)
    return wanted[0][1].path


def _search(
    session: Session, config: ml_collections.ConfigDict, stage: StageFolder, stop: Callable[[], bool]
) -> None:
    """Search one supernet."""
    stage.check(session.data.record)
    finished = stage.path / "result.json"
    fault = checkpoints.fault_of_newest(stage.path) if finished.exists() else None
    if finished.exists():
        result = read_json(finished)
        if fault is None:
            return
        if "imported" in result:
            raise UserError(f"--workdir: {fault}; import the supernet again, into another --workdir")
    checked = _check_search(session, config)
    setup = _set_up(session, config)
    with _at_work(stage, session, setup.bilevel.supernet) as folder:
        if fault is not None:
            print(
                f"warning: the finished search is done again from where it is whole: {fault}", file=sys.stderr
            )
            files.unseal(folder, finished.name)
        progressive.prepare(
            setup,
            folder,
            lambda method: search_setup.make(dataclasses.replace(checked, method=method), session.strategy),
            stop,
        )
        search_loop.run(setup, folder, stop)


def import_supernet(session: Session, workdir: str, path: str) -> tuple[pathlib.Path, dict[str, float]]:
    """Take the supernet of a file instead of a search's; return the folder and what was measured.

    Args:
      session: config, space, devices and data.
      workdir: the work directory.
      path: the .npz file.

    Raises:
      UserError: there is a search already, or the file does not hold a supernet of the config.
    """
    stage, session.workdir = search_stage(workdir, session.config), workdir
    if stage.path.exists():
        raise UserError(f"--workdir: {stage.path} exists; allowed: a --workdir without a search")
    arrays = npz.read(path)
    imported_supernet.check(session.config, session.space, session.data, arrays)
    setup = _set_up(session, session.config)
    supernet_file.load(setup.bilevel, arrays)
    origin = {"file": os.path.abspath(path), "sha256": files.sha256(pathlib.Path(path))}
    with lock.held(workdir, again=True):
        # Under another name until it is whole, so that an import that was killed can be made again.
        making = search_stage(workdir, session.config, folder=".importing")
        shutil.rmtree(making.path, ignore_errors=True)
        computed_by = _computed_by(session, setup.bilevel.supernet)
        values = imported_supernet.run(setup, making.open(computed_by=computed_by), origin)
        making.path.rename(stage.path)
    return stage.path, values


def select(session: Session, workdir: str) -> tuple[pathlib.Path, Genotype]:
    """Select from the work directory's supernet; return the folder and the genotype.

    Args:
      session: config, space, devices and data.
      workdir: the work directory.

    Raises:
      UserError: the search there is missing, unfinished, or of another config; or no genotype fits the
        budget.
    """
    config, session.workdir = session.config, workdir
    needs_supernet = config.selection.method not in NEEDS_NO_SUPERNET
    (_, first), *others = _supernets(workdir, config, supernets_of(config))
    images = session.data.record
    searched = searched_folder(first, images, finished=needs_supernet)
    several = f" --config.selection.one_shot=True --config.selection.supernets={1 + len(others)}"
    for _, other in others:
        searched_folder(other, images, flags=several)
    stage = selection_stage(workdir, config)
    stage.check(images)
    finished = stage.path / "genotype.json"
    if finished.exists():
        return stage.path, genotype_file.load(finished, session.space)
    setup = _set_up(session, config)
    for other_config, other in others:
        setup.others[other.path] = _set_up(session, other_config)
    with _at_work(stage, session, setup.bilevel.supernet) as folder:
        return folder, selection_lib.run(setup, searched, folder)


def train(
    session: Session,
    workdir: str,
    name: str,
    genotype: Genotype,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    rival: Mapping[str, Any] | None = None,
) -> tuple[pathlib.Path, dict[str, Any]]:
    """Train a genotype from scratch; return the folder and the result.

    Args:
      session: config, space, devices and data.
      workdir: the work directory.
      name: of the folder under training/.
      genotype: the genotype.
      callbacks: Keras's, which are told of epochs.
      rival: what is kept of a rival (`whole_way.rivals`); None: it is none.

    Raises:
      UserError: a training there is of another config, or the data do not suit the config.
    """
    stage = training_stage(workdir, session.config, name, genotype.to_text(session.space), rival)
    stage.check(session.data.record)
    if training_loop.finished(stage.path, session.config):
        return stage.path, read_json(stage.path / "result.json")
    _check_training(session, genotype)
    setup = training_setup.make(session.config, session.space, genotype, session.data, session.strategy)
    with _at_work(stage, session, setup.network) as folder:
        return folder, training_loop.run(setup, folder, name, callbacks)


def selected(workdir: str, config: ml_collections.ConfigDict, space: Space) -> Genotype:
    """Return the genotype that the config's selection has left in this work directory.

    Raises:
      UserError: it has left none, or the file is damaged.
    """
    path = selection_stage(workdir, config).path / "genotype.json"
    if not path.exists():
        selection = config.selection
        named = f" --config.selection.name={selection.name}" if selection.name else ""
        there = sorted(found.parent.name for found in path.parents[1].glob("*/genotype.json"))
        others = f"; there are selections {', '.join(there)}" if there else ""
        before = f"{command.of('select')} --method={selection.method}{named}"
        raise UserError(f"--workdir: {path} is missing; run {before} first{others}")
    return genotype_file.load(path, space)


def searched_folder(
    searched: StageFolder, data: DataRecord | None = None, finished: bool = True, flags: str = ""
) -> pathlib.Path:
    """Return the folder of a search, which has the stage's config and is finished unless it need not be.

    Args:
      searched: the stage.
      data: the images that it is used with; None: they are not looked at.
      finished: whether it has to be finished.
      flags: what the search has to be told, for the message.

    Raises:
      UserError: the search is missing, unfinished, or of another config or other images.
    """
    searched.check(data)
    if finished and not (searched.path / "result.json").exists():
        raise UserError(
            f"--workdir: {searched.path} holds no finished search; run {command.of('search')}{flags} there"
            " first"
        )
    return searched.path


def _supernets(
    workdir: str, config: ml_collections.ConfigDict, count: int
) -> list[tuple[ml_collections.ConfigDict, StageFolder]]:
    """Return config and folder of each supernet: the search's own, then those of other seeds."""
    found = [(config, search_stage(workdir, config))]
    for number in range(2, count + 1):
        own = config_lib.validate(config)
        own.seed = fold(config.seed, "supernet", number)
        found.append((own, search_stage(workdir, own, supernet_folder(number))))
    return found


# A set-up is checked once: what `check` has checked waits in the session until the set-up is made.


def _check_search(session: Session, config: ml_collections.ConfigDict) -> CheckedSearch:
    key = _search_key(config)
    if key not in session.checked:
        data, replicas = session.data, session.strategy.num_replicas_in_sync
        table = session.latency(data.num_classes, data.image_shape)
        session.checked[key] = search_setup.check(config, session.space, data, replicas, table)
    return session.checked[key]


def _search_key(config: ml_collections.ConfigDict) -> str:
    return f"search: {config.to_dict()}"


def _set_up(session: Session, config: ml_collections.ConfigDict) -> SearchSetup:
    """Make a supernet with its data; another one with the same config is checked anew."""
    checked = _check_search(session, config)
    del session.checked[_search_key(config)]
    return search_setup.make(checked, session.strategy)


def _check_training(session: Session, genotype: Genotype | None = None) -> None:
    config = session.config
    parts = [config.data.to_dict(), config.training.to_dict(), config.runtime.to_dict()]
    key = f"training: {parts} {session.space.name} {genotype}"
    if key not in session.checked:
        replicas = session.strategy.num_replicas_in_sync
        training_setup.check(config, session.space, session.data, replicas, genotype)
        session.checked[key] = True


@contextlib.contextmanager
def _at_work(
    stage: StageFolder, session: Session, model: Supernet | Network | None = None
) -> Iterator[pathlib.Path]:
    """Make the stage's folder, keep other processes from the work directory, and record the time taken.

    Args:
      stage: the stage.
      session: config, space, devices and data.
      model: the supernet or network; None: the stage has none.
    """
    images, computed_by = session.data.record, _computed_by(session, model)
    session.tell_data()
    with (
        lock.held(stage.workdir, again=True),
        seconds.recorded(stage.open(images, computed_by), computed_by=computed_by) as folder,
    ):
        session.keep_latency(stage.workdir)
        yield folder


def _computed_by(session: Session, model: Supernet | Network | None) -> dict[str, str]:
    """Return what computes a stage, by the names of `stage_folder.COMPUTED_BY`."""
    found = {} if model is None else {"kernels": model.kernels}
    compiled = xla.ran(session.strategy)
    return found if compiled is None else {**found, "xla": compiled}
