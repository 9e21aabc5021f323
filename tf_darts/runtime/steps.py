"""Several steps per call from the host, compiled, under any strategy."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_darts.data.pipeline import ImageSet
from tf_darts.errors import UserError
from tf_darts.runtime import guard as guard_lib
from tf_darts.runtime.guard import Guard

# A step: (its number, the replica's number, what else a call was given) -> its share of each metric.
Step = Callable[..., dict[str, tf.Tensor]]


class Steps:
    """A step as a compiled loop.

    Args:
      strategy: where it runs.
      step: called in replica context, once per traced shape; shares of metrics are summed over replicas.
      metrics: names of the metrics that `step` returns.
      shape: of each of them; scalars as a rule.
      guard: undoes steps whose metrics are not finite; None: such a step ends the stage. With a guard there
        is one metric more, `guard.SKIPPED`.

    Attributes:
      metrics: as given.
      on_replica: the step as a function of its number, to be called in replica context; its metrics stacked.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        step: Step,
        metrics: tuple[str, ...],
        shape: tuple[int, ...] = (),
        guard: Guard | None = None,
    ):
        self.metrics = metrics
        self._metrics = metrics if guard is None else (*metrics, guard_lib.SKIPPED)
        self._most, self._skipped = (0 if guard is None else guard.most), 0

        # Steps have no control flow on tensors; reading all their code for it would only slow tracing.
        @tf.autograph.experimental.do_not_convert
        def on_replica(number: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            values = step(number, tf.cast(replica, tf.int32), *given)
            return tf.stack([tf.cast(values[name], tf.float32) for name in metrics])

        self.on_replica = on_replica

        @tf.function
        def run(first: tf.Tensor, count: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
            rows = tf.TensorArray(tf.float32, size=count, element_shape=[len(self._metrics), *shape])
            for i in tf.range(count):
                before = () if guard is None else guard.snapshot(strategy)
                shares = strategy.run(on_replica, args=(first + i, *given))
                row = strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
                rows = rows.write(i, row if guard is None else guard.settle(strategy, before, row))
            return rows.stack()

        self._run = run

    def __call__(self, first: int, count: int, given: Sequence[tf.Tensor] = ()) -> dict[str, np.ndarray]:
        """Runs steps first .. first+count-1, each given the same; gives each metric, float32 [count, *shape].

        Raises:
          UserError: one is not finite, and there is no guard, or it has undone as many as it may.
        """
        rows = self._run(tf.constant(first, tf.int32), tf.constant(count, tf.int32), *given).numpy()
        columns = {name: rows[:, i] for i, name in enumerate(self._metrics)}
        self._skipped = guard_lib.check(first, columns, self._most, self._skipped)
        return columns


def divided(size: int, batch_size: int, replicas: int) -> tuple[int, int]:
    """Full batches in a pass over `size` images, and the images of a last, smaller one.

    Raises:
      UserError: there are fewer images than replicas.
    """
    full, rest = divmod(size, batch_size)
    rest -= rest % replicas
    if not full and not rest:
        raise UserError(f"a set of {size} images cannot be shared by {replicas} replicas")
    return full, rest


class PassSteps:
    """Steps of whole passes over a set: every image once, the last batch smaller where need be.

    Steps are numbered through: step n is batch n % per_pass of pass n // per_pass. The smaller batch has
    another shape and is compiled apart. Over several replicas, the images of the last batch that do not
    divide among them (fewer than there are replicas) are left out.

    Args:
      strategy: where it runs.
      size: images in the set.
      batch_size: global batch.
      make_step: gives the step for a global batch of so many images.
      metrics: names of the metrics that steps return.
      steps_per_call: steps per call from the host.
      make_shape: gives the shape of each metric for a global batch of so many images.
      guard: as `Steps`.

    Raises:
      UserError: there are fewer images than replicas.

    Attributes:
      per_pass: number of steps in a pass.
      images: number of images that a pass sees.
      full_steps: the steps of full batches.
      calls: number of calls that a pass from its beginning takes.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        size: int,
        batch_size: int,
        make_step: Callable[[int], Step],
        metrics: tuple[str, ...],
        steps_per_call: int,
        make_shape: Callable[[int], tuple[int, ...]] = lambda count: (),
        guard: Guard | None = None,
    ):
        self._full, rest = divided(size, batch_size, strategy.num_replicas_in_sync)
        self.per_pass = self._full + (1 if rest else 0)
        self.images = self._full * batch_size + rest
        self._batch_size, self._replicas = batch_size, strategy.num_replicas_in_sync
        self._steps_per_call = steps_per_call
        self.calls = -(-self._full // steps_per_call) + (1 if rest else 0)
        self.full_steps = Steps(strategy, make_step(batch_size), metrics, make_shape(batch_size), guard)
        self._rest_steps = (
            Steps(strategy, make_step(rest), metrics, make_shape(rest), guard) if rest else None
        )

    def batch(
        self,
        images: ImageSet,
        purpose: str,
        number: tf.Tensor,
        count: int,
        replica: tf.Tensor,
        augment: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """A replica's part of the batch of a step, for `make_step`.

        Args:
          images: the set that passes go over.
          purpose: what the pass is for.
          number: of the step.
          count: images in the global batch, as `make_step` was told.
          replica: the replica's number.
          augment: whether images are augmented and their order is shuffled, or neither.

        Returns:
          As `ImageSet.pass_batch`.
        """
        return images.pass_batch(
            purpose,
            number // self.per_pass,
            number % self.per_pass,
            self._batch_size,
            count,
            augment=augment,
            shuffle=augment,
            replicas=self._replicas,
            replica=replica,
        )

    def __call__(self, number: int) -> tuple[dict[str, np.ndarray], int]:
        """Runs some steps from this one on, none beyond its pass; gives their metrics and how many."""
        within = number % self.per_pass
        if within < self._full:
            count = min(self._steps_per_call, self._full - within)
            return self.full_steps(number, count), count
        return self._rest_steps(number, 1), 1


def in_place(values: tf.Tensor, replica: tf.Tensor, replicas: int) -> tf.Tensor:
    """A replica's images among zeros, so that the sum over replicas has every image's value in its place.

    Args:
      values: [..., images of the replica].
      replica: which one it is.
      replicas: how many there are.

    Returns:
      [..., images of all replicas].
    """
    if replicas == 1:
        return values
    here = tf.range(replicas)[:, None] == replica
    own = tf.where(here, values[..., None, :], tf.zeros([], values.dtype))  # a product would spread NaNs
    return tf.reshape(own, [*values.shape[:-1], replicas * values.shape[-1]])
