"""Several processes on one work directory: only the chief writes there.

All run the same program. Every other process works in a copy of its own, which is gone when it ends, so that
nothing else in a stage has to know of it: it resumes from the same files, and what it writes is thrown away.
"""

import atexit
import functools
import hashlib
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.runtime import lock
from tf_darts.runtime.cluster import Cluster

# The strategy over all processes; none where there is one process.
_together: list[tf.distribute.Strategy] = []


def work_together(strategy: tf.distribute.Strategy) -> None:
    """Has `anywhere` ask all processes from now on."""
    _together[:] = [strategy]


def anywhere(flag: bool) -> bool:
    """Whether the flag is set in any process; all have to ask at the same place."""
    return sum_over_workers(int(flag), _together[0]) > 0 if _together else flag


def own_workdir(workdir: str, cluster: Cluster, strategy: tf.distribute.Strategy) -> str:
    """The folder that this process works in; returns when every process has its own.

    Args:
      workdir: the work directory.
      cluster: the processes.
      strategy: over them.

    Raises:
      UserError: the processes do not see the same files there.
    """
    digest = _digest(pathlib.Path(workdir))
    own = workdir
    if not cluster.is_chief:
        copy = tempfile.mkdtemp(prefix="tf_darts-worker-")
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        own = os.path.join(copy, "workdir")
        if os.path.isdir(workdir):
            shutil.copytree(workdir, own, ignore=shutil.ignore_patterns(lock.NAME))
    if sum_over_workers(digest, strategy) != digest * strategy.num_replicas_in_sync:
        raise UserError(
            f"--workdir: {workdir}: the processes do not see the same files; allowed: a folder that all share"
        )
    return own


def sum_over_workers(value: int, strategy: tf.distribute.Strategy) -> int:
    """The sum of what all replicas have; every process has to ask for it."""
    return int(_sum(strategy)(tf.constant(value, tf.int64)))


@functools.cache
def _sum(strategy: tf.distribute.Strategy):
    @tf.function
    def total(own: tf.Tensor) -> tf.Tensor:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, args=(own,)), axis=None)

    return total


def _digest(folder: pathlib.Path) -> int:
    """Names and sizes of the files in a folder, as a number below 2^31."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != lock.NAME]
    files = sorted((str(path.relative_to(folder)), path.stat().st_size) for path in paths)
    return int.from_bytes(hashlib.blake2b(repr(files).encode(), digest_size=4).digest(), "big") & 0x7FFFFFFF
