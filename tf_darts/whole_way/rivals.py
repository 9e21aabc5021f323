"""Rivals of what was found, trained in the same work directory: what an honest comparison needs.

    random_cell         a cell drawn from the same space within the same budget, trained as the found one
    residual_network    a residual network of as many parameters, trained in the same way for as many images
                        as search, selection and training took together (`report.spent`)

Each is a training as others are: `training/random_cell` and `training/residual_network` are continued after a
kill, exported and predicted with. A rival of a second network of a work directory has its name behind it.
"""

import math
import pathlib
import time
from collections.abc import Callable, Collection
from typing import Any

import ml_collections

from tf_darts import config as config_lib
from tf_darts import stages
from tf_darts.config import limits
from tf_darts.data.share import sizes
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.residual_network import ResidualNetwork
from tf_darts.registry import RANDOM_CELL, RESIDUAL_NETWORK, RIVALS
from tf_darts.report import spent, workdir_contents
from tf_darts.report.workdir_contents import WorkdirContents
from tf_darts.session import Session
from tf_darts.training.deadline import Deadline
from tf_darts.workdir.records import read_config


def as_it_is(session: Session, genotype: Genotype) -> Session:
    """Return the session: the random cell's network is as wide as the found one."""
    return session


def train(
    session: Session,
    workdir: str,
    found: str,
    names: Collection[str] = RIVALS,
    epochs_limit: int | None = None,
    end: float = math.inf,
    drawing: Session | None = None,
    sized: Callable[[Session, Genotype], Session] = as_it_is,
) -> list[str]:
    """Train the rivals of a trained network, continuing what the work directory holds.

    A rival that was begun keeps the number of epochs that it was begun with.

    Args:
      session: config, space, devices and data of the network that was found.
      workdir: the work directory.
      found: the name of its training, which has finished.
      names: of the rivals, some of `RIVALS`.
      epochs_limit: most epochs of one rival; None: as many as it is due.
      end: when they have to be over, as `time.monotonic` tells it; a rival that has not begun by then is left
        out, one that has ends after the last epoch for which there is time.
      drawing: the session of the selection, where the found network was given another size afterwards.
      sized: returns the session in which the random cell is trained, given its selection's and the cell.

    Returns:
      Sentences on what was left out. What was shortened is said by `outcome.verdict`.

    Raises:
      UserError: the network has not finished its training, or a rival was begun with another config.
    """
    record = workdir_contents.read(workdir)
    if found not in record.trainings or not record.trainings[found].result:
        raise UserError(f"--workdir: training/{found} has not finished; allowed: a training to compare with")
    makers = {RANDOM_CELL: _random_cell, RESIDUAL_NETWORK: _residual_network}
    said = []
    for rival in (name for name in RIVALS if name in names):
        name = folder_name(workdir, rival, found)
        finished = (pathlib.Path(workdir) / "training" / name / "result.json").exists()
        if time.monotonic() > end and not finished:
            said.append(f"{rival} is left out: there was no time for it.")
            continue
        drawn_in = drawing or session if rival == RANDOM_CELL else session
        made = makers[rival](drawn_in, workdir, record, found, name)
        if isinstance(made, str):
            said.append(made)
            continue
        trained, genotype, about = made
        if rival == RANDOM_CELL:
            trained = sized(trained, genotype)
        epochs = trained.config.training.epochs
        about = {"of": found, "due_epochs": epochs, **about}
        epochs = _begun(workdir, name, about) or min(epochs, epochs_limit or epochs)
        trained = trained.with_config(_shortened(trained.config, epochs), trained.space)
        stages.train(trained, workdir, name, genotype, [Deadline(end)], about)
    return said


def folder_name(workdir: str, rival: str, found: str) -> str:
    """Return the name of a rival's training; that of another found network has its name behind it."""
    path = pathlib.Path(workdir) / "training" / rival / "config.json"
    of = read_config(path).get("rival", {}).get("of", found) if path.exists() else found
    return rival if of == found else f"{rival}_of_{found}"[: limits.FOLDER_NAME]


# A session with the config that the rival is trained with, its genotype, and what is kept of it; or why not.
_Made = tuple[Session, Genotype, dict[str, Any]] | str


def _random_cell(session: Session, workdir: str, record: WorkdirContents, found: str, name: str) -> _Made:
    """Draw a cell from the space, within the budget if there is one."""
    config = _plain(session.config)
    config.selection.method, config.selection.name = "random", name
    trained = session.with_config(config_lib.validate(config))
    return trained, stages.select(trained, workdir)[1], {}


def _residual_network(
    session: Session, workdir: str, record: WorkdirContents, found: str, name: str
) -> _Made:
    """Size a residual network by what was found, and count the epochs that it is due."""
    config, data = _plain(session.config), session.data
    training, result = config.training, record.trainings[found].result
    network = ResidualNetwork.within(
        result["parameters"], data.num_classes, data.image_shape[-1], training.stem
    )
    if network is None:
        return f"{RESIDUAL_NETWORK} is left out: there is none with {result['parameters']:,} parameters."
    images = spent.images(record, found)
    _, seen = sizes(config.data, data.train_size)
    if images is None:  # of a supernet from elsewhere, say
        images = result["epochs"] * seen
    training.epochs = min(max(round(images / seen), 1), limits.EPOCHS.most)
    # Its space says its widths and its stem. The second head of a DARTS network is part of that network.
    training.channels, training.cells, training.auxiliary_weight = 1, network.blocks, 0.0
    training.stem = config.search.stem = "plain"
    space = network.space(session.space)
    trained = session.with_config(config_lib.validate(config), space)
    return trained, network.genotype, {"network": network.as_record()}


def _plain(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Return a copy of a config that asks for no rivals itself."""
    copied = ml_collections.ConfigDict(config.to_dict())
    copied.comparison.rivals = ()
    return copied


def _begun(workdir: str, name: str, about: dict[str, Any]) -> int | None:
    """Return with how many epochs a rival was begun; None: it was not, or it is another."""
    path = pathlib.Path(workdir) / "training" / name / "config.json"
    recorded = read_config(path) if path.exists() else {}
    return recorded["training"]["epochs"] if recorded.get("rival") == about else None


def _shortened(config: ml_collections.ConfigDict, epochs: int) -> ml_collections.ConfigDict:
    """Return a config with so many epochs of training; a warm-up stays shorter than they are."""
    copied = ml_collections.ConfigDict(config.to_dict())
    copied.training.epochs = epochs
    copied.training.warmup_epochs = min(copied.training.warmup_epochs, epochs - 1)
    return config_lib.validate(copied)
