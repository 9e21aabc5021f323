"""How long work takes on this machine: a few steps of search and training, and an epoch's end, timed."""

import dataclasses
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from tf_darts.genotypes.genotype import Genotype
from tf_darts.search import loop as search_loop
from tf_darts.search import setup as search_setup
from tf_darts.search.plan import plan
from tf_darts.session import Session
from tf_darts.training import loop as training_loop
from tf_darts.training import setup as training_setup
from tf_darts.workdir.checkpoints import Checkpoints

ROUNDS = 3  # of timed calls: the median counts, for some are disturbed


@dataclasses.dataclass(frozen=True)
class Pace:
    """What a stage takes: wall-clock seconds.

    Attributes:
      start: until its first step is done: building, tracing, compiling.
      step: each step.
      evaluation: of the images that an epoch ends with.
      checkpoint: one is saved after each epoch.
    """

    start: float
    step: float
    evaluation: float = 0.0
    checkpoint: float = 0.0

    def of_epochs(self, epochs: int, steps: int, every: int) -> float:
        """Return the seconds of some epochs, without the start.

        Args:
          epochs: how many.
          steps: of all of them.
          every: epochs from one evaluation to the next; 0: there is none.
        """
        evaluations = -(-epochs // every) if every else 0
        return steps * self.step + epochs * self.checkpoint + evaluations * self.evaluation


def of_search(session: Session) -> Pace:
    """Measure steps of the search that the session's config describes; nothing is left on disk.

    Args:
      session: config, space, devices and data.
    """
    begun = time.monotonic()
    data = session.data
    table = session.latency(data.num_classes, data.image_shape)
    setup = search_setup.set_up(session.config, session.space, data, session.strategy, table)
    replicas = session.strategy.num_replicas_in_sync
    epochs = plan(setup.method, setup.train.size, replicas)
    steps = search_loop.search_steps(setup, epochs, epochs[-1], epochs[-1].batch)
    count = min(session.config.runtime.steps_per_call, epochs[-1].steps)

    def run() -> int:
        steps(0, count)
        return count

    steps(0, 1)
    return _timed(begun, run, search_loop.evaluation(setup), setup.state())


def of_training(session: Session, genotype: Genotype) -> Pace:
    """Measure steps of the training of a genotype; nothing is left on disk.

    Args:
      session: config, space, devices and data.
      genotype: the genotype.
    """
    begun = time.monotonic()
    setup = training_setup.make(session.config, session.space, genotype, session.data, session.strategy)
    steps = training_loop.training_steps(setup)
    steps(0)
    return _timed(begun, lambda: steps(0)[1], training_loop.evaluation(setup), setup.state())


def _timed(
    begun: float, run: Callable[[], int], evaluate: Callable[[], object], state: Mapping[str, Any]
) -> Pace:
    """Measure calls that return how many steps they did, and what an epoch ends with."""
    evaluate()  # traced, as the steps are
    start = time.monotonic() - begun
    rounds = []
    for _ in range(ROUNDS):
        before = time.monotonic()
        done = run()
        rounds.append((time.monotonic() - before) / done)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(pathlib.Path(folder), 0.0, ("step",), leaves=False, **state)
        before = time.monotonic()
        evaluate()
        evaluated = time.monotonic()
        checkpoints.save(step=0)
        saved = time.monotonic()
    return Pace(start, statistics.median(rounds), evaluated - before, saved - evaluated)
