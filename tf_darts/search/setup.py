"""What search and selection have in common: the supernet, the halves of the data, and the evaluation."""

import dataclasses
import pathlib

import ml_collections
import tensorflow as tf

from tf_darts import spaces
from tf_darts.config.checks import last_epoch_field
from tf_darts.data.image_data import ImageData
from tf_darts.data.image_set import ImageSet, search_sets, size_of_first_half
from tf_darts.data.image_stream import ImageStream, StreamedData
from tf_darts.data.share import sizes
from tf_darts.data.transform import Transform, check_crops
from tf_darts.errors import UserError
from tf_darts.layers import keras_operation
from tf_darts.layers.batch_norm import synchronized_batch_norms
from tf_darts.models import budget as budget_lib
from tf_darts.models import memory
from tf_darts.models.budget import Budget
from tf_darts.models.evaluator import Evaluator
from tf_darts.models.latency_table import LatencyTable
from tf_darts.models.supernet import Supernet, kernels_of
from tf_darts.native import choice
from tf_darts.registry import METHODS, SELECTIONS
from tf_darts.runtime.guard import Guard
from tf_darts.runtime.seeds import fold
from tf_darts.runtime.steps import check_steps
from tf_darts.runtime.strategy import ACTIVATIONS, check_batch, use_floats
from tf_darts.search.bilevel import Bilevel
from tf_darts.search.methods.method import Method
from tf_darts.spaces import Space
from tf_darts.spaces.space import SKIP


@dataclasses.dataclass
class SearchSetup:
    """A supernet with its data, ready to be searched or selected from.

    Attributes:
      config: the whole config.
      space: the search space.
      strategy: where steps run.
      method: the search method.
      budget: what a selected network has to keep to; None: no budget.
      train: the half that fits the weights.
      valid: the half that fits alpha and scores probes.
      test: the test set.
      bilevel: supernet, architecture and optimisers.
      needed_memory: what a bilevel step is estimated to need, bytes.
      classes: number of classes of the data.
      image_shape: height, width and channels of the images.
      others: the setups of further supernets, of other seeds, that a selection probes too, by the folder of
        their search.
    """

    config: ml_collections.ConfigDict
    space: Space
    strategy: tf.distribute.Strategy
    method: Method
    budget: Budget | None
    train: ImageSet | ImageStream
    valid: ImageSet | ImageStream
    test: ImageSet | ImageStream
    bilevel: Bilevel
    needed_memory: float
    classes: int
    image_shape: tuple[int, ...]
    others: dict[pathlib.Path, "SearchSetup"] = dataclasses.field(default_factory=dict)

    def state(self) -> dict[str, object]:
        """Return what a checkpoint of the search or the selection holds, by name."""
        return {
            "supernet": self.bilevel.supernet,
            "architecture": self.bilevel.architecture,
            "weight_optimizer": self.bilevel.weight_optimizer,
            "alpha_optimizer": self.bilevel.alpha_optimizer,
            **self.method.part_states(),
        }

    def guard(self) -> Guard | None:
        """Return what undoes steps that are not finite (search, fine-tuning); None: they end the stage."""
        most, bilevel = self.config.runtime.skipped_steps, self.bilevel
        if not most:
            return None
        modules: list[tf.Module] = [bilevel.architecture, bilevel.weight_optimizer, bilevel.alpha_optimizer]
        modules += self.method.part_states().values()
        state = [v.value for v in bilevel.supernet.variables] + [v for m in modules for v in m.variables]
        return Guard(most, state, [*bilevel.weights, *bilevel.alphas.values()])

    def probe_images(self) -> ImageSet | ImageStream:
        """Return the validation images that probes see: `selection.probe_images` of them, or all."""
        count = self.config.selection.probe_images
        return self.valid.first(count) if count else self.valid

    @property
    def probe_batch(self) -> int:
        """Images that a probe sees together: `selection.probe_batch_size`, or as many as in the search."""
        return self.config.selection.probe_batch_size or self.config.search.batch_size

    def evaluator(
        self,
        images: ImageSet | ImageStream,
        purpose: str,
        training: bool,
        augment: bool,
        batch_size: int | None = None,
    ) -> Evaluator:
        """Return what evaluates the supernet on a set of images.

        Args:
          images: the set.
          purpose: for the order and the augmentation of each pass.
          training: whether batch norms use the batch's statistics, or the running ones.
          augment: whether images are augmented and their order is shuffled, or neither.
          batch_size: images in a global batch; None: as many as in the search.
        """
        return Evaluator(
            self.strategy,
            images,
            batch_size or self.config.search.batch_size,
            lambda batch: self.bilevel.forward(batch, training=training),
            purpose,
            augment,
            self.config.runtime.steps_per_call,
        )


@dataclasses.dataclass(frozen=True)
class CheckedSearch:
    """What `check` has made for a set-up of a supernet: `make` goes on from it.

    Attributes:
      config: the whole config.
      space: the search space.
      method: the search method.
      budget: what a selected network has to keep to; None: no budget.
      data: the data.
      needed_memory: what a bilevel step is estimated to need, bytes.
    """

    config: ml_collections.ConfigDict
    space: Space
    method: Method
    budget: Budget | None
    data: ImageData | StreamedData
    needed_memory: float


def check(
    config: ml_collections.ConfigDict,
    space: Space,
    data: ImageData | StreamedData,
    replicas: int,
    table: LatencyTable | None = None,
) -> CheckedSearch:
    """Check that a supernet can be searched, or selected from, on the data with this config.

    Args:
      config: the whole config, valid.
      space: the search space.
      data: the data.
      replicas: that share a batch.
      table: by which latencies are predicted; None: that of `selection.latency_table`.

    Raises:
      UserError: the batch does not fit the halves or the replicas, or the images the reductions, or a step
        the memory; no genotype fits the budget; or an operation of the user's own does not do what one must.
    """
    use_floats(config.runtime)
    selection = config.selection
    if selection.name in SELECTIONS and selection.name != selection.method:
        raise UserError(
            f"config: selection.name is {selection.name!r} with selection.method {selection.method!r};"
            " allowed: a name that is no other selection's, whose results would have the same folder"
        )
    searched, _ = sizes(config.data, data.train_size)
    train = size_of_first_half(config.data, data.train_size)
    smaller = min(train, searched - train)
    method = METHODS.load(config.search.method)(config, space)
    method.budget = budget_lib.of_config(config, space, data.num_classes, data.image_shape, table)
    method.check(data)
    space = spaces.with_stem(space, config.search.stem, "search")
    for batch in sorted({method.batch_size(epoch) for epoch in range(method.epochs)}):
        grown = batch != config.search.batch_size
        name = f"search.batch_size, grown by search.method {config.search.method!r},"
        check_batch(name if grown else "search.batch_size", batch, smaller, replicas)
    keras_operation.check(space.operations, config.search.channels // method.partial_channels, affine=False)
    check_crops(config.data.crop_padding, data.image_shape)
    search, partial = config.search, method.partial_channels
    check_steps(f"search.{last_epoch_field(search)}", method.epochs, train, search.batch_size)
    decisions = len(space.cell_types) * (len(space.edges) + len(space.topology_nodes))
    interval = config.selection.interval
    check_steps("selection.interval", interval, decisions * train, search.batch_size)
    scale = (space, search.channels, search.cells)
    candidates = None
    if method.auxiliary_skip:
        candidates = {t: tuple((*row, SKIP) for row in rows) for t, rows in space.candidates.items()}
    with choice.wanted(config.runtime.kernels):
        kernels = kernels_of(*scale, partial, ACTIVATIONS[config.runtime.precision])
    if method.differentiates_twice or config.early_stopping.window:
        kernels = choice.TENSORFLOW  # which alone are differentiated twice, and keep more
    needed = memory.estimate(*scale, search.batch_size, data.image_shape, partial, candidates, kernels)
    memory.check(config, "search", needed, memory.of_weights(*scale, partial, candidates))
    return CheckedSearch(config, space, method, method.budget, data, needed)


def make(checked: CheckedSearch, strategy: tf.distribute.Strategy) -> SearchSetup:
    """Build a supernet with its data; weights and alpha start as the seed says.

    Args:
      checked: from `check`, with as many replicas.
      strategy: where steps run.
    """
    config, space, method, data = checked.config, checked.space, checked.method, checked.data
    search, runtime = config.search, config.runtime
    use_floats(runtime)
    transform = Transform(data.mean, data.std, config.data.crop_padding, config.data.flip)
    with (
        strategy.scope(),
        synchronized_batch_norms(runtime.sync_batch_norm),
        choice.wanted(runtime.kernels),
    ):
        supernet = Supernet(
            space,
            search.channels,
            search.cells,
            data.num_classes,
            data.image_shape[-1],
            seed=fold(config.seed, "supernet"),
            partial_channels=method.partial_channels,
            auxiliary_skip=method.auxiliary_skip,
            activations=ACTIVATIONS[runtime.precision],
        )
        architecture = method.architecture(fold(config.seed, "architecture"))
        bilevel = Bilevel.create(supernet, architecture, search)
        method.begin(bilevel)
        sets = config.data, config.seed, transform
        train: ImageSet | ImageStream
        valid: ImageSet | ImageStream
        test: ImageSet | ImageStream
        if isinstance(data, StreamedData):
            train, valid, test = data.search_sets(*sets)
        else:
            train, valid, test = search_sets(data, *sets)
    return SearchSetup(
        config=config,
        space=space,
        strategy=strategy,
        method=method,
        budget=checked.budget,
        train=train,
        valid=valid,
        test=test,
        bilevel=bilevel,
        needed_memory=checked.needed_memory,
        classes=data.num_classes,
        image_shape=tuple(data.image_shape),
    )


def set_up(
    config: ml_collections.ConfigDict,
    space: Space,
    data: ImageData | StreamedData,
    strategy: tf.distribute.Strategy,
    table: LatencyTable | None = None,
) -> SearchSetup:
    """Check, and build a supernet with its data.

    Args:
      config: the whole config, valid.
      space: the search space.
      data: the data.
      strategy: where steps run.
      table: as of `check`.

    Raises:
      UserError: as `check`.
    """
    return make(check(config, space, data, strategy.num_replicas_in_sync, table), strategy)
