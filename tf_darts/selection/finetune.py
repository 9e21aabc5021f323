"""Fine-tuning between two events of the selection, as published or regularised.

As published it goes on as the search did, with a new optimiser and a constant learning rate. The fields
`selection.weight_decay`, `drop_path`, `cutout_length`, `noise_radius` and `label_smoothing` make it harder,
which keeps a supernet that has seen its training half for long from fitting it by heart.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from tf_darts.data.batches import Batches, of_passes
from tf_darts.data.pass_steps import PassSteps
from tf_darts.layers import operations
from tf_darts.models.supernet import Supernet
from tf_darts.optim.losses import Batch
from tf_darts.optim.optimizers import SGD
from tf_darts.runtime import draws
from tf_darts.runtime.seeds import draw_seed, fold
from tf_darts.search.bilevel import Disturb, MixingWeights
from tf_darts.search.now import Now
from tf_darts.search.parts.perturbation import perturbed
from tf_darts.search.setup import SearchSetup


def optimizer(setup: SearchSetup) -> SGD:
    """Return a new optimiser of the weights: fine-tuning starts with empty momentum."""
    search, selection = setup.config.search, setup.config.selection
    return SGD(setup.bilevel.weights, search.momentum, selection.weight_decay, search.clip_norm)


def steps(
    setup: SearchSetup,
    trains_alpha: bool = True,
    learning_rate: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> PassSteps:
    """Return the steps of fine-tuning: passes over the training half, each with a fresh validation batch.

    Alpha goes on training between decisions; only undecided edges have a loss gradient.

    Args:
      setup: supernet and data.
      trains_alpha: whether alpha is trained too, or the weights alone.
      learning_rate: of the weights, by epoch (int32 scalar, from 0); None: `selection.learning_rate`.
    """
    config, bilevel, batch = setup.config, setup.bilevel, setup.config.search.batch_size
    selection, replicas = config.selection, setup.strategy.num_replicas_in_sync
    bilevel.label_smoothing = selection.label_smoothing
    images = setup.train
    if selection.cutout_length:
        images = images.with_cutout(selection.cutout_length)

    disturbed_at = _disturbance(setup)

    def make_step(count: int) -> Callable[..., dict[str, tf.Tensor]]:
        def step(number: tf.Tensor, replica: tf.Tensor, train: Batch, valid: Batch) -> dict[str, tf.Tensor]:
            del replica
            now = Now(
                number=number,
                progress=tf.constant(1.0, keras.config.floatx()),
                learning_rate=(
                    learning_rate(number // passes.per_pass)
                    if learning_rate
                    else tf.constant(selection.learning_rate, keras.config.floatx())
                ),
                train_total=count,
                valid_total=batch,
                trains_alpha=trains_alpha,
                seed=fold(config.seed, "selection/method"),
            )
            with bilevel.disturbed(disturbed_at(number)):
                return setup.method.step(bilevel, train, valid, now)

        return step

    passes = PassSteps(
        setup.strategy,
        setup.train.size,
        batch,
        make_step,
        setup.method.metrics + (setup.method.alpha_metrics if trains_alpha else ()),
        config.runtime.steps_per_call,
        guard=setup.guard(),
        batches=lambda count: [
            of_passes(images, "selection/train", batch, count, replicas, augment=True),
            Batches(setup.valid, "selection/valid", batch, replicas),
        ],
    )
    return passes


def _disturbance(setup: SearchSetup) -> Callable[[tf.Tensor], Disturb | None]:
    """What is done to the mixing weights in a step of the weights, by the step's number.

    Called outside of what is traced: whether an operation is an identity is asked of the operation itself.
    """
    selection, seed = setup.config.selection, fold(setup.config.seed, "selection/disturb")
    if not selection.noise_radius and not selection.drop_path:
        return lambda number: None
    masks = {
        t: droppable(setup.bilevel.supernet, t, len(rows[0]))
        for t, rows in setup.bilevel.architecture.computed.items()
    }

    def disturb(number: tf.Tensor, weights: MixingWeights) -> MixingWeights:
        architecture, disturbed = setup.bilevel.architecture, {}
        for cell_type, rows in weights.items():
            if selection.noise_radius:
                noise_seed = draw_seed(seed, f"noise/{cell_type}", number)
                rows = perturbed(rows, architecture.free(cell_type), selection.noise_radius, noise_seed)
            if selection.drop_path:
                drop_seed = draw_seed(seed, f"drop_path/{cell_type}", number)
                rows = rows * dropped(masks[cell_type], selection.drop_path, drop_seed)
            disturbed[cell_type] = rows
        return disturbed

    return lambda number: functools.partial(disturb, number)


def dropped(mask: list[list[bool]], probability: float, seed: tf.Tensor) -> tf.Tensor:
    """Draw factors of mixing weights: 0 with this probability, else 1/(1-p); 1 where the mask is False.

    One draw for the whole batch, because mixing weights are the batch's (path dropout: Bender et al., ICML
    2018); training from scratch draws for each image.
    """
    drawn = draws.uniform([len(mask), len(mask[0])], seed)
    return tf.where(mask, tf.cast(drawn >= probability, drawn.dtype) / (1.0 - probability), 1.0)


def droppable(supernet: Supernet, cell_type: str, columns: int) -> list[list[bool]]:
    """Return which mixing weights drop path may take: not those of identities, as in training.

    Of `columns` weights of an edge those beyond the operations (the edge's own, in PC-DARTS) stay too.
    """
    space = supernet.space
    reduction = any(b.reduction for b in supernet.body.layout if b.cell_type == cell_type)
    mask = []
    for edge, names in zip(space.edges, space.candidates[cell_type], strict=True):
        made = [
            operations.make(name, 2, space.stride(edge, reduction), affine=False, seed=0) for name in names
        ]
        row = [not operation.is_identity for operation in made]
        mask.append(row + [False] * (columns - len(row)))
    return mask
