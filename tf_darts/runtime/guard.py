"""Where a loss or a gradient is not finite, the stage stops, or the step is undone and counted."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.optim.optimizers import assign

SKIPPED = "skipped"  # the metric: 1 where a step was undone


class Guard:
    """Undoes steps: all goes on as if they had not been made, but for the random draws that they used up.

    Args:
      most: steps one after the other that may be undone.
      state: all variables that a step changes.
      trained: those that become not finite with their gradient.
    """

    def __init__(self, most: int, state: Iterable[tf.Variable], trained: Iterable[tf.Variable]):
        self.most, self._state, self._trained = most, list(state), list(trained)

    def snapshot(self, strategy: tf.distribute.Strategy) -> Sequence:
        """Return the state before a step, of every replica."""
        return strategy.run(lambda: [tf.identity(v) for v in self._state])

    def settle(self, strategy: tf.distribute.Strategy, before: Sequence, row: tf.Tensor) -> tf.Tensor:
        """Put the state back if a metric of the step or what it trained is not finite.

        Args:
          strategy: where the step ran.
          before: from `snapshot`.
          row: the step's metrics, float [metrics].

        Returns:
          Float [metrics + 1], the last of them `SKIPPED`.
        """
        good = tf.reduce_all(tf.math.is_finite(row))
        for variable in self._trained:
            good &= tf.reduce_all(tf.math.is_finite(variable.read_value()))

        def put_back(good: tf.Tensor, before: Sequence) -> None:
            kept = [tf.where(good, v.read_value(), b) for v, b in zip(self._state, before, strict=True)]
            assign(self._state, kept)

        strategy.run(put_back, args=(good, before))
        return tf.concat([row, [1.0 - tf.cast(good, row.dtype)]], 0)


def counted(skipped: int) -> dict[str, int]:
    """Return what a result says of skipped steps: how many, if there are any."""
    return {"skipped_steps": skipped} if skipped else {}


def check(first: int, columns: Mapping[str, np.ndarray], most: int, in_a_row: int) -> int:
    """Check the metrics of some steps.

    Args:
      first: number of the first step, from 0.
      columns: float [steps, ...] by metric; with `SKIPPED` where steps may be undone.
      most: steps one after the other that may be undone.
      in_a_row: how many were, up to the first of these.

    Returns:
      How many were, up to the last.

    Raises:
      UserError: a metric is not finite and the step was not undone, or too many were.
    """
    skipped = columns.get(SKIPPED)
    for i in range(len(next(iter(columns.values())))):
        in_a_row = in_a_row + 1 if skipped is not None and skipped[i] else 0
        bad = {name: values[i] for name, values in columns.items() if not np.all(np.isfinite(values[i]))}
        if in_a_row > most or (bad and not in_a_row):
            what = ", ".join(f"{name} is not finite" for name in bad) or "what it trains is not finite"
            raise UserError(
                f"step {first + i + 1}: {what}, and nothing of it is kept. What helps: the same command with"
                f" --config.runtime.skipped_steps above {most}, which allows that many steps in a row to be"
                " skipped; or a lower learning rate in another --workdir"
            )
    return in_a_row
