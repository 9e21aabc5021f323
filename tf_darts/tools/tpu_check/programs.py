"""The compiled steps that a TPU would run, by name, at the published sizes or with fewer cells."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import ml_collections
import numpy as np
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.data.image_data import ImageData
from tf_darts.genotypes.derive import read_genotype
from tf_darts.runtime.steps import Steps
from tf_darts.runtime.strategy import assumed_device_type
from tf_darts.search import loop as search_loop
from tf_darts.search import plan as search_plan
from tf_darts.search import setup as search_setup
from tf_darts.selection import finetune
from tf_darts.selection.probe import Prober
from tf_darts.tools.tpu_check.cases import CompiledCase, sizes
from tf_darts.training import loop as training_loop
from tf_darts.training import setup as setup_lib


@dataclasses.dataclass
class Pod:
    """Stands for a strategy of several TPU cores, and for its replica context in a step.

    Attributes:
      num_replicas_in_sync: number of cores that share a global batch.
      replica_id_in_sync_group: which of them a step runs on: an argument of the step.
    """

    num_replicas_in_sync: int
    replica_id_in_sync_group: tf.Tensor | None = None

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Return a context for making variables."""
        return contextlib.nullcontext()

    def all_reduce(self, operation: tf.distribute.ReduceOp, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Sum each value across replicas, as `TPUStrategy` does."""
        everyone = [list(range(self.num_replicas_in_sync))]
        summed = [tf.raw_ops.CrossReplicaSum(input=v, group_assignment=everyone) for v in values]
        if operation == tf.distribute.ReduceOp.MEAN:
            summed = [v / self.num_replicas_in_sync for v in summed]
        return summed

    def merge_call(self, function: Callable, args=()):
        """Call the function: every core does the same with its own variables."""
        return function(tf.distribute.get_strategy(), *args)


@contextlib.contextmanager
def _in_replica_context(pod: Pod, replica: tf.Tensor) -> Iterator[None]:
    before = tf.distribute.get_replica_context
    tf.distribute.get_replica_context = lambda: dataclasses.replace(pod, replica_id_in_sync_group=replica)
    try:
        yield
    finally:
        tf.distribute.get_replica_context = before


def build(case: CompiledCase) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return a case's step as a function of its number and the replica's that returns float32 [metrics].

    It reads and assigns variables, which hold the images too.
    """
    pod = Pod(case.replicas)
    with assumed_device_type("TPU"):
        steps = STEPS[case.program](_config(case), pod)

    def step(number: tf.Tensor, replica: tf.Tensor) -> tf.Tensor:
        with assumed_device_type("TPU"), _in_replica_context(pod, replica):
            return steps.on_replica(number)

    return step


def _config(case: CompiledCase) -> ml_collections.ConfigDict:
    config = config_lib.default()
    config.space = case.space
    config.runtime.precision = case.precision
    for name, value in sizes(case).items():
        config.update_from_flattened_dict({name: value})
    config.search.batch_size *= case.replicas
    config.training.batch_size *= case.replicas
    return config_lib.validate(config)


def _images(config: ml_collections.ConfigDict) -> ImageData:
    """Return random images of CIFAR-10's shape and number; what they show does not matter here."""
    count, side = config.data.limit_train, config.data.image_size
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    labels = np.arange(count, dtype=np.int32) % 10
    return ImageData(images, labels, images[:1], labels[:1], tuple(map(str, range(10))))


def _searched(config: ml_collections.ConfigDict, pod: Pod) -> search_setup.SearchSetup:
    return search_setup.set_up(config, spaces.of(config), _images(config), pod)


def _search(config: ml_collections.ConfigDict, pod: Pod) -> Steps:
    setup = _searched(config, pod)
    epochs = search_plan.plan(setup.method, setup.train.size, pod.num_replicas_in_sync)
    return search_loop.search_steps(setup, epochs, epochs[0], epochs[0].batch)


def _finetuning(config: ml_collections.ConfigDict, pod: Pod) -> Steps:
    setup = _searched(config, pod)
    return finetune.steps(setup).full_steps


def _probe(config: ml_collections.ConfigDict, pod: Pod) -> Steps:
    """Return the steps of all probes of one edge into the last node of the first cell type."""
    setup = _searched(config, pod)
    cell_type = next(block.cell_type for block in setup.bilevel.supernet.body.layout if block.cell_type)
    return Prober(setup, setup.valid).steps(cell_type, setup.space.targets[-1]).full_steps


def _training(config: ml_collections.ConfigDict, pod: Pod) -> Steps:
    setup = _searched(config, pod)
    genotype = read_genotype(setup.space, setup.bilevel.architecture.current_weights())
    made = setup_lib.make(config, setup.space, genotype, _images(config), pod)
    return training_loop.training_steps(made).full_steps


# By the name of the program.
STEPS: dict[str, Callable[[ml_collections.ConfigDict, Pod], Steps]] = {
    "search": _search,
    "probe": _probe,
    "finetuning": _finetuning,
    "training": _training,
}
