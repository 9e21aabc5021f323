"""Our side of the benchmark: the tasks that a worker process times.

A task is a class; the worker times each call of its methods (`worker.py`) and the parent decides the order
(`rounds.py`). `peer_tasks.py` has the same classes and methods for the peer. Everything runs through the same
code as the programs: drawing and augmenting batches is part of what is timed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_darts.data.image_data import ImageData
from tf_darts.data.image_set import ImageSet
from tf_darts.data.transform import Transform
from tf_darts.models import cost
from tf_darts.models.network import count_parameters
from tf_darts.runtime import strategy as strategy_lib
from tf_darts.search import loop as search_loop
from tf_darts.search import plan as search_plan
from tf_darts.search import setup as search_setup
from tf_darts.selection import decide, finetune, probe
from tf_darts.selection.schedule import PlannedDecision
from tf_darts.tools.benchmark import device
from tf_darts.tools.benchmark.cases import BenchmarkCase, program_config
from tf_darts.tools.benchmark.whole import next_probe, plan_of
from tf_darts.training import loop as training_loop
from tf_darts.training import setup as setup_lib

Answer = dict[str, Any]
peak_memory = device.peak_memory


def made_up_images(case: BenchmarkCase, count: int) -> ImageData:
    """Return random images [count, side, side, 3] and labels: what images show does not change their cost."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, case.image_size, case.image_size, 3), np.uint8)
    labels = draw.integers(0, case.classes, count, np.int32)
    names = tuple(str(label) for label in range(case.classes))
    data = ImageData(images, labels, images[:1], labels[:1], names)
    _ = data.mean, data.std  # computed once and kept: not a part of what is timed
    return data


class MeasuredTask:
    """What the tasks share.

    Args:
      case: what is measured.
      settings: the benchmark's config as a plain dictionary.
    """

    def __init__(self, case: BenchmarkCase, settings: dict[str, Any]):
        device.use(settings)
        self.case, self.settings = case, settings
        self.config = program_config(case, settings)
        self.strategy = strategy_lib.start(self.config.runtime)
        self.data = made_up_images(case, settings["images"])
        self.space = case.search_space()

    def _search_setup(self) -> search_setup.SearchSetup:
        made = search_setup.set_up(self.config, self.space, self.data, self.strategy)
        self.data = None  # the sets have their own copy on the device
        return made

    def _few(self) -> ImageSet:
        """Return the few validation batches that probes are timed on, in place of a whole pass."""
        data, count = self.data, self.settings["probe_batches"] * self.case.batch_size
        transform = Transform(data.mean, data.std, self.config.data.crop_padding, self.config.data.flip)
        return ImageSet(data.x_train[:count], data.y_train[:count], transform, self.config.seed)

    about = staticmethod(device.about)


class MeasuredSearch(MeasuredTask):
    """Building, start-up, bilevel steps, probe batches and perturbation events."""

    def build(self) -> Answer:
        """Make the supernet, its optimisers and its data sets; return its size."""
        few = self._few()
        self.setup = self._search_setup()
        epochs = search_plan.plan(self.setup.method, self.setup.train.size, 1)
        self._steps = search_loop.search_steps(self.setup, epochs, epochs[0], epochs[0].batch)
        self._done = 0
        self._probe = MeasuredProber(self.setup, few)
        self._planned, _ = plan_of(self.space, self.settings["interval"], self.config.seed)
        supernet = self.setup.bilevel.supernet
        shape = (self.case.image_size, self.case.image_size)
        forward = cost.multiply_adds(supernet, shape)
        return {
            "parameters": count_parameters(supernet),
            "multiply_adds": {"probe": forward, "step": cost.BILEVEL_STEP * forward},
        }

    def step(self, count: int) -> Answer:
        """Run so many bilevel steps in one call; the first call traces too."""
        self._steps(self._done, count)
        device.finish()
        self._done += count
        return {"count": count}

    def probe(self) -> Answer:
        """Run all probes of the first decisions over the few validation batches; count batches of probes."""
        return {"count": self._probe.around(*next_probe(self.space, self._planned, 0))}

    def event(self) -> Answer:
        """Run one whole event, all its probes over the few validation batches; undo its decisions."""
        return {"count": self._probe.event([p for p in self._planned if p.event == 0])}


class MeasuredTraining(MeasuredTask):
    """Steps of training a network from scratch, half way through its epochs (drop path is on then)."""

    def build(self) -> Answer:
        """Make the network, its optimiser and its data sets; return its size."""
        self.config.runtime.steps_per_call = self.settings["steps"]
        made = setup_lib.make(self.config, self.space, self.case.to_genotype(), self.data, self.strategy)
        self.data = None
        self._steps = training_loop.training_steps(made)
        self._first = self._steps.per_pass * (self.config.training.epochs // 2)
        shape = (self.case.image_size, self.case.image_size)
        forward = cost.multiply_adds(made.network, shape, training=True)
        return {
            "parameters": count_parameters(made.network),
            "multiply_adds": {"step": cost.TRAINING_STEP * forward},
        }

    def step(self, count: int) -> Answer:
        """Run some steps in one call, at most `count`; the first call traces too."""
        _, done = self._steps(self._first)
        device.finish()
        return {"count": done}


class MeasuredSelection(MeasuredTask):
    """Fine-tuning steps and probes at stages of a selection: with some decisions made."""

    def build(self) -> Answer:
        """Make the supernet."""
        self.config.runtime.steps_per_call = self.settings["steps"]
        self._few_images = self._few()
        self.setup = self._search_setup()
        self.setup.bilevel.weight_optimizer = finetune.optimizer(self.setup)
        return {"parameters": count_parameters(self.setup.bilevel.supernet)}

    def stage(self, decisions: list[dict]) -> Answer:
        """Make further decisions (rows of decisions.jsonl) and the compiled functions that follow them."""
        self._stage = MeasuredStage(self.setup, self._few_images, decisions)
        return {"made_anew": MeasuredStage.MADE_ANEW}

    def step(self, count: int) -> Answer:
        """Run at most `count` steps of fine-tuning in one call; the first call of a stage traces too."""
        return {"count": self._stage.step()}

    def probe(self, cell_type: str, edge: int, operation: int | None) -> Answer:
        """Run all probes of such a decision in each cell type; count batches of probes."""
        return {"count": self._stage.prober.around(cell_type, edge, operation)}


class MeasuredProber:
    """Probes over a few validation batches. The one place where the benchmark uses the selection's API.

    Args:
      setup: a searched supernet with its masks as they stand.
      few: the validation images.
    """

    def __init__(self, setup: search_setup.SearchSetup, few: ImageSet):
        self._architecture = setup.bilevel.architecture
        self._prober = probe.Prober(setup, few)

    def around(self, cell_type: str, edge: int, operation: int | None) -> int:
        """Run the probes of the decision that a probe belongs to, in every cell type; return their batches.

        Probes of a decision are evaluated together, and those of a later cell type share more: one alone
        would not be what a selection does.
        """
        space, count = self._architecture.space, 0
        if operation is None:
            removals = [(e, None) for e in space.incoming(space.edges[edge].target)]
        else:
            removals = [(edge, o) for o in range(len(space.candidates[cell_type][edge]))]
        for each in space.cell_types:
            done = []
            self._prober.score(each, removals, 0, each_call=done.append)
            count += sum(done)
        device.finish()
        return count

    def event(self, planned: list[PlannedDecision]) -> int:
        """Run all probes of an event, make and undo its decisions; return the number of batches."""
        architecture, done = self._architecture, []
        masks = [*architecture.open_operations.values(), *architecture.open_edges.values()]
        before = [mask.numpy() for mask in masks]
        decider = decide.Decider(architecture, self._prober, "accuracy")
        for decision in planned:
            decider.decide(decision, 0, done.append)
        for mask, value in zip(masks, before, strict=True):
            mask.assign(value)
        device.finish()
        return sum(done)


class MeasuredStage:
    """The compiled functions of a selection after some decisions: fine-tuning steps and probes.

    Args:
      setup: the supernet; its masks are set.
      few: validation images for the probes.
      decisions: rows of decisions.jsonl, those made since the stage before.
    """

    # Whether selection makes its compiled functions anew after each event (decided edges leave the graph);
    # their tracing then counts once per event in the whole, else once.
    MADE_ANEW = True

    def __init__(self, setup: search_setup.SearchSetup, few: ImageSet, decisions: list[dict]):
        for row in decisions:
            if row["kind"] == "operation":
                setup.bilevel.architecture.decide_operation(row["cell_type"], row["edge"], row["operation"])
            else:
                setup.bilevel.architecture.remove_edges(row["cell_type"], row["removed"])
        setup.bilevel.architecture.compact()
        self.prober = MeasuredProber(setup, few)
        self._finetune: Callable = finetune.steps(setup)

    def step(self) -> int:
        """Run the steps of one call; return how many."""
        _, done = self._finetune(0)
        device.finish()
        return done


# By the name that a worker is told.
TASKS = {"search": MeasuredSearch, "training": MeasuredTraining, "selection": MeasuredSelection}
