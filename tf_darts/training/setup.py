"""A network with its data, ready to be trained."""

import dataclasses

import ml_collections
import tensorflow as tf

from tf_darts import spaces
from tf_darts.data.image_data import ImageData
from tf_darts.data.image_set import ImageSet, whole_sets
from tf_darts.data.image_stream import ImageStream, StreamedData
from tf_darts.data.share import sizes
from tf_darts.data.transform import Transform, check_crops
from tf_darts.genotypes.genotype import Genotype
from tf_darts.layers import keras_operation
from tf_darts.layers.batch_norm import synchronized_batch_norms
from tf_darts.models import memory
from tf_darts.models.network import Network, check_auxiliary
from tf_darts.native import choice
from tf_darts.optim.optimizers import SGD
from tf_darts.runtime.guard import Guard
from tf_darts.runtime.seeds import fold
from tf_darts.runtime.steps import check_steps
from tf_darts.runtime.strategy import ACTIVATIONS, check_batch, use_floats
from tf_darts.spaces import Space


@dataclasses.dataclass
class TrainingSetup:
    """A network with its data, ready to be trained.

    Attributes:
      config: the whole config.
      strategy: where steps run.
      train: the training images: all, or those of `data.training_only`.
      test: the test set.
      data: the data set, for its test images and names of classes.
      network: the network.
      optimizer: its SGD.
      classes: number of classes of the data.
    """

    config: ml_collections.ConfigDict
    strategy: tf.distribute.Strategy
    train: ImageSet | ImageStream
    test: ImageSet | ImageStream
    data: ImageData | StreamedData
    network: Network
    optimizer: SGD
    classes: int

    def state(self) -> dict[str, object]:
        """Return what a checkpoint of the training holds, by name."""
        return {"network": self.network, "optimizer": self.optimizer}

    def guard(self) -> Guard | None:
        """Return what undoes steps that are not finite; None: they end the stage."""
        most = self.config.runtime.skipped_steps
        state = [v.value for v in self.network.variables] + list(self.optimizer.variables)
        return Guard(most, state, [v.value for v in self.network.trainable_variables]) if most else None


def check(
    config: ml_collections.ConfigDict,
    space: Space,
    data: ImageData | StreamedData,
    replicas: int,
    genotype: Genotype | None = None,
) -> None:
    """Check that a network can be trained on the data with this config.

    Args:
      config: the whole config, valid.
      space: the search space.
      data: the data.
      replicas: that share a batch.
      genotype: of the network, where it is known by then.

    Raises:
      UserError: the batch does not fit the data or the replicas, the images the reductions, a step the
        memory, or the auxiliary head the images; or an operation of the user's own does not do what one
        must.
    """
    use_floats(config.runtime)
    training, space = config.training, spaces.with_stem(space, config.training.stem)
    _, images = sizes(config.data, data.train_size)
    check_batch("training.batch_size", training.batch_size, images, replicas)
    check_crops(config.data.crop_padding, data.image_shape)
    check_steps("training.epochs", training.epochs, images, training.batch_size)
    chosen = memory.in_network(space, genotype)
    scale = (space, training.channels, training.cells)
    needed = memory.estimate(*scale, training.batch_size, data.image_shape, candidates=chosen)
    memory.check(config, "training", needed, memory.of_weights(*scale, candidates=chosen))
    keras_operation.check(space.operations, training.channels, affine=True)
    if training.auxiliary_weight:
        check_auxiliary(space, training.cells, data.image_shape)


def make(
    config: ml_collections.ConfigDict,
    space: Space,
    genotype: Genotype,
    data: ImageData | StreamedData,
    strategy: tf.distribute.Strategy,
) -> TrainingSetup:
    """Build a network with its data; weights start as the seed says.

    Args:
      config: the whole config; `check` has found that it suits the data.
      space: the search space.
      genotype: of the network.
      data: the data.
      strategy: where steps run.
    """
    use_floats(config.runtime)
    training = config.training
    space = spaces.with_stem(space, training.stem)
    transform = Transform(
        data.mean, data.std, config.data.crop_padding, config.data.flip, training.cutout_length
    )
    seed = fold(config.seed, "training")
    with (
        strategy.scope(),
        synchronized_batch_norms(config.runtime.sync_batch_norm),
        choice.wanted(config.runtime.kernels),
    ):
        network = Network(
            space,
            genotype,
            training.channels,
            training.cells,
            data.num_classes,
            data.image_shape[-1],
            bool(training.auxiliary_weight),
            seed,
            ACTIVATIONS[config.runtime.precision],
        )
        weights = [v.value for v in network.trainable_variables]
        optimizer = SGD(weights, training.momentum, training.weight_decay, training.clip_norm)
        train: ImageSet | ImageStream
        test: ImageSet | ImageStream
        sets = config.data, config.seed, transform, seed
        if isinstance(data, StreamedData):
            train, test = data.sets(*sets)
        else:
            train, test = whole_sets(data, *sets)
    return TrainingSetup(config, strategy, train, test, data, network, optimizer, data.num_classes)
