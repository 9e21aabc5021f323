"""What a trained network took: images, and seconds of all cores, in every stage that led to it.

An image counts once for each time that a model was given it, forward and backward: in steps of the weights,
in steps of alpha, in fine-tuning, in training. A probe passes it forward alone, a third of that
(`models.cost`). What only measures is not counted: evaluations, curvature, analyses. Every pass counts the
same, whatever the model.
"""

import itertools
from collections.abc import Iterable

import ml_collections

from tf_darts.config.depends import runs_strange_code, supernets_of
from tf_darts.data.image_set import in_training_half
from tf_darts.data.share import sizes
from tf_darts.models import cost
from tf_darts.registry import METHODS, NEEDS_NO_SUPERNET
from tf_darts.report.workdir_contents import StageContents, WorkdirContents
from tf_darts.search.methods.method import Method
from tf_darts.search.plan import plan
from tf_darts.workdir.data_record import DataRecord
from tf_darts.workdir.decisions import (
    Decision,
    OperationDecision,
    PermutationRow,
    ProposalRow,
    SampleDecision,
    TopologyDecision,
)
from tf_darts.workdir.records import read_config

PROBE = cost.FORWARD / cost.TRAINING_STEP  # of a pass forward and backward


def images(record: WorkdirContents, name: str) -> int | None:
    """Return how many images were passed forward and backward until a network was trained.

    As on one replica: several leave out the few of a last batch that do not divide among them.

    Args:
      record: what the work directory holds.
      name: of the training.

    Returns:
      The number; None: the training has not finished, or a stage has not recorded enough to know (a supernet
      from elsewhere, a stage of version 1.0, a search method whose code is not trusted).
    """
    training = record.trainings.get(name)
    data = None if training is None else DataRecord.read(training.folder)
    if training is None or data is None or not training.result:
        return None
    _, seen_each = sizes(_config(record, training).data, data.train.images)
    total = float(training.result["epochs"] * seen_each)
    *before, _ = stages_of(record, name)
    for stage in before:
        seen = _in_search(record, stage) if stage.name.startswith("search") else _in_selection(record, stage)
        if seen is None:
            return None
        total += seen
    return round(total)


def cpu_seconds(record: WorkdirContents, name: str) -> float | None:
    """Return the seconds of all cores that the stages took until a network was trained; None: not known."""
    if not record.trainings[name].result:
        return None
    took = [stage.file("seconds.json").get("cpu_seconds") for stage in stages_of(record, name)]
    return None if None in took else round(sum(took), 3)


def stages_of(record: WorkdirContents, name: str) -> list[StageContents]:
    """Return the stages that led to a training, the training last."""
    training = [record.trainings[name]]
    selection = record.selections.get(name)
    if selection is None or "network" in record.rival(name):
        return training
    config = _config(record, selection)
    searches = [] if config.selection.method in NEEDS_NO_SUPERNET else [record.search, *record.further]
    return [*searches[: supernets_of(config)], selection, *training]


def _config(record: WorkdirContents, stage: StageContents) -> ml_collections.ConfigDict:
    """Return the whole config of a stage: the run's, and what the stage was made with where that differs."""
    path, whole = stage.folder / "config.json", record.config.to_dict()
    for name, value in (read_config(path) if path.exists() else {}).items():
        if isinstance(value, dict):
            whole[name] = {**whole.get(name, {}), **value}
        elif "." not in name:  # a single field of another section, which says nothing new
            whole[name] = value
    return ml_collections.ConfigDict(whole)


def _method(record: WorkdirContents, config: ml_collections.ConfigDict) -> Method | None:
    """Return the search method; None: its code may not run here."""
    if runs_strange_code(config):
        return None
    made: Method = METHODS.load(config.search.method)(config, record.space)
    return made


def searches(record: WorkdirContents) -> int:
    """Return how many stages the search has, each of `search.epochs`; 1 where its code may not run here."""
    method = _method(record, record.config)
    return 1 if method is None else method.searches


def _in_search(record: WorkdirContents, stage: StageContents) -> float | None:
    config, data = _config(record, stage), DataRecord.read(stage.folder)
    method = _method(record, config)
    if data is None or method is None or "imported" in stage.result:
        return None
    total, done = _in_probes(stage.decisions), _steps(stage)
    half = in_training_half(config.data, data.train.images)
    planned = plan(method, half, 1)
    whole = sum(epoch.steps for epoch in planned)  # of one stage: all are as long
    for stage, epoch in itertools.product(range(method.searches), planned):
        steps = min(max(done - stage * whole - epoch.first, 0), epoch.steps)
        short = epoch.batch - epoch.last_batch if steps == epoch.steps else 0
        total += method.weight_passes * (steps * epoch.batch - short)
        if epoch.trains_alpha and method.alpha_metrics:
            total += method.alpha_passes * steps * epoch.batch
    return total


def _in_selection(record: WorkdirContents, stage: StageContents) -> float | None:
    config, data = _config(record, stage), DataRecord.read(stage.folder)
    total, done = _in_probes(stage.decisions), _steps(stage)
    if not done:  # nothing was fine-tuned
        return total
    method = _method(record, config)
    if data is None or method is None:
        return None
    batch = config.search.batch_size
    half = in_training_half(config.data, data.train.images)
    passes, within = divmod(done, -(-half // batch))
    total += method.weight_passes * (passes * half + within * batch)
    return total + (method.alpha_passes * done * batch if method.alpha_metrics else 0)


def _steps(stage: StageContents) -> int:
    """Return how many steps a stage has done."""
    return max((row["step"] for row in stage.steps), default=0)


def _in_probes(decisions: Iterable[Decision]) -> float:
    """Return what the probes of decisions count."""
    seen, scored = 0, {}
    for decision in decisions:
        if isinstance(decision, OperationDecision | TopologyDecision) and decision.measured is not None:
            seen += decision.measured.passes
        if isinstance(decision, PermutationRow):
            seen += decision.scored * decision.images
        if isinstance(decision, ProposalRow):
            seen += decision.passes
        if isinstance(decision, OperationDecision):
            whole = () if decision.whole is None else (decision.whole,)
            seen += sum(probe.images for probe in (*decision.probes, *whole))
        elif isinstance(decision, TopologyDecision):
            seen += sum(probe.images for made in decision.rounds for probe in made.probes)
        elif isinstance(decision, SampleDecision):  # one that is drawn again is not scored again
            scored[decision.genotype] = decision.images
    return PROBE * (seen + sum(scored.values()))
