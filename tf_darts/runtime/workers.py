"""Several processes on one work directory: only the chief writes there.

All run the same program. Every other process works in a copy of its own, which is gone when it ends, so that
nothing else in a stage has to know of it: it resumes from the same files, and what it writes is thrown away.
"""

import atexit
import hashlib
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.runtime.cluster import Cluster


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
            shutil.copytree(workdir, own)
    if sum_over_workers(digest, strategy) != digest * strategy.num_replicas_in_sync:
        raise UserError(
            f"--workdir: {workdir}: the processes do not see the same files; allowed: a folder that all share"
        )
    return own


def sum_over_workers(value: int, strategy: tf.distribute.Strategy) -> int:
    """The sum of what all replicas have; every process has to ask for it."""

    @tf.function
    def total(own: tf.Tensor) -> tf.Tensor:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, args=(own,)), axis=None)

    return int(total(tf.constant(value, tf.int64)))


def _digest(folder: pathlib.Path) -> int:
    """Names and sizes of the files in a folder, as a number below 2^31."""
    files = sorted((str(p.relative_to(folder)), p.stat().st_size) for p in folder.rglob("*") if p.is_file())
    return int.from_bytes(hashlib.blake2b(repr(files).encode(), digest_size=4).digest(), "big") & 0x7FFFFFFF
