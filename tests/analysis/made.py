"""Searched supernets for tests of analyses, and the study of one."""

import dataclasses
import functools

from tests.search import tiny
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.search import loop as search_loop
from tf_darts.spaces.nas_bench_201 import NAS_BENCH_201


def search(workdir, space=tiny.SPACE, **fields):
    """Search the tiny space in `workdir`/search; return the setup as the search left it."""
    (workdir / "search").mkdir(parents=True)
    made = tiny.setup(tiny.config(**fields), space)
    search_loop.run(made, workdir / "search")
    return made


# NAS-Bench-201's cell without its stages.
ONE_CELL = dataclasses.replace(NAS_BENCH_201, stacking=tiny.SPACE.stacking)


def study(name, workdir, of=tiny.SPACE, table=None, **fields):
    """Return an analysis of it, with a supernet of its own, in the space `of`."""
    settings = tiny.config(**fields)
    start = functools.cache(lambda: tiny.setup(settings, of))
    return AnalysisRun(name, workdir, settings, of, table, start)
