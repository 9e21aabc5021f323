"""The whole way on own images: look, plan, search, select, widen, train, compare, export.

`bin/run --config=configs/own_images.py` is this with flags, `api.find` is it with arrays.
"""

import dataclasses
import math
import pathlib
import sys
import time
from collections.abc import Collection, Sequence

import ml_collections
import numpy as np

from tf_darts import config as config_lib
from tf_darts import stages
from tf_darts.config import budget_text
from tf_darts.config.depends import BUDGET_FIELDS
from tf_darts.config.field import value_of
from tf_darts.data import image_folder, look
from tf_darts.data.image_data import ImageData
from tf_darts.errors import UserError, show
from tf_darts.export import build, card
from tf_darts.genotypes import derive
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench import nas_bench_201
from tf_darts.nas_bench.nas_bench_201 import RESNET
from tf_darts.own_images import pace, rules
from tf_darts.own_images import plan as plan_lib
from tf_darts.own_images.pace import Pace
from tf_darts.own_images.plan import METHOD, Plan
from tf_darts.own_images.rules import Facts
from tf_darts.runtime import progress
from tf_darts.session import Session
from tf_darts.spaces import Space
from tf_darts.training import trained_network
from tf_darts.training.deadline import Deadline
from tf_darts.whole_way import rivals, whole_run
from tf_darts.whole_way.whole_run import WholeRun
from tf_darts.workdir import seconds

Given = Collection[str]
"""Names of fields that the user has set: no rule changes them."""


@dataclasses.dataclass(frozen=True)
class OwnRun:
    """What was found.

    Attributes:
      session: with the settings of the training.
      genotype: of the network.
      plan: as it was in the end.
      outcome: the network beside its rivals.
      exported: the folder of the exported files.
    """

    session: Session
    genotype: Genotype
    plan: Plan
    outcome: WholeRun
    exported: pathlib.Path


def run(session: Session, workdir: str, given: Given = ()) -> OwnRun:
    """Find and train a network, continuing what the work directory holds.

    Args:
      session: a config with `own_images.plan`, its space, devices and data.
      workdir: the work directory.
      given: names of fields that the user has set.

    Raises:
      UserError: the budget cannot be read or reached, or the time limit is too short; or as the stages.
    """
    check(session.config, given)
    begun, own = time.monotonic() - _used(workdir), session.config.own_images
    plan = plan_lib.read(workdir, session.config, given)
    if plan is None:
        plan, said = _planned(session, given, begun)
        _tell("plan", [*said, plan.sentence()])
        stages.check(session.with_config(plan.of_search(session.config)))
        pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
        plan.write(workdir)
    session = session.with_config(config_lib.with_method(plan.of_search(session.config), METHOD))
    table = nas_bench_201.of_config(session.config)
    # A search that is slower than its measured steps leaves the others their share of the time all the same.
    limit = time.monotonic() - _used(workdir) + 3600 * own.hours * plan.seconds.get("search", 0) / plan.total
    stages.search(session, workdir, stop=lambda: own.hours > 0 and time.monotonic() > limit)
    genotype = whole_run.select(session, workdir, METHOD, table)
    if not plan.training:
        plan, said = _widened(session, genotype, plan, given, begun)
        _tell("plan", [*said, plan.sentence()])
        plan.write(workdir)
    selecting, session = session, session.with_config(plan.of_training(session.config))
    end = begun + 3600 * own.hours - plan_lib.AFTERWARDS if own.hours else math.inf
    stages.train(session, workdir, METHOD, genotype, [Deadline(end)] if own.hours else [])
    _warn(_contradictions(session, workdir))
    left = rivals.train(
        *(session, workdir, METHOD, plan.rivals),
        end=end,
        drawing=selecting,
        sized=lambda rival, cell: _as_wide(rival, cell, plan, given),
    )
    left += [
        f"{name} is left out: the time limit leaves no time for it."
        for name in session.config.comparison.rivals
        if name not in plan.rivals
    ]
    exported = pathlib.Path(workdir) / "export" / METHOD
    if not (exported / card.JSON).exists():
        trained = trained_network.read(workdir, METHOD, session.config)
        build.export(trained, session.data, exported, say=progress.tell)
    outcome = whole_run.conclude(session, workdir, {METHOD: genotype}, table, left)
    took, predicted = progress.duration(time.monotonic() - begun), progress.duration(plan.total)
    _tell("plan", [f"It took {took}. Before the search, {predicted} was predicted."])
    return OwnRun(session, genotype, plan, outcome, exported)


def _as_wide(session: Session, genotype: Genotype, plan: Plan, given: Given) -> Session:
    """Return the session in which a rival's cell is trained, as long as the found network, in the budget."""
    length = {name: value for name, value in plan.training.items() if name != "training.channels"}
    session = session.with_config(plan_lib.with_fields(session.config, length))
    return session.with_config(_with_width(session, genotype, given))


def _tell(about: str, sentences: Sequence[str]) -> None:
    for sentence in sentences:
        progress.tell(f"{about}: {sentence}")


def _warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        print(f"data: warning: {sentence}", file=sys.stderr)


def _contradictions(session: Session, workdir: str) -> list[str]:
    """Return a sentence on training images whose label the trained network contradicts, if there are any."""
    data = session.data
    if not isinstance(data, ImageData):
        return []
    trained = trained_network.read(workdir, METHOD, session.config)
    with build.on_cpu():
        answers = build.probabilities(trained.network(), trained.images, data.x_train)
    remark = look.contradicted(data, answers)
    return [] if remark is None else [remark.text]


def _planned(session: Session, given: Given, begun: float) -> tuple[Plan, list[str]]:
    """Make the plan before the search; return it with sentences about what was picked."""
    config, data = session.config, session.data
    height, width, _ = data.image_shape
    facts = Facts(data.train_size, height, width, data.num_classes)
    limits = budget_text.parse(config.own_images.budget)
    fields = {f"selection.{name}" for name in BUDGET_FIELDS}
    if not limits and not fields.intersection(given) and not any(value_of(config, f) for f in fields):
        limits = rules.budget(facts)
    picked = rules.settings(facts, config.data.train_fraction)
    if config.data.stream:  # which crops in its own way
        del picked["data.crop_padding"]
    picked |= {f"selection.{name}": value for name, value in limits.items()}
    picked = {name: value for name, value in picked.items() if name not in given}
    stand_in = _stand_in(session.space)
    if "training.channels" not in given:
        # The selection counts with a width at which a usual cell just fits: a cell that costs more would need
        # a narrower network. Afterwards the network is made as wide as its own cell allows.
        picked["training.channels"] = rules.CHANNELS[0]
        narrow = session.with_config(plan_lib.with_fields(config, picked))
        stages.check(narrow)
        picked["training.channels"] = _with_width(narrow, stand_in, given).training.channels
    session = session.with_config(plan_lib.with_fields(config, picked))
    stages.check(session)
    session.tell_data()
    _warn([remark.text for remark in look.look(data).remarks])
    searching = pace.of_search(session)
    training = pace.of_training(session, stand_in)
    own = config.own_images

    def plan_of(search_epochs: int) -> Plan:
        settings = picked | {"search.epochs": search_epochs}
        work = plan_lib.work_of(plan_lib.with_fields(config, settings), session.space, facts.images)

        def seconds_of(epochs: int, rivals: Sequence[str]) -> dict[str, float]:
            return plan_lib.seconds_of(work, searching, training, epochs, rivals, config.selection.supernets)

        epochs, rivals = plan_lib.fitted(
            seconds_of,
            session.config.training.epochs,
            config.comparison.rivals,
            own.hours,
            time.monotonic() - begun,
            "training.epochs" in given,
        )
        settings |= rules.length(epochs, given)
        return Plan(settings, rivals, seconds_of(epochs, rivals), own.budget, own.hours)

    search_epochs = session.config.search.epochs
    while True:
        try:
            plan = plan_of(search_epochs)
            break
        except UserError:  # the time is too short for it
            if search_epochs == rules.SEARCH_EPOCHS[0] or "search.epochs" in given:
                raise
            search_epochs = max(search_epochs // 2, rules.SEARCH_EPOCHS[0])
    return plan, rules.said(facts, plan.of_search(config))


def _widened(
    session: Session, genotype: Genotype, plan: Plan, given: Given, begun: float
) -> tuple[Plan, list[str]]:
    """Make the plan of the training, now that its network is known: as wide as the budget allows."""
    config, own = _with_width(session, genotype, given), session.config.own_images
    network = session.with_config(config)
    training = pace.of_training(network, genotype)
    work = plan_lib.work_of(config, session.space, session.data.train_size)
    used = time.monotonic() - begun

    def seconds_of(epochs: int, rivals: Sequence[str]) -> dict[str, float]:
        predicted = plan_lib.seconds_of(work, Pace(0.0, 0.0), training, epochs, rivals)
        return {name: s for name, s in predicted.items() if name not in ("search", "selection")}

    wanted, fixed = config.training.epochs, "training.epochs" in given
    try:
        epochs, rivals = plan_lib.fitted(seconds_of, wanted, config.comparison.rivals, own.hours, used, fixed)
    except UserError:  # all was slower than predicted: the training ends when the time is over
        epochs, rivals = wanted if fixed else min(plan_lib.FEWEST, wanted), ()
    picked = {"training.channels": config.training.channels} | rules.length(epochs, given)
    seconds = {"search and selection": used, **seconds_of(epochs, rivals)}
    changed = dataclasses.replace(plan, training=picked, rivals=rivals, training_seconds=seconds)
    return changed, [rules.said_of_network(config.training.channels, epochs)]


def check(config: ml_collections.ConfigDict, given: Given) -> None:
    """Check that a plan can keep to what a config asks for.

    Args:
      config: as the user gives it.
      given: names of fields that the user has set.

    Raises:
      UserError: it cannot.
    """
    selection, budget = config.selection, config.own_images.budget
    sized = "training.channels" in given
    for name, good, allowed in (
        ("selection.method", selection.method == METHOD, repr(METHOD)),
        ("selection.name", not selection.name, "''"),
        (
            "selection.latency_table",
            sized or not selection.latency_table,
            "'', or with --config.training.channels, which it was measured for",
        ),
        (
            "runtime.strategy",
            config.runtime.strategy != "multi_worker",
            "one_device, mirrored, tpu; each process would make another plan",
        ),
        *(
            (f"selection.{limit}", not selection[limit], f"0 with own_images.budget {show(budget)}")
            for limit in budget_text.parse(budget)
        ),
    ):
        if not good:
            raise UserError(
                f"config: {name} is {show(value_of(config, name))} with own_images.plan; allowed: {allowed}"
            )


def with_side(config: ml_collections.ConfigDict, given: Given) -> ml_collections.ConfigDict:
    """Return the config with the side of a folder's images, where the user does not say it."""
    if config.data.source != "folder" or "data.image_size" in given:
        return config
    sides = image_folder.sides(config.data.path)
    return plan_lib.with_fields(config, {"data.image_size": rules.side_of(sides)}) if sides else config


def _with_width(session: Session, genotype: Genotype, given: Given) -> ml_collections.ConfigDict:
    """Return the config with the widest network of a genotype that keeps to the budget."""
    if "training.channels" in given:
        return session.config
    data = session.data

    def with_channels(channels: int) -> ml_collections.ConfigDict:
        return plan_lib.with_fields(session.config, {"training.channels": channels})

    def allowed(channels: int) -> bool:
        try:
            of = session.with_config(with_channels(channels)).budget(data.num_classes, data.image_shape)
        except UserError:  # not even the least genotype fits, or a step does not fit the memory
            return False
        return of is None or of.allows(genotype)

    widths = [c for c in rules.CHANNELS if c > session.config.training.channels]
    low, high = 0, len(widths)  # so many of them are allowed
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if allowed(widths[middle - 1]) else (low, middle - 1)
    return with_channels(widths[low - 1]) if low else session.config


def _stand_in(space: Space) -> Genotype:
    """Return a usual genotype: to size a network by, and to time a training with, before one is selected."""
    if space.name == "nas_bench_201":
        return genotype_lib.from_text(RESNET, space)
    weights = {
        t: np.array([[float(i == 0) + 1.0 for i in range(space.num_operations)] for _ in space.edges])
        for t in space.cell_types
    }
    return derive.read_genotype(space, weights)


def _used(workdir: str) -> float:
    """Return the seconds that earlier starts have worked on the stages of a work directory."""
    folders = pathlib.Path(workdir).glob("**/seconds.json")
    return sum(seconds.of(path.parent) or 0.0 for path in folders)
