"""Several steps per call from the host, compiled, under any strategy."""

import contextlib
import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.runtime import guard as guard_lib
from tf_darts.runtime import xla
from tf_darts.runtime.guard import Guard

# A step: (its number, the replica's number, what the host gives it) -> its share of each metric.
Step = Callable[..., dict[str, tf.Tensor]]


class Steps:
    """A step as a compiled loop.

    Args:
      strategy: where it runs; XLA compiles the step where it says so (`runtime.xla`).
      step: called in replica context, once per traced shape; shares of metrics are summed over replicas.
      metrics: names of the metrics that `step` returns.
      shape: of each of them; scalars as a rule.
      guard: undoes steps whose metrics are not finite; None: such a step ends the stage. With a guard there
        is one metric more, `guard.SKIPPED`.
      given: makes what the host gives to the step of a number; None: nothing, and steps run without it.

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
        given: Callable[[int], Sequence[tf.Tensor]] | None = None,
    ):
        self.metrics, self._given = metrics, given
        self._metrics = metrics if guard is None else (*metrics, guard_lib.SKIPPED)
        self._most, self._skipped = (0 if guard is None else guard.most), 0
        floats = keras.config.floatx()

        # Steps have no control flow on tensors; reading all their code for it would only slow tracing.
        @tf.autograph.experimental.do_not_convert
        def on_replica(number: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            values = step(number, tf.cast(replica, tf.int32), *given)
            return tf.stack([tf.cast(values[name], floats) for name in metrics])

        self.on_replica = on_replica
        self._first = compiled = xla.compiles(strategy)
        on_device = tf.function(on_replica, jit_compile=True, autograph=False) if compiled else on_replica

        @tf.function
        def run(first: tf.Tensor, count: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
            rows = tf.TensorArray(floats, size=count, element_shape=[len(self._metrics), *shape])
            for i in tf.range(count):
                before = () if guard is None else guard.snapshot(strategy)
                shares = strategy.run(on_device, args=(first + i, *given))
                row = strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
                rows = rows.write(i, row if guard is None else guard.settle(strategy, before, row))
            return rows.stack()

        self._run = run

    def __call__(self, first: int, count: int) -> dict[str, np.ndarray]:
        """Run steps first .. first+count-1; return each metric, float [count, *shape].

        Raises:
          UserError: one is not finite, and there is no guard, or it has undone as many as it may; what a step
            is given cannot be made; or XLA cannot compile the step.
        """
        with xla.first_call() if self._first else contextlib.nullcontext():
            rows = self._rows(first, count)
        self._first = False
        columns = {name: rows[:, i] for i, name in enumerate(self._metrics)}
        self._skipped = guard_lib.check(first, columns, self._most, self._skipped)
        return columns

    def _rows(self, first: int, count: int) -> np.ndarray:
        if self._given is None:
            return self._run(tf.constant(first, tf.int32), tf.constant(count, tf.int32)).numpy()
        one, numbers = tf.constant(1, tf.int32), range(first, first + count)
        return np.concatenate(
            [self._run(tf.constant(n, tf.int32), one, *self._given(n)).numpy() for n in numbers]
        )


def check_steps(field: str, epochs: int, images: int, batch: int) -> None:
    """Check that the number of a stage's last step is an int32, as steps have it.

    Args:
      field: of the config, the number of epochs.
      epochs: its value.
      images: of an epoch.
      batch: images in a global batch.

    Raises:
      UserError: it is larger.
    """
    steps, most = math.ceil(images / batch), tf.int32.max
    if epochs * steps > most:
        raise UserError(
            f"config: {field} is {epochs}, of {steps} steps each; allowed: at most {most} steps in all, the"
            " largest int32"
        )


def in_place(values: tf.Tensor, replica: tf.Tensor, replicas: int) -> tf.Tensor:
    """Put a replica's values among zeros, so that the sum over replicas has every image's in its place.

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
