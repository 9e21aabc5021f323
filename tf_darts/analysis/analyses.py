"""Analyses of a work directory, ready to be made."""

import functools
from collections.abc import Iterable

import ml_collections

from tf_darts import spaces, stages
from tf_darts.analysis import edges
from tf_darts.analysis.analysis_run import AnalysisRun, needs_search
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.search import setup as search_setup
from tf_darts.search.setup import SearchSetup
from tf_darts.session import start
from tf_darts.workdir.stage_folders import search_stage


def prepare(
    names: Iterable[str], workdir: str, config: ml_collections.ConfigDict, table: NasBench201 | None
) -> dict[str, AnalysisRun]:
    """Return analyses by name, of one searched supernet that is made when the first of them asks for it.

    Args:
      names: of the analyses.
      workdir: the work directory.
      config: the whole config.
      table: NAS-Bench-201's, or None.

    Raises:
      UserError: an analysis cannot be imported; the search there is missing, unfinished, or of another
        config, as is what an analysis has left; or the config names no edges or column.
    """
    space = spaces.of(config)
    edges.parse(space, config.analysis.edges)
    if table is not None:
        table.operation_strength(config.analysis.table_column)
    names = list(names)
    if any(map(needs_search, names)):
        stages.searched_folder(search_stage(workdir, config))

    @functools.cache
    def set_up() -> SearchSetup:
        session, _ = start(config)
        session.workdir, data = workdir, session.data
        stages.searched_folder(search_stage(workdir, config), data.record)
        latencies = session.latency(data.num_classes, data.image_shape)
        return search_setup.set_up(config, space, data, session.strategy, latencies)

    return {name: AnalysisRun(name, workdir, config, space, table, set_up) for name in names}
