"""What the stages of a program work with: config, space, devices and data, made in one place.

TensorFlow is imported when a run is made, not before, so that programs answer --help at once.
"""

import os
import sys

import ml_collections

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.runtime import cluster, preemption
from tf_darts.runtime.quiet import quiet_start
from tf_darts.workdir import worker_folder


class Session:
    """A program's config, space, strategy and data: checked in this order, before anything is written.

    Args:
      config: a valid config.
      workdir: the work directory, for programs that several processes can run together; None for others.

    Attributes:
      workdir: what stands for the work directory in this process.
    """

    def __init__(self, config: ml_collections.ConfigDict, workdir: str | None = None):
        self.config, self.workdir = config, workdir
        self.space = spaces.of(config)
        several = config.runtime.strategy == "multi_worker"
        if several and workdir is None:
            raise UserError(
                "config: runtime.strategy is 'multi_worker', for a program of one process; allowed:"
                " one_device, mirrored, tpu"
            )
        here = cluster.of_environment() if several else None
        with quiet_start():
            from tf_darts.data import sources
            from tf_darts.runtime import strategy, workers

            self.strategy = strategy.start(config.runtime)  # first: the data may use TensorFlow
        self.data = sources.load(config.data, config.seed)
        if workdir is not None:
            preemption.watch()
        if several:
            workers.work_together(self.strategy)
            self.workdir = worker_folder.own_workdir(workdir, here, self.strategy)
            if not here.is_chief:
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115  until the process ends
