"""Runs jobs as tasks of Ray, on the machines of a cluster; needs the extra `ray`."""

from collections.abc import Callable, Iterator, Sequence

import ray

from tf_darts import trust
from tf_darts.runtime import child, host
from tf_darts.study import engine
from tf_darts.study.engine import Ended
from tf_darts.study.output import Output


def run(names: Sequence[str], output: Output, jobs: int, say: Callable[[str], None]) -> Iterator[Ended]:
    """Run the jobs as tasks of Ray, each on as many cores as it would have here; yield each as it ends.

    The cluster is the one that RAY_ADDRESS names, else this machine. The output folder has to be the same on
    all its machines, and so has the environment.
    """
    ray.init(
        log_to_driver=False,
        include_dashboard=False,
        logging_level="error",
        runtime_env={"env_vars": {n: child.environment()[n] for n in ("PYTHONPATH", "PYTHONSAFEPATH")}},
    )
    try:
        say(f"ray: {len(names)} jobs, their logs are in {output.log('').parent}")
        cores = engine.share(jobs) or host.cores()
        task = ray.remote(num_cpus=cores, max_retries=0)(_run_alone)
        named = trust.named()
        waiting = {task.remote(str(output.folder), name, jobs, named): name for name in names}
        while waiting:
            done, _ = ray.wait(list(waiting))
            for reference in done:
                name = waiting.pop(reference)
                try:
                    yield Ended(*ray.get(reference))
                except ray.exceptions.RayError as error:
                    yield Ended(name, f"ray: {str(error).splitlines()[-1]}", 0.0)
    finally:
        ray.shutdown()


def _run_alone(folder: str, name: str, jobs: int, named: tuple[str, ...]) -> tuple[str, str, float]:
    trust.allow(*named)
    return tuple(engine.Processes(Output(folder), jobs).run(name))
