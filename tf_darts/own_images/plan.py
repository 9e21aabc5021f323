"""The plan of a whole run on own images: what is picked, how long it takes, and what a time limit leaves out.

It is made before anything is written, and made again for the training once the selection is over and its
network can be timed. It is kept in the work directory: a run that continues keeps its plan.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import ml_collections

from tf_darts import config as config_lib
from tf_darts.config.checks import last_epoch_field
from tf_darts.config.field import value_of
from tf_darts.errors import UserError
from tf_darts.own_images.pace import Pace
from tf_darts.registry import UNTRAINED_ALPHA
from tf_darts.runtime.progress import duration
from tf_darts.selection import schedule
from tf_darts.spaces import Space
from tf_darts.workdir.records import read_json, write_json

NAME = "plan.json"
METHOD = "perturbation"  # the selection and the training of what is found
MARGIN = 0.9  # of a time limit is planned: a machine is not as fast all the time
FEWEST = 10  # epochs of training that are worth their name
AT_MOST = 2.0  # times the epochs of the rules that a time limit may add
AFTERWARDS = 60.0  # seconds for pictures, report and exported files, which hardly grow with the images
# What a bilevel step computes, in forward passes: alpha's step needs no gradients of the weights.
_WEIGHTS, _ALPHA, _PROBE = 3, 2, 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run on own images does.

    Attributes:
      settings: fields by their whole names, instead of what the config says, for search and selection.
      rivals: those for which there is time.
      seconds: predicted wall-clock seconds by stage, before the search.
      budget: as the user gave it.
      hours: as the user gave them; 0: no limit.
      training: more of them, for the training of the network that was selected; empty before that.
      training_seconds: predicted seconds once that network was timed, and what there was before; empty before
        that.
    """

    settings: dict[str, Any]
    rivals: tuple[str, ...]
    seconds: dict[str, float]
    budget: str
    hours: float
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    training_seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def total(self) -> float:
        """Predicted wall-clock seconds in all, before the search."""
        return sum(self.seconds.values())

    def of_search(self, config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
        """Return a valid copy of a config with the plan's settings for search and selection."""
        return with_fields(config, self.settings)

    def of_training(self, config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
        """Return a valid copy of a config with the plan's settings for the training."""
        return with_fields(config, self.settings | self.training)

    def sentence(self) -> str:
        """Say how long it takes."""
        predicted = self.training_seconds or self.seconds
        stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in predicted.items())
        text = f"It takes about {duration(sum(predicted.values()))} here: {stages}."
        return text + (f" The limit is {duration(3600 * self.hours)}." if self.hours else "")

    def write(self, workdir: str) -> None:
        """Keep the plan in a work directory, which exists."""
        write_json(pathlib.Path(workdir) / NAME, dataclasses.asdict(self))


def with_fields(config: ml_collections.ConfigDict, settings: dict[str, Any]) -> ml_collections.ConfigDict:
    """Return a valid copy of a config with other values, by the fields' whole names."""
    changed = ml_collections.ConfigDict(config.to_dict())
    changed.update_from_flattened_dict(settings)
    return config_lib.validate(changed)


def read(workdir: str, config: ml_collections.ConfigDict, given: Collection[str] = ()) -> Plan | None:
    """Return the plan of a work directory; None: there is none yet.

    Args:
      workdir: the work directory.
      config: as the user gives it now.
      given: names of fields that the user has set now.

    Raises:
      UserError: the plan is of another budget or limit, or has another value of a field that is given.
    """
    path = pathlib.Path(workdir) / NAME
    plan = _kept(path)
    if plan is None:
        return None
    fixed = {name: value for name, value in (plan.settings | plan.training).items() if name in given}
    fixed |= {"own_images.budget": plan.budget, "own_images.hours": plan.hours}
    for name, then in fixed.items():
        if then != (now := value_of(config, name)):
            raise UserError(
                f"config: {name} is {now!r}; allowed: {then!r}, with which {path} was made, or"
                " another --workdir"
            )
    return plan


def _kept(path: pathlib.Path) -> Plan | None:
    """Return the plan in a file; None: there is no file."""
    if not path.exists():
        return None
    content = read_json(path)
    del content["schema_version"]
    return Plan(**{**content, "rivals": tuple(content["rivals"])})


def trained_as(
    workdir: str, config: ml_collections.ConfigDict, given: Collection[str], name: str
) -> ml_collections.ConfigDict:
    """Return the config with which bin/train trains in a work directory that has a plan.

    It is trained as long as the network that was found. Only that network gets its width, which would bring
    others over their budget. Without a plan, or before the plan knows the network, nothing changes.

    Args:
      workdir: the work directory.
      config: as the user gives it now, or as the search was started with it.
      given: names of fields that the user has set now; they stay.
      name: of the training.
    """
    plan = _kept(pathlib.Path(workdir) / NAME)
    if plan is None or not plan.training:
        return config
    picked = plan.settings | plan.training
    if name != METHOD:
        picked["training.channels"] = plan.settings.get("training.channels", config.training.channels)
    return with_fields(config, {field: value for field, value in picked.items() if field not in given})


@dataclasses.dataclass(frozen=True)
class Work:
    """What there is to do, in steps and images, as far as it takes time.

    Attributes:
      search_epochs: of the search of all supernets.
      search_every: epochs from one evaluation of the search to the next; 0: there is none.
      search_steps: of the search of all supernets.
      search_forwards: what such a step computes, in forward passes of its batch.
      tuning_epochs: of fine-tuning, in the selection.
      tuning_steps: of these.
      probe_batches: of probes, each a forward pass of a batch.
      epoch_steps: of a training's epoch.
      training_every: as `search_every`, of a training.
      images: training images.
      search_batch: images in a step's batch, of either half.
    """

    search_epochs: int
    search_every: int
    search_steps: int
    search_forwards: int
    tuning_epochs: int
    tuning_steps: int
    probe_batches: int
    epoch_steps: int
    training_every: int
    images: int
    search_batch: int

    @property
    def images_seen(self) -> float:
        """Images that search and selection pass forward and backward, a forward pass counted as a third."""
        forwards = self.search_steps * self.search_forwards + self.tuning_steps * _WEIGHTS
        return (forwards + self.probe_batches * _PROBE) * self.search_batch / _WEIGHTS


def work_of(config: ml_collections.ConfigDict, space: Space, images: int) -> Work:
    """Return what search, selection by perturbation and training of a config have to do.

    Args:
      config: the whole config.
      space: the search space.
      images: training images.
    """
    search, selection, training = config.search, config.selection, config.training
    half = int(config.data.train_fraction * images + 1e-9)  # as `data.image_set.halves` rounds
    per_epoch = -(-half // search.batch_size)
    edges = {t: range(len(space.edges)) for t in space.cell_types}
    interval = 0 if selection.one_shot else selection.interval
    planned, epochs = schedule.plan(space, edges, interval, schedule.by_index)
    probes = sum(p.passes(space, selection.one_shot) + int(selection.measure_whole) for p in planned)
    valid = min(selection.probe_images or images - half, images - half)
    batches = -(-valid // (selection.probe_batch_size or search.batch_size))
    supernets = config.selection.supernets
    trains_alpha = search.method not in UNTRAINED_ALPHA
    search_epochs = search[last_epoch_field(search)] * supernets
    return Work(
        search_epochs=search_epochs,
        search_every=search.evaluate_every,
        search_steps=search_epochs * per_epoch,
        search_forwards=_WEIGHTS + (_ALPHA if trains_alpha else 0),
        tuning_epochs=epochs,
        tuning_steps=epochs * per_epoch,
        probe_batches=probes * batches * supernets,
        epoch_steps=-(-images // training.batch_size),
        training_every=training.evaluate_every,
        images=images,
        search_batch=search.batch_size,
    )


def seconds_of(
    work: Work, search: Pace, training: Pace, epochs: int, rivals: Sequence[str], supernets: int = 1
) -> dict[str, float]:
    """Predict the wall-clock seconds of each stage.

    Args:
      work: what there is to do.
      search: the pace of the search.
      training: that of the training.
      epochs: of the training.
      rivals: networks that are trained beside.
      supernets: how many are searched.
    """
    forward = search.step / work.search_forwards
    tuning = work.tuning_steps * _WEIGHTS * forward + work.tuning_epochs * search.checkpoint

    def trained(count: int) -> float:
        return training.start + training.of_epochs(count, count * work.epoch_steps, work.training_every)

    train = trained(epochs)
    # As many images as search, selection and training together.
    residual_epochs = epochs + round(work.images_seen / work.images)
    of_rival = {
        "random_cell": train,
        "residual_network": trained(residual_epochs),
    }
    found = {
        "search": search.start * supernets
        + search.of_epochs(work.search_epochs, work.search_steps, work.search_every),
        "selection": search.start + tuning + work.probe_batches * _PROBE * forward,
        "training": train,
        **{name: of_rival[name] for name in rivals},
    }
    return {**found, "export": AFTERWARDS}


def fitted(
    seconds: Callable[[int, Sequence[str]], dict[str, float]],
    epochs: int,
    rivals: Sequence[str],
    hours: float,
    used: float = 0.0,
    fixed: bool = False,
) -> tuple[int, tuple[str, ...]]:
    """Return the epochs of training, and the rivals, for which a time limit leaves time.

    Rivals are left out, the last first, before the network's own training falls below the epochs that the
    rules give it.

    Args:
      seconds: returns predicted seconds by stage for so many epochs and these rivals.
      epochs: by the rules.
      rivals: that are wanted.
      hours: time limit of the whole run; 0: none.
      used: seconds of it that are over.
      fixed: whether the user has said how many epochs there are.

    Raises:
      UserError: even the fewest epochs without rivals take longer.
    """
    if not hours:
        return epochs, tuple(rivals)
    within = MARGIN * (3600 * hours - used)

    def fits(count: int, beside: Sequence[str]) -> bool:
        return sum(seconds(count, beside).values()) <= within

    most = epochs if fixed else round(AT_MOST * epochs)
    for left in range(len(rivals), -1, -1):
        beside = tuple(rivals[:left])
        least = epochs if fixed or left else min(FEWEST, epochs)
        if not fits(least, beside):
            continue
        low, high = least, most
        while low < high:  # the largest number that fits
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle, beside) else (low, middle - 1)
        return low, beside
    needed = used + sum(seconds(epochs if fixed else min(FEWEST, epochs), ()).values()) / MARGIN
    raise UserError(
        f"config: own_images.hours is {hours:g}; allowed: at least {needed / 3600:.2g} for these images here,"
        " or fewer images (--config.data.limit_train)"
    )
