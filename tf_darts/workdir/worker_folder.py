"""The folder that each of several processes works in."""

import atexit
import hashlib
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.runtime.cluster import Cluster
from tf_darts.runtime.workers import sum_over_workers
from tf_darts.workdir import lock


def own_workdir(workdir: str, cluster: Cluster, strategy: tf.distribute.Strategy) -> str:
    """Return the folder that this process works in, when every process has its own.

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


def _digest(folder: pathlib.Path) -> int:
    """Names and sizes of the files in a folder, as a number below 2^31."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != lock.NAME]
    files = sorted((str(path.relative_to(folder)), path.stat().st_size) for path in paths)
    return int.from_bytes(hashlib.blake2b(repr(files).encode(), digest_size=4).digest(), "big") & 0x7FFFFFFF
