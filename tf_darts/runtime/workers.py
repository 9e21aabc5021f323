"""Several processes on one work directory: only the chief writes there.

All run the same program. Every other process works in a copy of its own, which is gone when it ends, so that
nothing else in a stage has to know of it: it resumes from the same files, and what it writes is thrown away.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

# The strategy over all processes; none where there is one process.
_together: list[tf.distribute.Strategy] = []


def work_together(strategy: tf.distribute.Strategy) -> None:
    """Have `anywhere` ask all processes from now on."""
    _together[:] = [strategy]


def anywhere(flag: bool) -> bool:
    """Return whether the flag is set in any process; all have to ask at the same place."""
    return sum_over_workers(int(flag), _together[0]) > 0 if _together else flag


def sum_over_workers(value: int, strategy: tf.distribute.Strategy) -> int:
    """Return the sum of what all replicas have; every process has to ask for it."""
    return int(_sum(strategy)(tf.constant(value, tf.int64)))


@functools.cache
def _sum(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function
    def total(own: tf.Tensor) -> tf.Tensor:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, args=(own,)), axis=None)

    return total
