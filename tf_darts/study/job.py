"""What a job does: the search, selections from its supernet, trainings, analyses; as the programs do them."""

import traceback
from collections.abc import Iterable
from functools import partial

from tf_darts import spaces, stages
from tf_darts.analysis import analyses
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.config.depends import supernets_of
from tf_darts.errors import UserError
from tf_darts.models import budget, memory
from tf_darts.nas_bench import nas_bench_201, true_accuracy
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.registry import ANALYSES
from tf_darts.runtime import host
from tf_darts.runtime.strategy import device_type
from tf_darts.search import setup as search_setup
from tf_darts.session import Session, start
from tf_darts.study.output import Output
from tf_darts.study.settings import Job
from tf_darts.training import setup


def run(job: Job, output: Output) -> list[str]:
    """Do what is left of a job.

    A selection, training or analysis that fails does not keep the others from being made.

    Returns:
      For each that failed a line that says why.

    Raises:
      UserError: the search cannot be made, or another process is at work on the job.
    """
    with output.alone(job):
        workdir, table = str(output.workdir(job)), nas_bench_201.of_config(job.config)
        session, _ = start(job.config)
        stages.search(session, workdir, max(map(supernets_of, job.selections.values())))
        failures = []
        studies = analyses.prepare(job.analyses, workdir, job.config, table)
        works = [
            (name, partial(_select_and_train, job, name, session, workdir, table)) for name in job.selections
        ]
        works += [(f"analysis {name}", partial(_analyse, study, name)) for name, study in studies.items()]
        for name, work in works:
            try:
                work()
            except UserError as error:
                failures.append(f"{name}: {error}")
            except Exception as error:
                traceback.print_exc()
                failures.append(f"{name}: {type(error).__name__}: {error}")
        return failures


def _select_and_train(
    job: Job, selection: str, session: Session, workdir: str, table: NasBench201 | None
) -> None:
    session = session.with_config(job.selections[selection])
    folder, genotype = stages.select(session, workdir)
    print(f"{selection} selects {genotype.to_text(session.space)}", flush=True)
    if table is not None:
        true_accuracy.look_up(table, folder, genotype, session.config.runtime.tensorboard)
    for name, config in job.trained[selection].values():
        _, result = stages.train(session.with_config(config), workdir, name, genotype)
        print(f"{name}: test accuracy {100 * result['test_accuracy']:.2f} %", flush=True)


def _analyse(study: AnalysisRun, analysis: str) -> None:
    text = ANALYSES.load(analysis)(study)
    study.tell(text)
    print(f"{analysis}:\n{text}", flush=True)


def check(jobs: Iterable[Job], together: int) -> float:
    """Check what needs the data and the devices, of all jobs, before the first takes its hours.

    Args:
      jobs: those that are to be run.
      together: how many of them will share this machine's memory.

    Returns:
      What the largest of the searches is estimated to need, bytes.

    Raises:
      UserError: the data are missing or do not suit a config, an analysis cannot be imported, or the jobs
        side by side need more memory than there is.
    """
    session, loaded, largest = None, None, 0.0
    # Which data and which method, not which seed, decide; jobs with the same data stand together.
    distinct = {_key(job): job for job in jobs}
    order = list(dict.fromkeys(key[0] for key in distinct))
    for key, job in sorted(distinct.items(), key=lambda item: order.index(item[0][0])):  # stable
        try:
            for analysis in job.analyses:
                ANALYSES.load(analysis)
            if session is None or loaded != key[0]:
                (session, _), loaded = start(job.config), key[0]
            data, space = session.data, spaces.of(job.config)
            replicas = session.strategy.num_replicas_in_sync
            checked = search_setup.check(job.config, space, data, replicas)
            for config in job.selections.values():
                budget.of_config(config, space, data.num_classes, data.image_shape)
            for _, config in next(filter(None, job.trained.values()), {}).values():
                setup.check(config, space, data, replicas)
        except UserError as error:
            message = str(error).removeprefix("config: ")
            raise UserError(f"config: searches.{job.search}: {message}") from None
        largest = max(largest, checked.needed_memory)
    if device_type() == "CPU" and together * largest > host.available_memory():
        raise UserError(
            f"config: jobs is {together}: a search needs about {memory.gigabytes(largest)} of memory;"
            f" allowed: what fits in the {memory.gigabytes(host.available_memory())} of this machine"
        )
    return largest


def _key(job: Job) -> tuple[str, str]:
    plain = job.config.to_dict()
    data, rest = plain.pop("data"), plain | {"seed": 0, "trains": bool(job.trains)}
    return repr(data), repr([rest, [config.selection.to_dict() for config in job.selections.values()]])
