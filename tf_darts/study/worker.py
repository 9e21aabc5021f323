"""The process that does one job: python -m tf_darts.study.worker OUTPUT JOB.

`bin/study` starts it for every job, and so does a task of a SLURM array. What it says is the job's log; a
failure is the last line. With `--check` it reads a study from standard input, as JSON, and only checks it.
"""

import argparse
import csv
import json
import os
import sys
import threading
import time
import traceback
from typing import NoReturn

from absl import app, flags, logging

from tf_darts import trust
from tf_darts.errors import UserError
from tf_darts.runtime import preemption, xla
from tf_darts.runtime.quiet import quiet_start
from tf_darts.study import settings
from tf_darts.study.output import Output


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tf_darts.study.worker", allow_abbrev=False)
    parser.add_argument("output", nargs="?", help="the study's output folder")
    parser.add_argument("job", nargs="?", help="name of a job, SEARCH-seedN")
    parser.add_argument("--cores", type=int, default=0, help="cores to compute on; 0: all")
    parser.add_argument("--parent", type=int, default=0, help="end when this process no longer is the parent")
    parser.add_argument("--trust", default="", help="code that the study may name, separated by commas (CSV)")
    parser.add_argument("--check", action="store_true", help="check the study that standard input gives")
    return parser.parse_args()


def _end_with(parent: int) -> None:
    """End this process when its parent has ended: nobody would wait for what it does."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def use_cores(count: int) -> None:
    """Make TensorFlow use so many cores, as it would on a machine that has no more (`strategy.prepare`)."""
    import tensorflow as tf

    from tf_darts.runtime.strategy import FEW_CORES

    tf.config.threading.set_intra_op_parallelism_threads(1 if count <= FEW_CORES else count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def _work(arguments: argparse.Namespace) -> int:
    trust.allow(*next(csv.reader([arguments.trust]), ()))
    if arguments.check:
        request = json.load(sys.stdin)
        study, names = settings.validate(request["config"]), request["jobs"]
    else:
        output = Output(arguments.output)
        study, names = output.study(), [arguments.job]
    jobs = [study.job(name) for name in names]
    if not arguments.check:
        xla.keep_programs(output.workdir(jobs[0]), jobs[0].config.runtime)
    with quiet_start():
        from tf_darts.study import job as job_lib
    if arguments.cores:
        use_cores(arguments.cores)
    if arguments.check:
        print(job_lib.check(jobs, request["together"]))
        return 0
    preemption.watch()
    failures = job_lib.run(jobs[0], output)
    for line in failures:  # last in the log
        print(f"error: {line}", file=sys.stderr, flush=True)
    return int(bool(failures))


def main() -> None:
    """Run the process; a `UserError` is one line and exit status 2, as in the programs."""
    arguments = _arguments()
    if not arguments.check and arguments.job is None:
        sys.exit("error: give the output folder and the name of a job")
    app.run(lambda _: _run(arguments), argv=sys.argv[:1])


def _run(arguments: argparse.Namespace) -> NoReturn:
    flags.FLAGS.verbosity = logging.ERROR  # TensorFlow logs every checkpoint and traced function
    if arguments.parent:
        _end_with(arguments.parent)
    try:
        sys.exit(_work(arguments))
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        traceback.print_exc()
        print(f"error: {type(error).__name__}: {' '.join(str(error).split())[:500]}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
